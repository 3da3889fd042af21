"""
The average precision of PASCAL VOC, of any number of classes and images at once.

A detection belongs to the object of its class and image with which its IoU is largest, and is right if that exceeds a
threshold. Of several detections of an object that with the highest score is right and the others are wrong. Objects
that do not count are no misses, and their detections neither right nor wrong. (VOC's development kit; the +1 of its
extents comes from corners that are pixels, so it is the IoU of boxes that go from edge to edge.)
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.flat_records import FlatRecords
from data.records import Dataset

WRONG, RIGHT, IGNORED = 0, 1, -1
ELEVEN_POINTS = np.linspace(0, 1, 11)    # as the development kit rounds them: the fourth is a little more than 3 / 10


class Truth(NamedTuple):
    """
    The G objects of a data set.

    Attributes:
        images: int64 (G,), the number of the image of each, ascending
        labels: int64 (G,) in 1..C
        boxes: float64 (G, 4) x, y, width, height
        counts: bool (G,), whether an object counts: it is neither difficult nor a crowd
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray


class Found(NamedTuple):
    """D detections, likewise; `scores` is float64 (D,)"""

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


class Match(NamedTuple):
    """
    Attributes:
        objects: int64 (D,), the object that each of D detections overlaps most; of several the first
        ious: float64 (D,), of both; 0 without an object of the class in the image
    """

    objects: np.ndarray
    ious: np.ndarray


class Curve(NamedTuple):
    """
    Attributes:
        recall: float64 (D,), with the best 1, 2, ... D detections, ascending
        precision: float64 (D,), the highest with at least that many: the envelope
    """

    recall: np.ndarray
    precision: np.ndarray


# from a data set and results -----------------------------------------------------------------------------------------
def truth_of(dataset: Dataset) -> Truth:
    records = FlatRecords.of(dataset.records)
    objects = records.objects
    return Truth(np.repeat(np.arange(len(records)), records.object_counts), objects.labels.astype(np.int64),
                 objects.bboxes, ~(objects.is_difficult | objects.is_crowd))


def found_of(results: list[dict], dataset: Dataset) -> Found:
    """
    Args:
        results: COCO results; those of other images and other classes are left out

    Returns:
        the class with the lowest number first, within it the highest score, of equal scores the earlier result
    """
    image_ids = FlatRecords.of(dataset.records).image_ids.tolist()
    numbers = {image_id: number for number, image_id in enumerate(image_ids)}
    labels = {category_id: label for label, category_id in enumerate(dataset.category_ids, 1)}
    results = [r for r in results if r["image_id"] in numbers and r["category_id"] in labels]
    found = Found(np.array([numbers[r["image_id"]] for r in results], dtype=np.int64),
                  np.array([labels[r["category_id"]] for r in results], dtype=np.int64),
                  np.array([r["bbox"] for r in results], dtype=np.float64).reshape(-1, 4),
                  np.array([r["score"] for r in results], dtype=np.float64))
    order = np.lexsort([-found.scores, found.labels])
    return Found(*(array[order] for array in found))


# from detections to curves --------------------------------------------------------------------------------------------
def match(truth: Truth, found: Found) -> Match:
    """Returns: which object each detection belongs to, whatever the threshold"""
    stride = 1 + max(truth.labels.max(initial=0), found.labels.max(initial=0))
    keys, wanted = truth.images * stride + truth.labels, found.images * stride + found.labels
    order = np.argsort(keys, kind="stable")
    first, last = (np.searchsorted(keys[order], wanted, side=side) for side in ("left", "right"))
    # pairs of each detection with each object of its class and image
    counts = last - first
    detections = np.repeat(np.arange(len(wanted)), counts)
    begins = np.cumsum(counts) - counts
    objects = order[np.arange(len(detections)) + np.repeat(first - begins, counts)]
    return _largest(detections, objects, iou(found.boxes[detections], truth.boxes[objects]), len(wanted))


def _largest(detections, objects, ious, num_detections):
    """Returns: Match of the pairs with the largest IoU of each detection"""
    order = np.lexsort([-ious, detections])
    best = order[np.diff(detections[order], prepend=-1) > 0]
    matched = Match(np.zeros(num_detections, dtype=np.int64), np.zeros(num_detections))
    matched.objects[detections[best]], matched.ious[detections[best]] = objects[best], ious[best]
    return matched


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns: float64 (P,) of paired boxes (P, 4) x, y, width, height"""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + others[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def judge(truth: Truth, matched: Match, threshold: float) -> np.ndarray:
    """
    Args:
        matched: of detections in the order of `found_of`

    Returns:
        int8 (D,): RIGHT, WRONG or IGNORED
    """
    outcome = np.full(len(matched.ious), WRONG, dtype=np.int8)
    hits = np.flatnonzero(matched.ious > threshold)
    objects = matched.objects[hits]
    counts = truth.counts[objects]
    outcome[hits[~counts]] = IGNORED
    _, first_of_each = np.unique(objects[counts], return_index=True)
    outcome[hits[counts][first_of_each]] = RIGHT
    return outcome


def num_objects(truth: Truth, num_classes: int) -> np.ndarray:
    """Returns: int64 (C,), how many objects of each class count"""
    return np.bincount(truth.labels[truth.counts], minlength=num_classes + 1)[1:]


def curves(truth: Truth, found: Found, outcome: np.ndarray, num_classes: int) -> list[Curve | None]:
    """Returns: of each class, None for one without objects that count"""
    judged = outcome != IGNORED
    labels, is_right = found.labels[judged], outcome[judged] == RIGHT
    bounds = np.searchsorted(labels, np.arange(1, num_classes + 2))
    return [_curve(is_right[begin:end], count) if count else None
            for begin, end, count in zip(bounds[:-1], bounds[1:], num_objects(truth, num_classes).tolist())]


def _curve(is_right, count):
    num_right = np.cumsum(is_right)
    precision = num_right / np.arange(1, len(is_right) + 1)
    return Curve(num_right / count, np.maximum.accumulate(precision[::-1])[::-1])


def area(curve: Curve) -> float:
    """Returns: the area under the envelope, VOC's average precision from 2010 on"""
    return float((np.diff(curve.recall, prepend=0) * curve.precision).sum())


def sample(curve: Curve, recalls: np.ndarray) -> np.ndarray:
    """Returns: float64, the envelope at these recalls, 0 beyond the largest"""
    return np.append(curve.precision, 0)[np.searchsorted(curve.recall, recalls)]


def mean_of_11_points(curve: Curve) -> float:
    """Returns: the mean of the envelope at the recalls 0, 0.1, ... 1: VOC's average precision until 2009"""
    return float(sample(curve, ELEVEN_POINTS).mean())
