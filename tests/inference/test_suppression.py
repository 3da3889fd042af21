"""NMS, Soft-NMS and box voting, against plain loops."""
import math

import common  # noqa: F401

import numpy as np
import pytest

from inference.suppression import Suppression, choose


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def factor(iou, how):
    if how.kind == "gaussian":
        return math.exp(-iou * iou / how.sigma)
    if iou <= how.nms_thresh:
        return 1
    return 1 - iou if how.kind == "linear" else 0


def keep_of_group(candidates, how):
    """Soft-NMS (Bodla et al. 2017, fig. 3). Returns: list of (box, score, label)"""
    left, kept = [list(candidate) for candidate in candidates], []
    while left:
        best = max(left, key=lambda candidate: candidate[1])
        left = [candidate for candidate in left if candidate is not best]
        kept.append(best)
        for candidate in left:
            candidate[1] *= factor(overlap(best[0], candidate[0]), how)
        left = [candidate for candidate in left if candidate[1] >= (1e-4 if how.kind else 1e-30)]
    return kept


def voted(box, label, candidates, thresh):
    voters = [(b, s) for b, s, other in candidates if other == label and overlap(box, b) >= thresh]
    total = sum(s for _, s in voters)
    return [sum(s * b[i] for b, s in voters) / total for i in range(4)]


def reference(boxes, scores, labels, how):
    candidates = list(zip(boxes.astype(float).tolist(), scores.astype(float).tolist(), labels.tolist()))
    groups = [candidates] if how.class_agnostic else [
        [c for c in candidates if c[2] == label] for label in sorted(set(labels.tolist()))]
    kept = sorted((k for group in groups for k in keep_of_group(group, how)), key=lambda k: -k[1])
    kept = kept[:how.max_detections]
    if how.vote_thresh:
        kept = [(voted(box, label, candidates, how.vote_thresh), score, label) for box, score, label in kept]
    return [np.array(part) for part in zip(*kept)]


def candidates(seed, count=150):
    """Boxes in heaps, of three classes"""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, 300, (8, 2))[rng.integers(0, 8, count)] + rng.normal(0, 6, (count, 2))
    half = rng.uniform(15, 30, (count, 2))
    boxes = np.concatenate([centers - half, centers + half], axis=1).astype(np.float32)
    return boxes, rng.permutation(np.linspace(0.05, 0.99, count)).astype(np.float32), rng.integers(1, 4, count)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("vote_thresh", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("kind, sigma", [("", 0.5), ("linear", 0.5), ("gaussian", 0.5), ("gaussian", 0.1)])
def test_detections_are_those_of_plain_loops_box_by_box(kind, sigma, vote_thresh, class_agnostic):
    for seed in range(2):
        for most in (12, 1000):
            how = Suppression(0.5, most, kind, sigma, vote_thresh, class_agnostic)
            found, expected = choose(*candidates(seed), how), reference(*candidates(seed), how)
            assert len(found[1]) == len(expected[1]) >= 8
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
            np.testing.assert_array_equal(found[2], expected[2])
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", ["", "linear", "gaussian"])
def test_without_candidates_there_are_no_detections(kind):
    boxes, scores, labels = choose(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32),
                                   Suppression(0.5, 100, kind, vote_thresh=0.8))
    assert boxes.shape == (0, 4) and scores.shape == labels.shape == (0,)


def test_boxes_and_scores_stay_float32():
    found = choose(*candidates(0), Suppression(0.5, 100, "gaussian", vote_thresh=0.8))
    assert found[0].dtype == found[1].dtype == np.float32
