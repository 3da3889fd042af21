"""What happens between the stages of a cascade."""

import numpy as np
import pytest

from graph import gradients, run
from modeling.cascade import match_boxes, scale_gradient
from modeling.structures import GroundTruth

GT_BOXES = np.float32([
    [(0, 0, 10, 10), (20, 20, 40, 40), (0, 0, 100, 100)], [(50, 50, 60, 70), (0, 0, 10, 10), (0, 0, 0, 0)]])
GT_LABELS = np.int32([[3, 1, -1], [2, 4, 0]])


def match(boxes, image_index, fg_thresh, gt_boxes=GT_BOXES, gt_labels=GT_LABELS):
    """Labels, and the index of the best object, of each box."""
    rois = run(lambda b, i, *gt: match_boxes(b, i, GroundTruth(*gt), fg_thresh), np.float32(boxes).reshape(-1, 4),
               np.int32(image_index), gt_boxes, gt_labels)
    return rois.labels, rois.gt_index


# matching -----------------------------------------------------------------------------------------------------------
def test_a_box_takes_the_label_of_the_object_it_overlaps_most():
    labels, gt_index = match([(1, 0, 10, 10), (20, 22, 40, 40), (50, 50, 60, 69)], [0, 0, 1], 0.5)
    assert labels.tolist() == [3, 1, 2] and gt_index.tolist() == [0, 1, 3]


def test_a_box_matches_objects_of_its_own_image_only():
    labels, gt_index = match([(0, 0, 10, 10), (0, 0, 10, 10), (20, 20, 40, 40)], [0, 1, 1], 0.5)
    assert labels.tolist() == [3, 4, 0] and gt_index[:2].tolist() == [0, 4]


def test_crowds_and_padding_are_background():
    labels, _ = match([(0, 0, 100, 100), (0, 0, 0, 0)], [0, 1], 0.5)
    assert labels.tolist() == [0, 0]


@pytest.mark.parametrize("fg_thresh, expected", [(0.7, 3), (0.8, 3), (0.81, 0)])
def test_a_box_is_foreground_from_the_threshold_on(fg_thresh, expected):
    assert match([(0, 0, 10, 8)], [0], fg_thresh)[0].tolist() == [expected]


def test_without_objects_all_boxes_are_background():
    labels, gt_index = match([(0, 0, 10, 10)], [0], 0.5, GT_BOXES[:1, :1], np.int32([[0]]))
    assert labels.tolist() == [0] and 0 <= gt_index[0] < 1


def test_no_boxes_have_no_labels():
    labels, gt_index = match([], [], 0.5)
    assert labels.shape == gt_index.shape == (0,)


# gradients ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("factor", [1.0, 1 / 3])
def test_only_the_gradient_is_scaled(factor):
    x = np.float32([[1, -2, 3]])
    np.testing.assert_array_equal(run(lambda x: scale_gradient(x, factor), x), x)
    np.testing.assert_allclose(gradients(lambda x: scale_gradient(x, factor) ** 2, x)[0], 2 * x * factor, rtol=1e-6)
