"""From a data set to detections to metrics, for predict.py and for the evaluations during training."""
import contextlib
import itertools
import math
import time

import data
import distributed
from common import UserError, warn
from data.images import resize_shape
from inference.detections import detections_to_coco
from inference.results import ResultsFile
from inference.stream import batches as make_batches
from inference.stream import detect_stream, progress_bar
from metrics.coco import compare, curves_path, draw_curves, format_metrics

MAX_BAD_IMAGES = 0.1    # share of a data set's images that may be unreadable
BATCHES_A_ROUND = 8     # of each rank of a job, until the chief has their results


def predict_dataset(predict, dataset, cfg, results):
    """
    Detect the objects in all images of a data set. An image that cannot be used is named on stderr and left out. The
    ranks of a job share the batches out, and the chief collects what they find.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        dataset (data.Dataset): with category_ids and records
        cfg: TEST, PREPROC and DATA
        results (ResultsFile): is added to; images that it has are left out. None on all ranks but the chief

    Raises:
        UserError: more than a tenth of the images cannot be used
    """
    def resized_shape(record):
        return resize_shape(record.height, record.width, cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE)

    def load(i):
        return data.load_image(records[i].file_name, (records[i].height, records[i].width))

    def finish(i, _, found):
        return detections_to_coco(records[i].image_id, found, dataset.category_ids)

    records = dataset.records
    # images of one shape together: little padding in a batch, and few shapes that are new to TensorFlow
    order = sorted(range(len(records)), key=lambda i: resized_shape(records[i]))
    # whole batches, which are then the same for any number of ranks, and after an interruption
    batches = distributed.gather([batch for batch in make_batches(order, cfg.TEST.IMS_PER_BATCH)
                                  if results is not None and not all(i in results for i in batch)])[0]
    mine = batches[distributed.rank()::distributed.size()]
    num_mine, num_bad = sum(map(len, mine)), 0
    stream = detect_stream(predict, itertools.chain.from_iterable(mine), cfg, load, finish)
    batches_a_round = 1 if distributed.size() == 1 else BATCHES_A_ROUND
    num_rounds = math.ceil(len(batches) / (distributed.size() * batches_a_round))
    num_before = 0 if results is None else len(results)
    distributed.progress()
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
        predict (callable): of `inference.predictor.load_predictor`
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
    distributed.pause()    # metrics of large data sets take long
    comparisons = compare(found, dataset.annotation_file, cfg.MODE_MASK)
    without_masks = cfg.MODE_MASK and "segm" not in comparisons
    report(f"{dataset.name}: {len(found)} detections in {len(dataset.records)} images, {seconds:.1f} s"
           + ("; its annotations have no masks, so only boxes are evaluated" if without_masks else "")
           + "\n" + format_metrics(comparisons))
    if output:
        draw_curves(comparisons, curves_path(output))
    return {kind: found.metrics for kind, found in comparisons.items()}
