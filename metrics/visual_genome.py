"""
Visual Genome's metric: the mean over classes of VOC's average precision (the area) at IoU 0.5, plain and weighted by
the classes' numbers of objects (Anderson et al. 2018, "Bottom-Up and Top-Down Attention"). Classes without objects are
left out.
"""
import dataclasses

import numpy as np

from metrics import average_precision as ap, coco
from metrics.tables import class_table, overall_table

METRICS = ("AP50", "AP50_weighted", "AP75", "AP")
MAX_CLASSES = 30    # of more, those with the most objects are in the table


@dataclasses.dataclass
class Comparison(coco.Comparison):
    """
    The comparison of boxes, as COCO's, but with VOC's way of matching, and with averages that are areas.

    Attributes:
        areas: float (10, C), average precision at IOU_THRESHOLDS, NaN for a class without objects
        counts: int (C,), how many objects each class has
    """

    areas: np.ndarray
    counts: np.ndarray

    @property
    def per_class(self):
        """dict of class name to {"AP50", "AP"}, each in 0..1, or None for a class without objects"""
        values = zip(self.areas[0].tolist(), self.areas.mean(axis=0).tolist(), self.counts.tolist())
        return {name: {"AP50": ap50 if count else None, "AP": mean if count else None}
                for name, (ap50, mean, count) in zip(self.class_names, values)}


def compare(results, dataset, kinds, oks_sigmas=None):
    """
    Args:
        results (list of dict): COCO results of the data set's images; all of these count, also those without any
        dataset (data.Dataset)
        kinds, oks_sigmas: not looked at, as the data set has boxes alone

    Returns:
        dict: of "bbox" to its Comparison. Its metrics are AP50, AP50_weighted, AP75, and AP, the mean over IoUs of 0.5
            to 0.95
    """
    num_classes = len(dataset.class_names)
    truth, found = ap.truth_of(dataset), ap.found_of(results, dataset)
    matched, counts = ap.match(truth, found), ap.num_objects(truth, num_classes)
    areas = np.full((len(coco.IOU_THRESHOLDS), num_classes), np.nan)
    recall = np.full(areas.shape, -1.0)
    precision = np.full((len(areas), len(coco.RECALLS), num_classes), -1.0)
    for t, threshold in enumerate(coco.IOU_THRESHOLDS):
        curves = ap.curves(truth, found, ap.judge(truth, matched, threshold), num_classes)
        for k in np.flatnonzero(counts):
            areas[t, k] = ap.area(curves[k])
            recall[t, k] = curves[k].recall.max(initial=0)
            precision[t, :, k] = ap.sample(curves[k], coco.RECALLS)
    metrics = _means(areas[:, counts > 0], counts[counts > 0])
    return {"bbox": Comparison(metrics, list(dataset.class_names), precision, recall, areas, counts)}


def _means(areas, counts):
    """Returns: dict of METRICS, from the areas of the classes with objects"""
    if not len(counts):
        return dict.fromkeys(METRICS)
    at_75 = int(np.argmin(np.abs(coco.IOU_THRESHOLDS - 0.75)))
    values = areas[0].mean(), np.average(areas[0], weights=counts), areas[at_75].mean(), areas.mean()
    return dict(zip(METRICS, map(float, values)))


def format_metrics(comparisons):
    """
    Args:
        comparisons (dict): of `compare`

    Returns:
        str: tables in percent: of all classes, and of those with the most objects
    """
    boxes = comparisons["bbox"]
    most = np.argsort(-boxes.counts, kind="stable")[:MAX_CLASSES]
    left_out = len(boxes.class_names) - len(most)
    return "\n\n".join([
        overall_table(comparisons, METRICS), class_table(comparisons, [boxes.class_names[k] for k in most]),
        *([f"and {left_out} classes with fewer objects"] if left_out else [])])
