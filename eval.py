"""From a data set to detections to metrics, for predict.py and for the evaluations during training."""
import contextlib
import itertools
import time

from common import UserError, warn

import numpy as np

import data
import distributed
from data.images import resize_shape
from inference.detections import detections_to_coco
from inference.results import ResultsFile
from inference.stream import batches as make_batches, detect_stream, progress_bar
from metrics import find_metric
from metrics.curves import curves_path, draw_curves
from metrics.report.page import write_report
from metrics.report.worst import Drawing
from viz.mistakes import Panel, draw_beside_truth

MAX_BAD_IMAGES = 0.1    # share of a data set's images that may be unreadable
KINDS = {"bbox": "boxes", "segm": "masks", "keypoints": "keypoints"}
BATCHES_A_ROUND = 8     # of each rank of a job, until the chief has their results


def evaluate_dataset(predict, dataset, cfg, output=None, report=print, key=None, resume=False,
                     page=None):
    """
    Run the network on a data set and compare with its ground truth.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        dataset (data.Dataset):
        cfg: MODE_MASK, MODE_KEYPOINT, TEST, PREPROC and DATA
        output (str): write the COCO results to this json file, and without `page` curves to the picture
            `curves_path(output)`
        report (callable): takes the text of the tables
        key (dict), resume (bool): see `inference.results.ResultsFile`
        page (str): a folder to write a page to that explains the metrics

    Returns:
        dict: of "bbox", and "segm" and "keypoints" where these are compared, to a dict of the metrics' names to values;
        empty for a data set without ground truth; None on all ranks but the chief

    Raises:
        UserError: see `predict_dataset`; or the data set names a metric that is not there
    """
    metric = find_metric(dataset)
    start = time.monotonic()
    if not distributed.is_chief():
        predict_dataset(predict, dataset, cfg, None)
        return None
    with contextlib.closing(ResultsFile(output, key, resume)) as results:
        predict_dataset(predict, dataset, cfg, results)
        seconds = time.monotonic() - start
        results.finish()
        detections = list(itertools.chain.from_iterable(results))
    summary = f"{dataset.name}: {len(detections)} detections in {len(dataset.records)} images, {seconds:.1f} s"
    if not dataset.has_ground_truth:
        report(summary + "; it has no ground truth, so there are results and no metrics")
        return {}
    distributed.pause()    # metrics of large data sets take long
    kinds = "bbox", *["segm"] * cfg.MODE_MASK, *["keypoints"] * cfg.MODE_KEYPOINT
    comparisons = metric.compare(detections, dataset, kinds, dict(zip(cfg.DATA.KEYPOINT_NAMES, cfg.TEST.OKS_SIGMAS)))
    report(summary + _what_is_missing(kinds, comparisons) + "\n" + metric.format_metrics(comparisons))
    if page:
        _explain(page, detections, dataset, comparisons, report)
    elif output:
        draw_curves(comparisons, curves_path(output))
    return {kind: comparison.metrics for kind, comparison in comparisons.items()}


def _explain(folder, detections, dataset, comparisons, report):
    """Write the page of an evaluation; whatever goes wrong with it is a line, as the evaluation stands."""
    try:
        path = write_report(folder, detections, dataset, comparisons, Drawing(draw_beside_truth, Panel))
        report(f"the report is {path}")
    except UserError as e:
        warn(f"no report: {e}")
    except Exception as e:    # what nobody thought of
        warn(f"no report in {folder}: {type(e).__name__}: {e}")


def _what_is_missing(kinds, comparisons):
    """Returns: str, what the annotations have not that was to be evaluated"""
    missing = [KINDS[kind] for kind in kinds if kind not in comparisons]
    there = [KINDS[kind] for kind in comparisons]
    return f"; its annotations have no {' and no '.join(missing)}, so only {' and '.join(there)} are evaluated" \
        if missing else ""


def predict_dataset(predict, dataset, cfg, results):
    """
    Detect the objects in all images of a data set. An image that cannot be used is named on stderr and left out. The
    ranks of a job share the batches out, and the chief collects their results in rounds.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        dataset (data.Dataset): with category_ids and records
        cfg: TEST, PREPROC and DATA
        results (ResultsFile): is added to; images that it has are left out. None on all ranks but the chief

    Raises:
        UserError: more than a tenth of the images cannot be used
    """
    batches = distributed.gather(None if results is None else _batches_to_do(dataset.records, cfg, results))[0]
    rounds = _rounds(batches)
    stream = _detect(predict, dataset, cfg, list(itertools.chain.from_iterable(rounds)))
    num_before = 0 if results is None else len(results)
    distributed.progress()
    with progress_bar(num_before + sum(map(len, rounds)), dataset.name, num_before) as bar:
        for images in rounds:
            _collect(_watched(itertools.islice(stream, len(images)), bar), results)


def _batches_to_do(records, cfg, results):
    """Returns: list of the batches, lists of the images' numbers, that have an image without results"""
    def resized_shape(i):
        return resize_shape(*records[i].size, cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE)

    # images of one shape together: little padding in a batch, and few shapes that are new to TensorFlow
    order = sorted(range(len(records)), key=resized_shape)
    # whole batches, which are then the same for any number of ranks, and after an interruption
    return [batch for batch in make_batches(order, cfg.TEST.IMS_PER_BATCH) if not all(i in results for i in batch)]


def _rounds(batches):
    """Returns: list of as many lists of images on every rank, those of this rank until the chief has their results"""
    batches_a_round = 1 if distributed.size() == 1 else BATCHES_A_ROUND
    return [list(itertools.chain.from_iterable(shared[distributed.rank()::distributed.size()]))
            for shared in make_batches(batches, batches_a_round * distributed.size())]


def _detect(predict, dataset, cfg, images):
    """
    Yields: for each of `images`, numbers of records, the number and the image's COCO results, or None for one that
        cannot be used, which is named
    """
    def load(i):
        return data.load_image(dataset.records[i].file_name, dataset.records[i].size)

    # of a class that the data set lacks there is nothing to say
    ids = dict(zip(dataset.class_names, dataset.category_ids))
    category_ids = [ids.get(name) for name in cfg.DATA.CLASS_NAMES]
    is_known = np.array([category_id is not None for category_id in category_ids])

    def finish(i, _, detections):
        detections = detections.select(is_known[detections.labels - 1])
        return detections_to_coco(dataset.records[i].image_id, detections, category_ids)

    num_bad = 0
    for i, result in detect_stream(predict, images, cfg, load, finish):
        if not isinstance(result, UserError):
            yield i, result
            continue
        warn(f"left out: {result}")
        num_bad += 1
        if num_bad > MAX_BAD_IMAGES * len(images):
            raise UserError(f"data set {dataset.name}: {num_bad} of {len(images)} images cannot be used, the last "
                            f"because {result}")
        yield i, None


def _watched(stream, bar):
    """Yields: what the stream does; each image moves the bar on, and tells the job that this rank goes on"""
    for detected in stream:
        yield detected
        bar.update()
        distributed.progress()


def _collect(stream, results):
    """Add what all ranks find in a round to the chief's results."""
    finished = [(i, result) for i, result in stream if result is not None]
    for i, result in itertools.chain.from_iterable(distributed.gather(finished)):
        if results is not None:
            results.add(i, result)
