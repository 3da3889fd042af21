"""
What the mistakes of a detector cost: each wrong detection and each object that was not found gets one kind, and of each
kind the average precision that is gained if it were mended (Bolya et al. 2020, "TIDE: A General Toolbox for Identifying
Object Detection Errors"). All at an IoU of 0.5; the gains of several kinds are not those of each added up.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metrics.matching import LEAST_IOU, NONE, RIGHT, WRONG, Matched
from metrics.resampled import area_under, mean

CLASS, BOX, BOTH, DUPLICATE, BACKGROUND, MISSED = KINDS = (
    "wrong class", "poor box", "both", "duplicate", "background", "missed")
WHAT = {
    CLASS: "it overlaps an object of another class, with an IoU of 0.5 or more; mended, it has the object's class",
    BOX: "it overlaps an object of its class, with an IoU of 0.1 to 0.5; mended, it has the object's box",
    BOTH: "it overlaps an object of another class, with an IoU of 0.1 to 0.5; mended, it is not there",
    DUPLICATE: "another detection with a higher score has found its object; mended, it is not there",
    BACKGROUND: "it overlaps no object, with an IoU of 0.1 or more; mended, it is not there",
    MISSED: "an object that no detection finds, also not after its class or its box is mended; mended, it is no object",
}
FALSE_POSITIVES, FALSE_NEGATIVES = "all wrong detections", "all objects that are not found"
AT = 0.5


class Mistakes(NamedTuple):
    """
    Attributes:
        kinds: int64 (D,), of each detection the number of its kind in KINDS, or NONE for one that is no mistake
        objects: int64 (D,), the object that a detection should have found: of CLASS and BOX, and for a DUPLICATE that
            which is found already; or NONE
        is_missed: bool (G,)
        base: float64 (C,), average precision at an IoU of 0.5; NaN for a class without objects
        gains: dict of KINDS, FALSE_POSITIVES and FALSE_NEGATIVES to float64 (C,), what is gained if it were mended
    """

    kinds: np.ndarray
    objects: np.ndarray
    is_missed: np.ndarray
    base: np.ndarray
    gains: dict[str, np.ndarray]

    def count(self, kind: str) -> int:
        return int(self.is_missed.sum() if kind == MISSED else (self.kinds == KINDS.index(kind)).sum())

    def gain(self, kind: str) -> float:
        """Returns: the mean over the classes with objects"""
        return float(mean(self.gains[kind]))


class _Best(NamedTuple):
    """Of each detection the largest IoU (0: none) with some of the objects, and which that is"""

    ious: np.ndarray
    objects: np.ndarray


def find_mistakes(matched: Matched) -> Mistakes:
    objects, found, pairs, matches = matched
    outcome = matches.outcome[0, 0]
    pairs = pairs.take(objects.counts[pairs.objects])
    is_own = objects.labels[pairs.objects] == found.labels[pairs.detections]
    own, other = (_best(pairs.take(some), len(outcome)) for some in (is_own, ~is_own))
    # in TIDE's order: the first that fits
    rules = {BOX: (own.ious >= LEAST_IOU) & (own.ious < AT), CLASS: other.ious >= AT, DUPLICATE: own.ious >= AT,
             BACKGROUND: np.maximum(own.ious, other.ious) < LEAST_IOU}
    kinds = np.select(list(rules.values()), [KINDS.index(kind) for kind in rules], KINDS.index(BOTH))
    kinds[outcome != WRONG] = NONE
    meant = np.select([kinds == KINDS.index(kind) for kind in (BOX, CLASS, DUPLICATE)],
                      [own.objects, other.objects, own.objects], NONE)
    is_found = np.zeros(len(objects.labels), dtype=bool)
    is_found[matches.objects[outcome == RIGHT]] = True
    return _judge(matched, kinds, meant, is_found)


def _best(pairs, num_detections):
    order = np.lexsort([pairs.objects, -pairs.ious, pairs.detections])
    first = order[np.diff(pairs.detections[order], prepend=-1) > 0]
    best = _Best(np.zeros(num_detections), np.full(num_detections, NONE))
    best.ious[pairs.detections[first]], best.objects[pairs.detections[first]] = pairs.ious[first], pairs.objects[first]
    return best


def _judge(matched, kinds, meant, is_found):
    """Returns: Mistakes, with what each kind costs"""
    objects, found, _, matches = matched
    outcome, num_classes = matches.outcome[0, 0], matches.num_classes
    mended = _mended(found, kinds, meant, is_found)
    could_be = np.zeros(len(is_found), dtype=bool)
    could_be[meant[mended]] = True
    is_missed = objects.counts & ~is_found & ~could_be

    def precision(is_wrong, is_right, labels=found.labels, lost=None):
        totals = np.bincount(objects.labels[objects.counts], minlength=num_classes + 1)[1:]
        left = totals - (0 if lost is None else np.bincount(objects.labels[lost], minlength=num_classes + 1)[1:])
        areas = average_precision(labels, found.scores, is_wrong, is_right, left)
        # a class of which nothing is left to find has no mistake left
        return np.where(totals > 0, np.where(left > 0, areas, 1), np.nan)

    is_wrong, is_right = outcome == WRONG, outcome == RIGHT
    base, gains = precision(is_wrong, is_right), {}
    for number, kind in enumerate(KINDS[:-1]):
        of_kind = kinds == number
        now_right = mended & of_kind
        labels = np.where(now_right, objects.labels[meant], found.labels) if now_right.any() else found.labels
        gains[kind] = precision(is_wrong & ~of_kind, is_right | now_right, labels) - base
    gains[MISSED] = precision(is_wrong, is_right, lost=is_missed) - base
    gains[FALSE_POSITIVES] = precision(np.zeros_like(is_wrong), is_right) - base
    gains[FALSE_NEGATIVES] = precision(is_wrong, is_right, lost=objects.counts & ~is_found) - base
    return Mistakes(kinds, meant, is_missed, base, gains)


def _mended(found, kinds, meant, is_found):
    """
    Returns: bool (D,), the detections of a wrong class or a poor box that would be right, were they mended: of each
        object that is not found, that with the highest score
    """
    candidates = np.flatnonzero(np.isin(kinds, (KINDS.index(CLASS), KINDS.index(BOX))))
    candidates = candidates[~is_found[meant[candidates]]]
    order = candidates[np.lexsort([-found.scores[candidates], meant[candidates]])]
    mended = np.zeros(len(kinds), dtype=bool)
    mended[order[np.diff(meant[order], prepend=-1) > 0]] = True
    return mended


def average_precision(labels, scores, is_wrong, is_right, totals):
    """
    Args:
        labels: int (D,) in 1..C, scores: float (D,)
        is_wrong, is_right: bool (D,); a detection that is neither is left out
        totals: int (C,), how many objects each class has

    Returns:
        float64 (C,), COCO's, at 101 points; 0 for a class without right detections
    """
    order = np.lexsort([-scores, labels])
    order = order[(is_wrong | is_right)[order]]
    labels, is_right = labels[order], is_right[order]
    starts = np.flatnonzero(np.diff(labels, prepend=0))
    first = np.repeat(starts, np.diff(starts, append=len(labels)))
    sums = np.concatenate([[0], np.cumsum(is_right)])
    num_right, num_all = sums[1:] - sums[first], np.arange(len(labels)) - first + 1
    areas = np.zeros(len(totals))
    if len(labels):
        areas[labels[starts] - 1] = area_under(num_right[None], num_all[None], totals[labels - 1][None], labels,
                                               starts)[0]
    return areas
