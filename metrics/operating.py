"""
What a detector does from a score on: the threshold at which F1 is best, whether scores are the shares of detections
that are right, and which classes are taken for which. All at an IoU of 0.5.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metrics.matching import IGNORED, NONE, RIGHT, WRONG, Matched

NUM_BINS = 10
BACKGROUND = 0    # the label


class Operating(NamedTuple):
    """
    At which score F1, the harmonic mean of precision and recall, is best. NaN where nothing is right.

    Attributes:
        threshold, precision, recall, f1: float64 (C + 1,), at first of all classes together, then of each
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def best_operating(matched: Matched) -> Operating:
    objects, found, _, matches = matched
    outcome, num_classes = matches.outcome[0, 0], matches.num_classes
    judged = np.flatnonzero(outcome != IGNORED)
    totals = np.bincount(objects.labels[objects.counts], minlength=num_classes + 1)
    bounds = np.searchsorted(found.labels[judged], np.arange(1, num_classes + 2))
    by_score = judged[np.argsort(-found.scores[judged], kind="stable")]
    lists = [by_score, *(judged[begin:end] for begin, end in zip(bounds[:-1], bounds[1:]))]
    totals[0] = totals.sum()
    rows = [_best(found.scores[chosen], outcome[chosen] == RIGHT, total) for chosen, total in zip(lists, totals)]
    return Operating(*np.array(rows).T)


def _best(scores, is_right, total):
    """Returns: threshold, precision, recall and F1; scores descend"""
    num_right = np.cumsum(is_right)
    if not total or not len(scores) or not num_right[-1]:
        return (np.nan,) * 4
    # a threshold cannot tell equal scores apart
    last = np.flatnonzero(np.diff(scores, append=-np.inf))
    f1 = 2 * num_right[last] / (last + 1 + total)
    k = int(f1.argmax())
    return scores[last[k]], num_right[last[k]] / (last[k] + 1), num_right[last[k]] / total, f1[k]


class Calibration(NamedTuple):
    """
    Detections in NUM_BINS bins of their scores, over 0..1 (Guo et al. 2017, and for detectors Küppers et al. 2020).

    Attributes:
        counts: int64 (bins,), of detections that are right or wrong
        confidence: float64 (bins,), their mean score; NaN for an empty bin
        precision: float64 (bins,), the share that is right
        ece: expected calibration error, the mean over detections of how far both are apart; NaN without detections
        ece_of_classes: float64 (C,), likewise
    """

    counts: np.ndarray
    confidence: np.ndarray
    precision: np.ndarray
    ece: float
    ece_of_classes: np.ndarray


def calibrate(matched: Matched) -> Calibration:
    outcome, found = matched.matches.outcome[0, 0], matched.found
    judged = outcome != IGNORED
    scores, labels, is_right = found.scores[judged], found.labels[judged] - 1, outcome[judged] == RIGHT
    bins = np.clip((scores * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)
    shape = matched.matches.num_classes, NUM_BINS
    cells = labels * NUM_BINS + bins
    counts, confidence, right = (np.bincount(cells, weights, minlength=shape[0] * shape[1]).reshape(shape)
                                 for weights in (None, scores, is_right))
    with np.errstate(invalid="ignore"):
        return Calibration(counts.sum(axis=0), confidence.sum(axis=0) / counts.sum(axis=0),
                           right.sum(axis=0) / counts.sum(axis=0),
                           float(np.abs(confidence.sum(axis=0) - right.sum(axis=0)).sum() / np.float64(counts.sum())),
                           np.abs(confidence - right).sum(axis=1) / counts.sum(axis=1))


def confusion_matrix(matched: Matched, threshold: float) -> np.ndarray:
    """
    What the objects are taken for. Each object that counts and each detection with a score of `threshold` or more is in
    it once, except detections of crowds and of difficult objects. An object is first given to the detection of its
    class that found it, then, with the largest IoU of 0.5 or more first, to one of another class.

    Returns:
        int64 (C + 1, C + 1): row: the class of an object, or BACKGROUND for a detection without one; column: the class
        of a detection, or BACKGROUND for an object without one
    """
    objects, found, pairs, matches = matched
    outcome = matches.outcome[0, 0]
    is_kept = (found.scores >= threshold) & (outcome != IGNORED)
    partner = np.where(is_kept & (outcome == RIGHT), matches.objects, NONE)
    is_free = objects.counts.copy()
    is_free[partner[partner != NONE]] = False
    is_left = is_kept & (outcome == WRONG)
    others = pairs.take(is_left[pairs.detections] & is_free[pairs.objects] & (pairs.ious >= 0.5))
    others = others.take(np.argsort(-others.ious, kind="stable"))
    for detection, one in zip(others.detections.tolist(), others.objects.tolist()):
        if is_free[one] and partner[detection] == NONE:
            partner[detection], is_free[one] = one, False
    labels = np.where(partner == NONE, BACKGROUND, np.append(objects.labels, BACKGROUND)[partner])
    matrix = np.zeros((matches.num_classes + 1,) * 2, dtype=np.int64)
    np.add.at(matrix, (labels[is_kept], found.labels[is_kept]), 1)
    np.add.at(matrix, (objects.labels[is_free], BACKGROUND), 1)
    return matrix
