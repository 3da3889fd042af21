"""From images to detections to COCO metrics.

`detect_batch` resizes images, runs the network on them and brings its boxes back to the images' own pixels.
`predict_dataset` does that for a data set, and `evaluate_dataset` also compares with the ground truth, by metrics.py,
for predict.py and for the evaluations during training.

Masks stay as the network gives them, probabilities inside their box. `mask_edges` finds where the image's columns of
pixels enter and leave one; run-length codes are made of that, and pixels only where they are asked for.
"""
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import json
import math
import sys
import time

import common
from common import UserError, warn
import cv2
import data
import distributed
import numpy as np
import pycocotools.mask as mask_util
import tqdm
from metrics import compare, curves_path, draw_curves, format_metrics
from results import ResultsFile

MASK_THRESHOLD = 0.5
MAX_BAD_IMAGES = 0.1    # share of a data set's images that may be unreadable
NUM_READERS = 4         # threads that read and resize images ahead of the network
NUM_WRITERS = 4         # threads that encode masks and draw behind it
BATCHES_A_ROUND = 8     # of each rank of a job, until the chief has their results


# detections of one image --------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Detections:
    """
    What was found in one image, the highest score first.

    Attributes:
        boxes: float32 (N, 4), in the image's own pixels
        scores: float32 (N,)
        labels: int (N,), in 1..N
        height, width (int): of the image
        mask_probs: float32 (N, m, m), probabilities on a grid that spans the box, or None
        class_names: of the labels 1..N
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    height: int
    width: int
    mask_probs: np.ndarray = None
    class_names: tuple = ()

    def __len__(self):
        return len(self.boxes)

    def select(self, index):
        """Returns: the Detections that `index`, a NumPy index of the first dimension, picks"""
        return dataclasses.replace(
            self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index],
            mask_probs=None if self.mask_probs is None else self.mask_probs[index])

    @functools.cached_property
    def masks(self):
        """bool (N, height, width), or None where the model has no masks"""
        if self.mask_probs is None:
            return None
        masks = np.zeros((len(self), self.height, self.width), dtype=bool)
        for mask, probs, box in zip(masks, self.mask_probs, self.boxes):
            crop, x, y = paste_mask(probs, box, self.height, self.width)
            mask[y:y + crop.shape[0], x:x + crop.shape[1]] = crop
        return masks

    def rles(self):
        """Returns: list of N run-length encoded masks, as `encode_mask` gives them"""
        return [encode_mask(probs, box, self.height, self.width) for probs, box in zip(self.mask_probs, self.boxes)]


# masks --------------------------------------------------------------------------------------------------------------
def _pixels_inside(low, high, size):
    """Returns: first and one past the last of the pixels 0..size-1 whose centres lie in [low, high]"""
    first = min(max(math.ceil(low - 0.5), 0), size)
    return first, max(min(math.floor(high - 0.5) + 1, size), first)


def _interpolation_weights(pixels, low, high, cells):
    """
    Weights of linear interpolation from `cells` samples that divide [low, high] evenly, zero beyond them.

    Args:
        pixels (range): their centres are pixel + 0.5

    Returns:
        float32 (len(pixels), cells)
    """
    at = (np.arange(pixels.start, pixels.stop) + (0.5 - low)) * (cells / (high - low)) - 0.5
    return np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0).astype(np.float32)


def mask_edges(probs, box, height, width):
    """
    Bring a mask from its box to the image's pixels.

    The grid's cell j spans [j, j + 1] / m of the box. A pixel takes the bilinear interpolation of the cells' centres at
    its own centre, with zeros outside of the grid, as `grid_sample(align_corners=False)` does; it belongs to the mask
    from 0.5 on. Down a column of pixels that is linear from one centre to the next, so where it passes 0.5 follows from
    the values there, and no pixel between is looked at.

    Args:
        probs: float (m, m), row first
        box: (4,) in pixels; may reach beyond the image
        height, width (int): of the image

    Returns:
        range, the columns of pixels and range, the rows whose centres lie inside the box; int (E,), the column, and int
        (E,), the row from which on each column enters or leaves the mask by turns, column by column; a row past the
        last ends a mask there, and two equal ones undo each other
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    columns, rows = range(*_pixels_inside(x1, x2, width)), range(*_pixels_inside(y1, y2, height))
    if not columns or not rows or x2 <= x1 or y2 <= y1:
        return columns, rows, np.zeros(0, int), np.zeros(0, int)
    cells = len(probs)
    # zeros beyond the first and the last cell
    values = np.zeros((len(columns), cells + 2), np.float32)
    np.matmul(_interpolation_weights(columns, x1, x2, probs.shape[1]), np.asarray(probs, np.float32).T,
              out=values[:, 1:-1])
    inside = values >= MASK_THRESHOLD
    column, cell = np.nonzero(inside[:, 1:] != inside[:, :-1])
    before, after = (values[column, cell + i].astype(np.float64) for i in (0, 1))
    # in cells from the centre before the first one, then in pixels
    at = cell - 0.5 + (MASK_THRESHOLD - before) / (after - before)
    row = y1 + at * ((y2 - y1) / cells) - 0.5
    # a pixel right on the edge is inside
    row = np.where(inside[column, cell], np.floor(row) + 1, np.ceil(row)).astype(int)
    return columns, rows, column + columns.start, np.clip(row, rows.start, rows.stop)


