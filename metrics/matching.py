"""
Which detection is which object, by COCO's rules, of a whole data set at once.

In each image and class the detections choose in the order of their scores: each takes, of the objects that are free and
that it overlaps enough, that with the largest IoU. Objects that do not count come last, and are no misses. The same
matches are behind COCO's metrics; here they are kept, so that mistakes can be named and images drawn again.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pycocotools.mask as mask_util
import tqdm

from data.flat_records import FlatRecords
from data.records import Dataset
from data.segmentation import to_rle
from metrics.coco import IOU_THRESHOLDS

MAX_DETECTIONS = 100    # of a class in an image that COCO looks at
LEAST_IOU = 0.1         # below it a detection has nothing to do with an object
AREAS = {"all": (0, 1e10), "small": (0, 32 ** 2), "medium": (32 ** 2, 96 ** 2), "large": (96 ** 2, 1e10)}
PAIRS_AT_ONCE = 1 << 20
WRONG, RIGHT, IGNORED = 0, 1, -1
NONE = -1               # in place of the number of an object


class Objects(NamedTuple):
    """
    The G objects of a data set, image by image.

    Attributes:
        images: int64 (G,), the number of the image of each, ascending
        labels: int64 (G,) in 1..C
        boxes: float64 (G, 4) x, y, width, height
        areas: float64 (G,), as annotated
        is_crowd: bool (G,)
        counts: bool (G,), neither a crowd nor difficult
        places: int64 (G,), of each in its image
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    is_crowd: np.ndarray
    counts: np.ndarray
    places: np.ndarray


