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

from data.coco_rules import KEYPOINT_SHIFT
from data.segmentation import to_rle
from metrics import oks
from metrics.tables import class_table, overall_table

# average precision; average recall with at most 1, 10 and 100 detections of a class in an image, and of sizes
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# of keypoints: at most 20 detections of a class in an image, and sizes without small ones
KEYPOINT_METRICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


@dataclasses.dataclass
class Comparison:
    """
    COCO's comparison of detections with the ground truth, for boxes, masks or keypoints.

    Attributes:
        metrics (dict): of METRICS or KEYPOINT_METRICS to 0..1, or None where the ground truth has no such objects
        class_names (list of str): C names, in the order of the classes' ids; for keypoints of those that have any
        precision: float (10, 101, C), at IOU_THRESHOLDS, for keypoints of their similarity, and at RECALLS, of objects
            of all areas with at most 100, or 20, detections of a class in an image; -1 for a class without objects
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


def compare(results, dataset, kinds, oks_sigmas=None):
    """
    Args:
        results (list of dict): COCO results of the data set's images; all of these count, also those without any
        dataset (data.Dataset)
        kinds (sequence of str): what to compare of "bbox", "segm" and "keypoints". Masks and keypoints are only
            compared where the data set has any; an object without a mask counts among the others only, one without
            labelled keypoints is ignored among keypoints, and so is a class that has none
        oks_sigmas (dict): see `oks.sigmas_of_label`

    Returns:
        dict: of each kind that is compared, "bbox" among them, to its Comparison
    """
    dataset = dataclasses.replace(dataset, records=list(dataset.records))    # made once, as they are looked at often
    numbers = {image_id: number for number, image_id in enumerate(sorted(r.image_id for r in dataset.records), 1)}
    return {kind: _compare(kind, dataset, numbers, results, oks_sigmas) for kind in kinds if _has(kind, dataset)}


def _has(kind, dataset):
    """Returns: bool, whether the data set has what is compared; masks may be there where there are no objects"""
    if kind == "keypoints":
        return dataset.skeleton is not None
    segmentations = [segmentation for record in dataset.records for segmentation in record.segmentations]
    return kind == "bbox" or not segmentations or any(segmentation is not None for segmentation in segmentations)


def _compare(kind, dataset, numbers, results, oks_sigmas):
    """
    Args:
        kind (str): "bbox", "segm" or "keypoints"
        numbers (dict): of image ids to what the evaluator knows the images by. It wants numbers below 2^53, and between
            detections of one score, their order decides
        oks_sigmas (dict): of `compare`

    Returns:
        Comparison
    """
    names = {label: name for label, name in enumerate(dataset.class_names, 1)
             if kind != "keypoints" or dataset.skeleton.of_label(label)}
    annotations = _ground_truth(kind, dataset, numbers), _detections(kind, dataset, numbers, results)
    evaluator = _Evaluator(*(_to_coco(dataset, numbers, names, [a for a in some if a["category_id"] in names])
                             for some in annotations), kind)
    if kind == "keypoints":
        evaluator.sigmas = {label: oks.sigmas_of_label(dataset.skeleton, label, oks_sigmas) for label in names}
        evaluator.params.catIds = list(names)    # also those without objects
    evaluator.run()
    # of objects of all areas, and the most detections an image
    precision, recall = evaluator.eval["precision"][:, :, :, 0, -1], evaluator.eval["recall"][:, :, 0, -1]
    metrics = zip(KEYPOINT_METRICS if kind == "keypoints" else METRICS, evaluator.stats)
    return Comparison({name: _none_if_absent(value) for name, value in metrics}, list(names.values()), precision,
                      recall)


class _Evaluator(COCOeval_faster):
    """
    Difficult objects are to it as crowd regions: no misses, and whatever is detected there is no mistake. But they are
    single objects, so a detection is one of them by its IoU, and not by its part inside.

    Attributes:
        sigmas (dict): of the numbers of categories to those of their keypoints
    """

    sigmas = None

    def _prepare(self):
        super()._prepare()
        self._difficult = collections.defaultdict(list)
        for annotation in self.cocoGt.anns.values():
            if annotation.get("difficult"):
                self._difficult[annotation["image_id"], annotation["category_id"]].append(annotation)

    def computeIoU(self, image_id, category_id):    # once for each, before they are matched
        ious = super().computeIoU(image_id, category_id)
        self._ignore_difficult(image_id, category_id)
        return ious

    def computeOks(self, image_id, category_id):    # likewise; the evaluator's own knows one skeleton for all
        objects, found = (some.get(image_id, category_id) for some in (self.gt_dataset, self.dt_dataset))
        self._ignore_difficult(image_id, category_id)
        if not objects or not found:
            return []
        found = sorted(found, key=lambda detection: -detection["score"])[:self.params.maxDets[-1]]
        return oks.similarities(
            np.array([detection["keypoints"] for detection in found])[:, :, :2],
            *(np.array([each[field] for each in objects]) for field in ("keypoints", "bbox", "area")),
            self.sigmas[category_id])

    def _ignore_difficult(self, image_id, category_id):
        for annotation in self._difficult.get((image_id, category_id), ()):
            annotation.update(iscrowd=1, ignore=1)


def _ground_truth(kind, dataset, numbers):
    """Returns: list of dict, what the evaluator needs of the objects that count for "bbox", "segm" or "keypoints" """
    annotations = []
    for record in dataset.records:
        keypoints = _keypoints_of(record, dataset.skeleton) if kind == "keypoints" else [None] * len(record.labels)
        for bbox, area, label, is_crowd, is_difficult, segmentation, own in zip(
                record.bboxes.tolist(), record.areas.tolist(), record.labels.tolist(), record.is_crowd.tolist(),
                record.is_difficult.tolist(), record.segmentations, keypoints):
            annotation = {"image_id": numbers[record.image_id], "category_id": label, "bbox": bbox, "area": area,
                          "iscrowd": int(is_crowd), "difficult": is_difficult and not is_crowd}
            if kind == "segm":
                if segmentation is None:
                    continue
                annotation["segmentation"] = to_rle(segmentation, *record.size)
            if kind == "keypoints":
                annotation.update(keypoints=own, num_keypoints=int((own[:, 2] > 0).sum()))
            annotations.append(annotation)
    return annotations


def _keypoints_of(record, skeleton):
    """Returns: list of float64 (K, 3), the keypoints of each object's class, as COCO counts pixels"""
    keypoints = record.keypoints
    if keypoints is None:
        keypoints = np.zeros((len(record.labels), len(skeleton.names), 3))
    shift = np.array([KEYPOINT_SHIFT, KEYPOINT_SHIFT, 0]) * (keypoints[:, :, 2:] > 0)
    return [own[list(skeleton.of_label(label))] for own, label in zip(keypoints - shift, record.labels.tolist())]