def paste_mask(probs, box, height, width):
    """
    The pixels of a mask; see `mask_edges`.

    Returns:
        bool (h, w), the pixels of the image whose centres lie inside the box, then x and y of its top-left pixel
    """
    columns, rows, column, row = mask_edges(probs, box, height, width)
    # one row more, so that what ends behind the last ends there
    turns = np.zeros((len(columns), len(rows) + 1), bool)
    np.logical_xor.at(turns, (column - columns.start, row - rows.start), True)
    return np.logical_xor.accumulate(turns, axis=1)[:, :-1].T, columns.start, rows.start


def encode_mask(probs, box, height, width):
    """
    Run-length encode a mask of `mask_edges`. No array of the image's or the box's size is made.

    Returns:
        dict: COCO's compressed RLE {"size": [height, width], "counts": str}
    """
    _, _, column, row = mask_edges(probs, box, height, width)
    # COCO counts down the columns one after the other; a run that goes on in the next column has no edge between
    positions, times = np.unique(column * height + row, return_counts=True)
    total = height * width
    counts = np.diff(positions[(times % 2 == 1) & (positions < total)], prepend=0, append=total)
    rle = mask_util.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


# from images to detections ------------------------------------------------------------------------------------------
def resize(image, cfg):
    """Returns: a uint8 (h, w, 3) image in the size that the network wants, as PREPROC says"""
    height, width = common.resize_shape(*image.shape[:2], cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def detect_resized(predict, resized, sizes, class_names):
    """
    The network on some images, which go through it together.

    Args:
        predict (callable): of `modeling.predictor.load_predictor`
        resized (list): of uint8 (h, w, 3), as the network wants them
        sizes (list): of (height, width), the images' own

    Returns:
        list[Detections], in the images' own pixels
    """
    boxes, scores, labels, image_index, mask_probs = predict(*common.pad_batch(resized))
    results = []
    for i, (image, (height, width)) in enumerate(zip(resized, sizes)):
        mine = np.flatnonzero(image_index == i)
        # rounding the resized shape gives each axis a scale of its own
        scale = np.array([width / image.shape[1], height / image.shape[0]] * 2, dtype=np.float32)
        found = np.clip(boxes[mine] * scale, 0, np.array([width, height] * 2, dtype=np.float32))
        # written so that a NaN is dropped too
        good = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1]) & np.isfinite(scores[mine])
        mine, found = mine[good], found[good]
        results.append(Detections(
            boxes=found, scores=scores[mine], labels=labels[mine], height=height, width=width,
            mask_probs=None if mask_probs is None else mask_probs[mine], class_names=class_names))
    return results


def detect_batch(predict, images, cfg):
    """
    Detect the objects in some images, which go through the network together.

    Args:
        predict (callable): of `modeling.predictor.load_predictor`
        images (list): of uint8 (h, w, 3), BGR, of any sizes
        cfg: PREPROC and DATA.CLASS_NAMES

    Returns:
        list[Detections], one for each image, in its own pixels
    """
    resized = [resize(image, cfg) for image in images]
    return detect_resized(predict, resized, [image.shape[:2] for image in images], tuple(cfg.DATA.CLASS_NAMES))