class Found(NamedTuple):
    """
    D detections: the class with the lowest number first, within it the highest score, of equal scores the lower image
    id. Of a class in an image there are at most MAX_DETECTIONS.

    Attributes:
        images, labels, boxes, areas: likewise; an area is that of the box, or of the mask
        scores: float64 (D,)
        ranks: int64 (D,), from 0 on, by the score among the detections of the class in the image
        results: int64 (D,), of each the place in the list of results
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    results: np.ndarray


class Pairs(NamedTuple):
    """P pairs of a detection and an object of its image, of whatever class, with an IoU of LEAST_IOU at least"""

    detections: np.ndarray
    objects: np.ndarray
    ious: np.ndarray

    def take(self, index):
        """Returns: Pairs, those that an index or a bool array says"""
        return Pairs(*(array[index] for array in self))


class Matches(NamedTuple):
    """
    Attributes:
        outcome: int8 (A, T, D): RIGHT, WRONG or IGNORED, for A ranges of areas and T IoU thresholds
        objects: int64 (D,), the object that each detection is by the first range and threshold, or NONE
        num_classes: C
    """

    outcome: np.ndarray
    objects: np.ndarray
    num_classes: int


class Matched(NamedTuple):
    """Objects, Found, Pairs and Matches of a data set and its results"""

    objects: Objects
    found: Found
    pairs: Pairs
    matches: Matches


def match_results(results: list[dict], dataset: Dataset, kind: str = "bbox") -> Matched:
    """
    Args:
        results: COCO results; those of other images and other classes are left out
        kind: "bbox", or "segm" for the IoU and area of masks; objects without a mask are then left out

    Returns:
        with AREAS and IOU_THRESHOLDS
    """
    objects, found = objects_of(dataset, kind), found_of(results, dataset, kind)
    pairs = box_pairs(objects, found) if kind == "bbox" else mask_pairs(objects, found, results, dataset)
    return Matched(objects, found, pairs, match(objects, found, pairs, len(dataset.class_names)))


# from a data set and results ------------------------------------------------------------------------------------------
def objects_of(dataset: Dataset, kind: str = "bbox") -> Objects:
    records = FlatRecords.of(dataset.records)
    flat = records.objects
    images = np.repeat(np.arange(len(records)), records.object_counts)
    places = np.arange(len(images)) - records.images.object_offsets[images]
    objects = Objects(images, flat.labels.astype(np.int64), flat.bboxes, flat.areas, flat.is_crowd,
                      ~(flat.is_crowd | flat.is_difficult), places)
    return objects if kind == "bbox" else Objects(*(array[flat.num_parts > 0] for array in objects))


def found_of(results: list[dict], dataset: Dataset, kind: str = "bbox") -> Found:
    image_ids = FlatRecords.of(dataset.records).image_ids
    numbers = {image_id: number for number, image_id in enumerate(image_ids.tolist())}
    labels_of = {category_id: label for label, category_id in enumerate(dataset.category_ids, 1)}
    kept = [i for i, r in enumerate(results) if r["image_id"] in numbers and r["category_id"] in labels_of]
    images = np.array([numbers[results[i]["image_id"]] for i in kept], dtype=np.int64)
    labels = np.array([labels_of[results[i]["category_id"]] for i in kept], dtype=np.int64)
    boxes = np.array([results[i]["bbox"] for i in kept], dtype=np.float64).reshape(-1, 4)
    scores = np.array([results[i]["score"] for i in kept], dtype=np.float64)
    # one by one: pycocotools 2.0.10 fails on a list of more than 255 with NumPy 2
    areas = boxes[:, 2] * boxes[:, 3] if kind == "bbox" else np.array(
        [mask_util.area(results[i]["segmentation"]) for i in kept], dtype=np.float64)
    order_of_images = np.argsort(np.argsort(image_ids))
    order = np.lexsort([order_of_images[images], -scores, labels])
    found = Found(images, labels, boxes, areas, scores, np.zeros(len(kept), dtype=np.int64),
                  np.array(kept, dtype=np.int64))
    found = Found(*(array[order] for array in found))
    found = found._replace(ranks=_ranks(found.images * (len(labels_of) + 1) + found.labels))
    return Found(*(array[found.ranks < MAX_DETECTIONS] for array in found))


def _ranks(keys):
    """Returns: int64 (D,), how many of the keys before each are equal to it"""
    order = np.argsort(keys, kind="stable")
    is_first = np.diff(keys[order], prepend=-1) > 0
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys)) - starts
    return ranks


# pairs ----------------------------------------------------------------------------------------------------------------
def box_pairs(objects: Objects, found: Found) -> Pairs:
    """A part at a time, as most pairs do not overlap"""
    first, last = (np.searchsorted(objects.images, found.images, side=side) for side in ("left", "right"))
    ends = np.cumsum(last - first)
    bounds = np.searchsorted(ends, np.arange(PAIRS_AT_ONCE, ends[-1], PAIRS_AT_ONCE)) if len(ends) else []
    bounds = np.unique([0, *bounds, len(ends)])
    parts = []
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist()):
        counts = last[begin:end] - first[begin:end]
        detections = np.repeat(np.arange(begin, end), counts)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        others = np.arange(len(detections)) - starts + first[detections]
        ious = box_ious(found.boxes[detections], objects.boxes[others], objects.is_crowd[others])
        parts.append(Pairs(detections, others, ious).take(ious >= LEAST_IOU))
    return _join(parts)


def _join(parts):
    empty = Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    return Pairs(*map(np.concatenate, zip(empty, *parts)))


def box_ious(boxes: np.ndarray, others: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """
    Returns: float64 (P,), IoU of paired boxes (P, 4) x, y, width, height; for a crowd the part of the first box that is
        inside the other
    """
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    area = boxes[:, 2] * boxes[:, 3]
    union = np.where(is_crowd, area, area + others[:, 2] * others[:, 3] - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def mask_pairs(objects: Objects, found: Found, results: list[dict], dataset: Dataset) -> Pairs:
    """Image by image, with a bar"""
    by_image = np.argsort(found.images, kind="stable")
    images = np.intersect1d(objects.images, found.images)
    ranges = [np.searchsorted(numbers, images, side=side) for numbers in (objects.images, found.images[by_image])
              for side in ("left", "right")]
    parts = []
    for image, *bounds in tqdm.tqdm(list(zip(images.tolist(), *ranges)), unit="image", desc="masks", disable=None):
        own, detections = np.arange(*bounds[:2]), by_image[bounds[2]:bounds[3]]
        record = dataset.records[image]
        masks = [to_rle(record.segmentations[place], *record.size) for place in objects.places[own]]
        ious = mask_util.iou([results[i]["segmentation"] for i in found.results[detections].tolist()], masks,
                             objects.is_crowd[own].tolist())
        rows, columns = np.nonzero(ious >= LEAST_IOU)
        parts.append(Pairs(detections[rows], own[columns], ious[rows, columns]))
    return _join(parts)


# matches --------------------------------------------------------------------------------------------------------------
def match(objects: Objects, found: Found, pairs: Pairs, num_classes: int) -> Matches:
    """
    All images, classes, ranges of areas and thresholds at once: the first detection of each class in each image
    chooses, then the second, and so on.
    """
    pairs = pairs.take((objects.labels[pairs.objects] == found.labels[pairs.detections])
                       & (pairs.ious >= IOU_THRESHOLDS[0] - 1e-9))
    # of equal IoUs the last object is taken
    order = np.lexsort([-pairs.objects, -pairs.ious, pairs.detections, found.ranks[pairs.detections]])
    pairs = pairs.take(order)
    limits = np.array(list(AREAS.values()))[:, :, None]
    ignored = ~objects.counts | (objects.areas < limits[:, 0]) | (objects.areas > limits[:, 1])
    outside = (found.areas < limits[:, 0]) | (found.areas > limits[:, 1])
    outcome = np.repeat(np.where(outside, IGNORED, WRONG).astype(np.int8)[:, None], len(IOU_THRESHOLDS), axis=1)
    chosen = np.full(len(found.labels), NONE)
    taken = np.zeros((len(AREAS), len(IOU_THRESHOLDS), len(objects.labels)), dtype=bool)
    bounds = np.flatnonzero(np.diff(found.ranks[pairs.detections], prepend=-1, append=-1))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist()):
        part = pairs.take(slice(begin, end))
        detections, best = _choose(part, ignored, taken, objects.counts)
        area, threshold, which = np.nonzero(best != NONE)
        others = part.objects[best[area, threshold, which]]
        taken[area, threshold, others] = True
        outcome[area, threshold, detections[which]] = np.where(ignored[area, others], IGNORED, RIGHT)
        first = (area == 0) & (threshold == 0)
        chosen[detections[which[first]]] = others[first]
    return Matches(outcome, chosen, num_classes)


def _choose(pairs, ignored, taken, counts):
    """
    Args:
        pairs (Pairs): of at most one detection of a class and an image, the largest IoU of each first
        ignored: bool (A, G), taken: bool (A, T, G), counts: bool (G,)

    Returns:
        int64 (d,), the detections, and int64 (A, T, d), the pair that each chooses, or NONE
    """
    starts = np.flatnonzero(np.diff(pairs.detections, prepend=-1))
    size = len(pairs.ious)
    # as pycocotools has it, an IoU of 1 is enough for any threshold
    is_enough = pairs.ious >= np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]
    is_free = ~(taken[:, :, pairs.objects] & counts[pairs.objects]) & is_enough
    # the first pair is the best, and any object that is not ignored is better than those that are
    value = np.arange(size, 0, -1) + np.where(ignored[:, pairs.objects], 0, size)
    best = np.maximum.reduceat(np.where(is_free, value[:, None], 0), starts, axis=2)
    return pairs.detections[starts], np.where(best > 0, (size - best) % size, NONE)
