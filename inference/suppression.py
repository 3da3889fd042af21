"""
Detections of candidates in NumPy: non-maximum suppression, Soft-NMS (Bodla et al. 2017) and box voting (Gidaris &
Komodakis 2015), as Detectron has them.
"""
from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import numpy as np

from inference.overlaps import box_iou

SOFT_NMS_FLOOR = 1e-4    # what Soft-NMS leaves a lower score is dropped


class Suppression(NamedTuple):
    """
    How detections are chosen among the candidates of an image.

    Attributes:
        nms_thresh (float): IoU beyond which a better box suppresses another; of kind "gaussian" no matter
        max_detections (int)
        kind (str): "" drops what is suppressed; "linear" and "gaussian" lower its score
        sigma (float): of "gaussian"
        vote_thresh (float): IoU from which on a candidate of the same class votes on a box; 0: none does
        class_agnostic (bool): a box suppresses those of all classes
    """

    nms_thresh: float
    max_detections: int
    kind: str = ""
    sigma: float = 0.5
    vote_thresh: float = 0.0
    class_agnostic: bool = False


def make_suppression(cfg):
    """Args: cfg (AttrDict): the TEST part of a config. Returns: Suppression"""
    return Suppression(cfg.FRCNN_NMS_THRESH, cfg.RESULTS_PER_IM, cfg.SOFT_NMS, cfg.SOFT_NMS_SIGMA,
                       cfg.BBOX_VOTE_THRESH, cfg.NMS_CLASS_AGNOSTIC)


def choose(boxes, scores, labels, suppression):
    """
    Args:
        boxes: float32 (N, 4), the candidates of an image
        scores: float32 (N,)
        labels: int (N,)
        suppression (Suppression)

    Returns:
        float32 (D, 4), float32 (D,), int (D,): boxes, scores and labels of the detections, the highest score first
    """
    groups = np.zeros(len(labels), int) if suppression.class_agnostic else labels
    kept = [_suppress(np.flatnonzero(groups == group), boxes, scores, suppression) for group in np.unique(groups)]
    index, kept_scores = (np.concatenate(parts) for parts in zip(*kept)) if kept else (np.zeros(0, int), scores)
    best = np.argsort(-kept_scores, kind="stable")[:suppression.max_detections]
    index, kept_scores = index[best], kept_scores[best]
    chosen = boxes[index]
    if suppression.vote_thresh:
        chosen = _vote(chosen, labels[index], (boxes, scores, labels), suppression.vote_thresh)
    return chosen, kept_scores, labels[index]


def _suppress(group, boxes, scores, suppression):
    """
    Args:
        group: int (G,), the candidates that are held against each other
        boxes, scores, suppression: as of `choose`

    Returns:
        int (K,), float32 (K,): those that are kept, the best first, and the scores that are left to them
    """
    boxes, left = boxes[group], scores[group]
    floor = SOFT_NMS_FLOOR if suppression.kind else np.finfo(np.float32).tiny
    kept, kept_scores = [], []
    # no more of one group can be among the best of all
    for _ in range(min(suppression.max_detections, len(group))):
        best = int(left.argmax())
        if left[best] < floor:
            break
        kept.append(best)
        kept_scores.append(left[best])
        left = left * _factors(box_iou(boxes[best], boxes)[0], suppression)
        left[best] = 0
    return group[kept], np.array(kept_scores, np.float32)


def _factors(ious, suppression):
    """Returns: (N,), what the scores of boxes are multiplied by that overlap a better one so"""
    if suppression.kind == "gaussian":
        return np.exp(-ious ** 2 / suppression.sigma)
    beyond = ious > suppression.nms_thresh
    return np.where(beyond, 1 - ious if suppression.kind == "linear" else 0, 1).astype(np.float32)


def _vote(boxes, labels, candidates, vote_thresh):
    """
    Args:
        boxes: (D, 4)
        labels: int (D,)
        candidates: boxes (N, 4), scores (N,) and labels (N,) of all, the boxes themselves among them

    Returns:
        float32 (D, 4), the means of the candidates of its class that overlap each box, weighted by their scores
    """
    other_boxes, other_scores, other_labels = candidates
    votes = (box_iou(boxes, other_boxes) >= vote_thresh) & (labels[:, None] == other_labels)
    weights = votes * other_scores.astype(np.float64)
    return (weights @ other_boxes / weights.sum(axis=1, keepdims=True)).astype(np.float32)
