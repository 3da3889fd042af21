"""
How good detections are: a data set names its metric, which is found here.

A metric is a module with `compare(results, dataset, kinds, oks_sigmas)`, which returns a dict of "bbox" and, where they
are asked for and there, "segm" and "keypoints" to comparisons, and with `format_metrics` for tables of these. A
comparison has `metrics`, a dict of names to values, and what `curves` draws.
"""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)
from common import UserError

from metrics import coco, visual_genome, voc

BY_NAME = {"coco": coco, "voc": voc, "visual_genome": visual_genome}


def find_metric(dataset):
    """
    Returns:
        module: of the metric that a data set (data.Dataset) names

    Raises:
        UserError: there is none of that name
    """
    if dataset.metric not in BY_NAME:
        raise UserError(f"data set {dataset.name}: there is no metric {dataset.metric!r}; its reader must name one of "
                        + ", ".join(BY_NAME))
    return BY_NAME[dataset.metric]