def _detections(kind, dataset, numbers, results):
    """
    Returns: list of dict, what the evaluator needs of the results of the data set's images and classes; the area is the
        mask's for "segm", and the box's for others
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
        if kind == "keypoints":
            if "keypoints" not in result:
                continue
            detection["keypoints"] = np.reshape(result["keypoints"], (-1, 3))
        detections.append(detection)
    return detections


def _to_coco(dataset, numbers, names, annotations):
    """Returns: COCO of the data set's images and some classes, with `annotations`, which get numbers"""
    for number, annotation in enumerate(annotations, 1):    # a match with number 0 would be taken for no match
        annotation["id"] = number
    coco = COCO()
    coco.dataset = {
        "images": [{"id": numbers[record.image_id], "height": record.height, "width": record.width}
                   for record in dataset.records],
        "categories": [{"id": label, "name": name} for label, name in names.items()],
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
    return "\n\n".join([*overall_tables(comparisons), class_table(comparisons)])


def overall_tables(comparisons):
    """Returns: list of str, the tables of all classes together"""
    # AP and AR apart: together they are wider than a terminal of 80 columns
    groups = METRICS[:6], METRICS[6:], *([KEYPOINT_METRICS[5:]] if "keypoints" in comparisons else [])
    return [overall_table(comparisons, names) for names in groups]
