"""
COCO's metrics of detections.

faster-coco-eval, which has pycocotools' algorithm in C++, compares them with the records of a data set. A `Comparison`
also has what lies behind the metrics, for the tables and for the picture of precision-recall curves.
"""
import collections
import dataclasses

import numpy as np
import pycocotools.mask as mask_util
from faster_coco_eval import COCO, COCOeval_faster

from data.segmentation import to_rle
from metrics.tables import class_table, overall_table

# average precision; average recall with at most 1, 10 and 100 detections of a class in an image, and of sizes
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


@dataclasses.dataclass
class Comparison:
    """
    COCO's comparison of detections with the ground truth, for boxes or for masks.

    Attributes:
        metrics (dict): of METRICS to 0..1, or None where the ground truth has no such objects
        class_names (list of str): C names, in the order of the classes' ids
        precision: float (10, 101, C), at IOU_THRESHOLDS and at RECALLS, of objects of all areas with at most 100
            detections of a class in an image; -1 for a class without objects
        recall: float (10, C), the largest, at IOU_THRESHOLDS, likewise
    """

    metrics: dict
    class_names: list
    precision: np.ndarray
    recall: np.ndarray

    @property
    def per_class(self):
        """dict of class name to {"AP", "AR"}, each in 0..1, or None for a class without objects"""
        return {name: {"AP": _none_if_absent(self.precision[:, :, k].mean()),
                       "AR": _none_if_absent(self.recall[:, k].mean())} for k, name in enumerate(self.class_names)}


def compare(results, dataset, has_masks):
    """
    Args:
        results (list of dict): COCO results of the data set's images; all of these count, also those without any
        dataset (data.Dataset)
        has_masks (bool): also compare the masks, where the data set has masks. An object without one counts among boxes
            only

    Returns:
        dict: of "bbox", and "segm" where masks are compared, to its Comparison
    """
    dataset = dataclasses.replace(dataset, records=list(dataset.records))    # made once, as they are looked at often
    segmentations = [segmentation for record in dataset.records for segmentation in record.segmentations]
    without_masks = segmentations and all(segmentation is None for segmentation in segmentations)
    kinds = ("bbox", "segm") if has_masks and not without_masks else ("bbox",)
    numbers = {image_id: number for number, image_id in enumerate(sorted(r.image_id for r in dataset.records), 1)}
    return {kind: _compare(kind, dataset, numbers, results) for kind in kinds}


def _compare(kind, dataset, numbers, results):
    """
    Args:
        kind (str): "bbox" or "segm"
        numbers (dict): of image ids to what the evaluator knows the images by. It wants numbers below 2^53, and between
            detections of one score, their order decides

    Returns:
        Comparison
    """
    evaluator = _Evaluator(_to_coco(dataset, numbers, _ground_truth(kind, dataset.records, numbers)),
                           _to_coco(dataset, numbers, _detections(kind, dataset, numbers, results)), kind)
    evaluator.run()
    # of objects of all areas, and the most detections an image
    precision, recall = evaluator.eval["precision"][:, :, :, 0, -1], evaluator.eval["recall"][:, :, 0, -1]
    return Comparison({name: _none_if_absent(value) for name, value in zip(METRICS, evaluator.stats)},
                      list(dataset.class_names), precision, recall)


class _Evaluator(COCOeval_faster):
    """
    Difficult objects are to it as crowd regions: no misses, and whatever is detected there is no mistake. But they are
    single objects, so a detection is one of them by its IoU, and not by its part inside.
    """

    def _prepare(self):
        super()._prepare()
        self._difficult = collections.defaultdict(list)
        for annotation in self.cocoGt.anns.values():
            if annotation.get("difficult"):
                self._difficult[annotation["image_id"], annotation["category_id"]].append(annotation)

    def computeIoU(self, image_id, category_id):    # once for each, before they are matched
        ious = super().computeIoU(image_id, category_id)
        for annotation in self._difficult.get((image_id, category_id), ()):
            annotation.update(iscrowd=1, ignore=1)
        return ious


def _ground_truth(kind, records, numbers):
    """Returns: list of dict, what the evaluator needs of the objects that count for "bbox" or "segm" """
    annotations = []
    for record in records:
        for bbox, area, label, is_crowd, is_difficult, segmentation in zip(
                record.bboxes.tolist(), record.areas.tolist(), record.labels.tolist(), record.is_crowd.tolist(),
                record.is_difficult.tolist(), record.segmentations):
            annotation = {"image_id": numbers[record.image_id], "category_id": label, "bbox": bbox, "area": area,
                          "iscrowd": int(is_crowd), "difficult": is_difficult and not is_crowd}
            if kind == "segm":
                if segmentation is None:
                    continue
                annotation["segmentation"] = to_rle(segmentation, *record.size)
            annotations.append(annotation)
    return annotations


def _detections(kind, dataset, numbers, results):
    """
    Returns: list of dict, what the evaluator needs of the results of the data set's images and classes; the area is the
        box's for "bbox", and the mask's for "segm"
    """
    labels = {category_id: label for label, category_id in enumerate(dataset.category_ids, 1)}
    detections = []
    for result in results:
        if result["image_id"] not in numbers or result["category_id"] not in labels:
            continue
        detection = {"image_id": numbers[result["image_id"]], "category_id": labels[result["category_id"]],
                     "bbox": result["bbox"], "score": result["score"], "area": result["bbox"][2] * result["bbox"][3]}
        if kind == "segm":
            mask = result["segmentation"]
            # one by one: pycocotools 2.0.10 fails on a list of more than 255 with NumPy 2
            detection.update(segmentation=mask, area=float(mask_util.area(mask)))
        detections.append(detection)
    return detections


def _to_coco(dataset, numbers, annotations):
    """Returns: COCO of the data set's images and classes, with `annotations`, which get numbers"""
    for number, annotation in enumerate(annotations, 1):    # a match with number 0 would be taken for no match
        annotation["id"] = number
    coco = COCO()
    coco.dataset = {
        "images": [{"id": numbers[record.image_id], "height": record.height, "width": record.width}
                   for record in dataset.records],
        "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.class_names, 1)],
        "annotations": annotations}
    coco.createIndex()
    return coco


def _none_if_absent(value):
    """COCO's -1 stands for "no such objects"."""
    return None if value < 0 else float(value)


# tables -------------------------------------------------------------------------------------------------------------
def format_metrics(comparisons):
    """
    Args:
        comparisons (dict): of `compare`

    Returns:
        str: tables in percent: average precision, average recall, and both of each class
    """
    # AP and AR apart: together they are wider than a terminal of 80 columns
    return "\n\n".join([overall_table(comparisons, METRICS[:6]), overall_table(comparisons, METRICS[6:]),
                        class_table(comparisons)])