def _ahead(function, items, num_threads, lookahead):
    """
    Yields: function(item) for each of items, in their order, computed in threads at most `lookahead` items ahead of the
        consumer; `items` are taken in the consumer's thread
    """
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        pending = collections.deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > lookahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # a consumer that stops early must not wait for what it no longer wants
            for future in pending:
                future.cancel()


def _batches(items, size):
    """Yields: lists of `size` items, the last of which may be shorter"""
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


def detect_stream(predict, items, cfg, load, finish):
    """
    Detect the objects in a stream of images, in batches of TEST.IMS_PER_BATCH. Images are read and resized in threads
    ahead of the network, and what it finds is finished in threads behind it, so that it never waits for either.

    Args:
        predict (callable): of `modeling.predictor.load_predictor`
        items (iterable): that stand for images, of any kind
        cfg: PREPROC, TEST and DATA.CLASS_NAMES
        load (callable): from an item to its image, uint8 (h, w, 3); may raise UserError
        finish (callable): from an item, its image and its Detections to a result

    Yields:
        (item, result) for each of `items` in order; (item, UserError) for one that cannot be loaded
    """
    def read(item):
        try:
            image = load(item)
        except UserError as e:
            return item, None, e
        return item, image, resize(image, cfg)

    def detect(batch):
        good = [(image, resized) for _, image, resized in batch if image is not None]
        found = iter(detect_resized(predict, [resized for _, resized in good],
                                     [image.shape[:2] for image, _ in good], class_names) if good else ())
        return [(item, image, resized if image is None else next(found)) for item, image, resized in batch]

    def end(detected):
        item, image, found = detected
        return item, found if image is None else finish(item, image, found)

    size, class_names = cfg.TEST.IMS_PER_BATCH, tuple(cfg.DATA.CLASS_NAMES)
    num_networks = getattr(predict, "num_devices", 1)
    loaded = _ahead(read, items, NUM_READERS, size * num_networks + NUM_READERS)
    detected = _ahead(detect, _batches(loaded, size), num_networks, num_networks)
    return _ahead(end, itertools.chain.from_iterable(detected), NUM_WRITERS, size + NUM_WRITERS)


# COCO results -------------------------------------------------------------------------------------------------------
def detections_to_coco(image_id, detections, category_ids, class_names=None):
    """
    Args:
        image_id: as the data set names the image
        detections (Detections): of that image
        category_ids: the data set's id of each label 1..N
        class_names: also write the class's name, as "category"

    Returns:
        list of dict: COCO results with bbox [x, y, w, h] in pixels, and segmentation if there are masks
    """
    segmentations = None if detections.mask_probs is None else detections.rles()
    results = []
    for i, ((x1, y1, x2, y2), score, label) in enumerate(zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist())):
        result = {"image_id": image_id, "category_id": int(category_ids[label - 1])}
        if class_names is not None:
            result["category"] = class_names[label - 1]
        result["bbox"] = [round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)]
        result["score"] = round(score, 5)
        if segmentations is not None:
            result["segmentation"] = segmentations[i]
        results.append(result)
    return results


def write_json(path, value):
    """
    Write a json file whole or not at all: a file that is there stays until the new one is complete.

    Raises:
        UserError: it cannot be written
    """
    with common.whole_file(path, encoding="utf-8") as f:
        json.dump(value, f)


def progress_bar(total, name, initial=0):
    """Returns: a tqdm bar on stderr with the time left; silent where stderr is no terminal, and on all ranks but the
    chief; `initial` images were done before"""
    return tqdm.tqdm(total=total, initial=initial, desc=name, unit="image", file=sys.stderr, mininterval=0.5,
                     disable=None if distributed.is_chief() else True,
                     dynamic_ncols=True, leave=False)


def _check_size(record, image):
    """Refuse an image that is not of the size in the annotation file, to which masks are tied."""
    height, width = image.shape[:2]
    if (height, width) != (record.height, record.width):
        raise UserError(f"{record.file_name} is {width}x{height}, but its annotation says "
                        f"{record.width}x{record.height}; mend the one or the other")


