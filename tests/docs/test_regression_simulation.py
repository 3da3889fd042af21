"""Boxes that move under a loss alone."""

import numpy as np
import pytest

from docs.regression_simulation import make_cases, simulate
from modeling.losses import IOU_KINDS


@pytest.fixture(scope="module")
def cases():
    return make_cases(num_points=10)


@pytest.fixture(scope="module")
def disjoint(cases):
    """Which of the cases start apart from their target."""
    boxes, targets = cases
    size = np.minimum(boxes[:, 2:], targets[:, 2:]) - np.maximum(boxes[:, :2], targets[:, :2])
    apart = (size <= 0).any(axis=1)
    assert 0.2 < apart.mean() < 0.9
    return apart


@pytest.fixture(scope="module")
def runs(cases):
    """By kind of loss: distances at each step, and the boxes in the end."""
    return {kind: simulate(kind, *cases) for kind in IOU_KINDS}


def test_disjoint_boxes_do_not_move_under_iou(cases, disjoint, runs):
    np.testing.assert_allclose(runs["iou"][1][disjoint], cases[0][disjoint], atol=1e-4)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_disjoint_boxes_move_to_their_targets_under_the_others(cases, disjoint, runs, kind):
    distances, boxes = runs[kind]
    assert (distances[-1] < distances[0])[disjoint].all()
    assert distances[-1][disjoint].mean() < 0.05 * distances[0][disjoint].mean()
    np.testing.assert_allclose(np.median(np.abs(boxes - cases[1])[disjoint]), 0, atol=0.01)


def test_boxes_that_overlap_their_targets_come_closer_under_all(disjoint, runs):
    for distances, _ in runs.values():
        assert distances[-1][~disjoint].mean() < 0.2 * distances[0][~disjoint].mean()


def test_ciou_ends_closest_as_in_the_paper(runs):
    ends = {kind: distances[-1].mean() for kind, (distances, _) in runs.items()}
    assert ends["ciou"] < min(ends["giou"], ends["diou"]) and max(ends["giou"], ends["diou"]) < ends["iou"]
