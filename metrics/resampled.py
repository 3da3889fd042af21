"""
COCO's average precision of a data set, and of the same with each image counted a number of times.

Between two right detections of a class nothing happens to its curve but that wrong ones are counted. So a curve is kept
as its events: the right detections, and where the detections that are judged are not those of the first threshold. A
draw of a bootstrap is then a few sums, and no new evaluation.
"""
from __future__ import annotations

import numpy as np

from metrics.coco import RECALLS
from metrics.matching import AREAS, IGNORED, RIGHT, Matched

ELEMENTS_AT_ONCE = 1 << 21    # of arrays, for several draws
COLUMNS = ("AP", "AP50", "AP75", *(f"AP {name}" for name in list(AREAS)[1:]))


class Curves:
    """
    The precision-recall curves of all A ranges of areas, T thresholds and C classes.

    Args:
        matched: of a data set and its results
        num_images: of the data set

    Attributes:
        draws_at_once: that fit ELEMENTS_AT_ONCE
    """

    def __init__(self, matched: Matched, num_images: int):
        outcome, _, num_classes = matched.matches
        self.shape = *outcome.shape[:2], num_classes
        self.num_images = num_images
        self._of_objects(matched.objects)
        self._of_detections(outcome, matched.found)
        largest = max(len(self.base_images), len(self.segments), len(self.object_images), 1)
        self.draws_at_once = max(ELEMENTS_AT_ONCE // largest, 1)

    def _of_objects(self, objects):
        """How many objects each curve has to find: images of those that count, and where each class begins"""
        limits = np.array(list(AREAS.values()))[:, :, None]
        counts = objects.counts & (objects.areas >= limits[:, 0]) & (objects.areas <= limits[:, 1])
        areas, numbers = np.nonzero(counts)
        keys = areas * self.shape[2] + objects.labels[numbers] - 1
        order = np.argsort(keys, kind="stable")
        self.object_images = objects.images[numbers[order]]
        self.object_bounds = np.searchsorted(keys[order], np.arange(self.shape[0] * self.shape[2] + 1))

    def _of_detections(self, outcome, found):
        judged = outcome != IGNORED
        # of each range the detections that are judged at the first threshold
        areas, base = np.nonzero(judged[:, 0])
        self.base_images = found.images[base]
        change = judged.astype(np.int8) - judged[:, :1]
        is_right = outcome == RIGHT
        area, threshold, event = np.nonzero(is_right | (change != 0))
        self.is_right, self.change = is_right[area, threshold, event], change[area, threshold, event]
        self.event_images = found.images[event]
        num_detections = len(found.labels)
        # how many of the base come before a class, and up to an event
        keys = areas * num_detections + base
        class_starts = np.searchsorted(found.labels, found.labels[event])
        self.base_before, self.base_up_to = (
            np.searchsorted(keys, area * num_detections + last) for last in (class_starts, event + 1))
        self.segments = np.ravel_multi_index((area, threshold, found.labels[event] - 1), self.shape)
        self.starts = np.flatnonzero(np.diff(self.segments, prepend=-1))
        self.first = np.repeat(self.starts, np.diff(self.starts, append=len(self.segments)))

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """
        Args:
            weights: whole numbers (B, images), how many times each image counts in each of B draws; None for once in
                one draw

        Returns:
            float64 (B, A, T, C); NaN for a class without objects of such an area
        """
        weights = np.ones((1, self.num_images)) if weights is None else weights
        weights = np.asarray(weights, dtype=np.int32)    # sums of whole numbers take a tenth of the time
        return np.concatenate([self._of_draws(weights[begin:begin + self.draws_at_once])
                               for begin in range(0, len(weights), self.draws_at_once)])

    def _of_draws(self, weights):
        totals = _sums(_take(weights, self.object_images))
        totals = np.diff(_take(totals, self.object_bounds), axis=1)
        totals = np.repeat(totals.reshape(len(weights), self.shape[0], 1, self.shape[2]), self.shape[1], axis=2)
        totals = totals.reshape(len(weights), -1)
        areas = np.zeros(totals.shape)
        if len(self.segments):
            areas[:, self.segments[self.starts]] = self._areas(weights, totals)
        return np.where(totals > 0, areas, np.nan).reshape(len(weights), *self.shape)

    def _areas(self, weights, totals):
        """Returns: float64 (B, curves with an event)"""
        of_events = _take(weights, self.event_images)
        num_right = self._since_start(of_events * self.is_right)
        base = _sums(_take(weights, self.base_images))
        judged = _take(base, self.base_up_to) - _take(base, self.base_before)
        judged += self._since_start(of_events * self.change)
        return area_under(num_right, judged, _take(totals, self.segments), self.segments, self.starts)

    def _since_start(self, values):
        """Returns: int32 (B, events), sums from the first event of a curve on"""
        sums = _sums(values)
        return sums[:, 1:] - _take(sums, self.first)


def columns_of(precisions):
    """Returns: float64 (B, C, COLUMNS) of the (B, A, T, C) of `Curves.average_precision`"""
    return np.stack([mean(precisions[:, 0], axis=1), precisions[:, 0, 0], precisions[:, 0, 5],
                     *(mean(precisions[:, area], axis=1) for area in range(1, len(AREAS)))], axis=-1)


def _take(array, index):
    return np.take(array, index, axis=1, mode="clip")    # the quickest mode; none is outside


def _sums(values):
    """Returns: int32 (B, n + 1), of the first 0 to n of each row"""
    sums = np.zeros((len(values), values.shape[1] + 1), dtype=np.int32)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def area_under(num_right, num_judged, totals, segments, starts):
    """
    Args:
        num_right, num_judged, totals: whole numbers (B, E): at E points of curves, how many detections so far are
            right, how many there are, and how many objects there are to find
        segments: (E,), the number of the curve of each point, ascending
        starts: where each of the curves begins

    Returns:
        float64 (B, curves), COCO's average precision: the mean of the highest precisions from RECALLS on
    """
    # without a detection none is right
    precision, recall = num_right / np.maximum(num_judged, 1), num_right / np.maximum(totals, 1)
    # of a later curve nothing is as high
    later = -2.0 * segments
    envelope = np.maximum.accumulate((precision + later)[:, ::-1], axis=1)[:, ::-1] - later
    passed = _points_passed(recall)
    new = np.diff(passed, axis=1, prepend=0)
    new[:, starts] = passed[:, starts]
    return np.add.reduceat(envelope * new, starts, axis=1) / len(RECALLS)


def _points_passed(recall):
    """Returns: int64, how many of RECALLS are not above each recall"""
    nearest = np.rint(recall * (len(RECALLS) - 1)).astype(np.int64)
    return nearest + (RECALLS[nearest] <= recall)


def mean(values: np.ndarray, axis=None) -> np.ndarray:
    """Returns: the mean over those that are there; NaN where none is"""
    is_there = ~np.isnan(values)
    count = is_there.sum(axis=axis)
    total = np.where(is_there, values, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