def predict_dataset(predict, dataset, cfg, results):
    """
    Detect the objects in all images of a data set. An image that cannot be used is named on stderr and left out. The
    ranks of a job share the batches out, and the chief collects what they find.

    Args:
        predict (callable): of `modeling.predictor.load_predictor`
        dataset (data.Dataset): with category_ids and records
        cfg: TEST, PREPROC and DATA
        results (ResultsFile): is added to; images that it has are left out. None on all ranks but the chief

    Raises:
        UserError: more than a tenth of the images cannot be used
    """
    def resized_shape(record):
        return common.resize_shape(record.height, record.width, cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE)

    def load(i):
        image = data.load_image(records[i].file_name)
        _check_size(records[i], image)
        return image

    def finish(i, _, found):
        return detections_to_coco(records[i].image_id, found, dataset.category_ids)

    records = dataset.records
    # images of one shape together: little padding in a batch, and few shapes that are new to TensorFlow
    order = sorted(range(len(records)), key=lambda i: resized_shape(records[i]))
    # whole batches, which are then the same for any number of ranks, and after an interruption
    batches = distributed.gather([batch for batch in _batches(order, cfg.TEST.IMS_PER_BATCH)
                                  if results is not None and not all(i in results for i in batch)])[0]
    mine = batches[distributed.rank()::distributed.size()]
    num_mine, num_bad = sum(map(len, mine)), 0
    stream = detect_stream(predict, itertools.chain.from_iterable(mine), cfg, load, finish)
    batches_a_round = 1 if distributed.size() == 1 else BATCHES_A_ROUND
    num_rounds = math.ceil(len(batches) / (distributed.size() * batches_a_round))
    num_before = 0 if results is None else len(results)
    with progress_bar(num_before + num_mine, dataset.name, num_before) as bar:
        for start in range(0, num_rounds * batches_a_round, batches_a_round):
            found = []
            for i, result in itertools.islice(stream, sum(map(len, mine[start:start + batches_a_round]))):
                if isinstance(result, UserError):
                    warn(f"left out: {result}")
                    num_bad += 1
                    if num_bad > MAX_BAD_IMAGES * num_mine:
                        raise UserError(f"data set {dataset.name}: {num_bad} of {num_mine} images cannot be used, "
                                        f"the last because {result}")
                else:
                    found.append((i, result))
                bar.update()
                distributed.progress()
            for i, result in itertools.chain.from_iterable(distributed.gather(found)):
                if results is not None:
                    results.add(i, result)


def evaluate_dataset(predict, dataset, cfg, output=None, report=print, key=None, resume=False):
    """
    Run the network on a data set and compare with its ground truth.

    Args:
        predict (callable): of `modeling.predictor.load_predictor`
        dataset (data.Dataset):
        cfg: MODE_MASK, TEST, PREPROC and DATA
        output (str): write the COCO results to this json file, and curves to the picture `metrics.curves_path(output)`
        report (callable): takes the text of the tables
        key (dict), resume (bool): see `results.ResultsFile`

    Returns:
        dict: of `metrics.evaluate_results`; None on all ranks but the chief
    """
    start = time.monotonic()
    results = ResultsFile(output, key, resume) if distributed.is_chief() else None
    with contextlib.nullcontext() if results is None else contextlib.closing(results):
        predict_dataset(predict, dataset, cfg, results)
        if results is None:
            return None
        seconds = time.monotonic() - start
        results.finish()
        found = list(itertools.chain.from_iterable(results))
    comparisons = compare(found, dataset.annotation_file, cfg.MODE_MASK)
    without_masks = cfg.MODE_MASK and "segm" not in comparisons
    report(f"{dataset.name}: {len(found)} detections in {len(dataset.records)} images, {seconds:.1f} s"
           + ("; its annotations have no masks, so only boxes are evaluated" if without_masks else "")
           + "\n" + format_metrics(comparisons))
    if output:
        draw_curves(comparisons, curves_path(output))
    return {kind: found.metrics for kind, found in comparisons.items()}
