"""
PASCAL VOC's average precision at IoU 0.5, by the rules of 2007 and of 2010 on, beside COCO's metrics of the same
detections. Difficult objects do not count in either.
"""
import dataclasses

import numpy as np

from metrics import average_precision as ap, coco
from metrics.tables import class_table, overall_table

THRESHOLD = 0.5
RULES = {"VOC07": ap.mean_of_11_points, "VOC10": ap.area}


@dataclasses.dataclass
class Comparison(coco.Comparison):
    """
    COCO's comparison of boxes, with VOC's average precisions among its metrics.

    Attributes:
        of_classes (dict): of RULES to the average precision of each class, None for one without objects that count
    """

    of_classes: dict

    @property
    def per_class(self):
        """dict of class name to {"VOC07", "VOC10", "AP", "AR"}, each in 0..1, or None for a class without objects"""
        return {name: {**{rule: values[k] for rule, values in self.of_classes.items()}, **cocos}
                for k, (name, cocos) in enumerate(super().per_class.items())}


def compare(results, dataset, kinds, oks_sigmas=None):
    """
    Args:
        results (list of dict): COCO results of the data set's images; all of these count, also those without any
        dataset (data.Dataset)
        kinds, oks_sigmas: as those of `metrics.coco.compare`, which compares all but boxes

    Returns:
        dict: of each kind that is compared to its Comparison, of which that of "bbox" is of this module. The metrics of
            boxes are COCO's and VOC07, the mean over classes of the average precision at 11 points, and VOC10, that of
            the area
    """
    comparisons = coco.compare(results, dataset, kinds, oks_sigmas)
    of_classes = average_precisions(results, dataset)
    boxes = comparisons["bbox"]
    metrics = {**{rule: _mean(values) for rule, values in of_classes.items()}, **boxes.metrics}
    return {**comparisons, "bbox": Comparison(metrics, boxes.class_names, boxes.precision, boxes.recall, of_classes)}


def average_precisions(results, dataset):
    """Returns: dict of RULES to a list of the average precision of each class, None for one without objects"""
    truth, found = ap.truth_of(dataset), ap.found_of(results, dataset)
    outcome = ap.judge(truth, ap.match(truth, found), THRESHOLD)
    curves = ap.curves(truth, found, outcome, len(dataset.class_names))
    return {name: [None if curve is None else rule(curve) for curve in curves] for name, rule in RULES.items()}


def _mean(values):
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def format_metrics(comparisons):
    """
    Args:
        comparisons (dict): of `compare`

    Returns:
        str: tables in percent: VOC's average precision, COCO's average precision and recall, and those of each class
    """
    return "\n\n".join([overall_table(comparisons, tuple(RULES)), *coco.overall_tables(comparisons),
                        class_table(comparisons)])
