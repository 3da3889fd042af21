"""RoIAlign, against torchvision's recorded results and against loops."""

import numpy as np
import pytest
import tensorflow as tf

import pooling_reference as reference
from graph import gradients, run
from modeling.roi_pool import adaptive
from modeling.roi_pool.align import Bordered, RoIAlign
from modeling.roi_pool.grid import crop_bins


def bordered(features):
    return np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="symmetric")


def align(features, boxes, image_index, size):
    return RoIAlign().pool(Bordered(features), boxes, image_index, size)


@pytest.fixture(scope="module")
def ops(golden):
    return np.load(f"{golden}/ops.npz")


# shifted ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=[7, 14])
def ours_and_theirs(ops, request):
    """Our RoIAlign and torchvision's, of the same boxes."""
    features, stride = bordered(ops["features_nhwc"]), float(ops["roi_stride"])
    ours = run(lambda f, b, i: align(f, b / stride, i, request.param), features, ops["roi_boxes"],
               ops["roi_batch_inds"].astype(np.int32))
    return ours, ops[f"roi_align_{request.param}"]


def touches_border(ops):
    height, width = np.array(ops["features_nhwc"].shape[1:3]) * float(ops["roi_stride"])
    boxes = ops["roi_boxes"]
    return (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2] == width) | (boxes[:, 3] == height)


def test_roi_align_of_boxes_inside_is_that_of_torchvision(ops, ours_and_theirs):
    inside = ~touches_border(ops)
    assert inside.sum() > 10
    np.testing.assert_allclose(ours_and_theirs[0][inside], ours_and_theirs[1][inside], atol=1e-4)


def test_roi_align_at_the_border_is_that_of_torchvision(ops, ours_and_theirs):
    # torchvision clamps a sample within one pixel of the map to it, and gives 0 beyond; the border of one pixel, and
    # crop_and_resize's 0 beyond it, say the same
    at_border = touches_border(ops)
    assert at_border.sum() > 3
    np.testing.assert_allclose(ours_and_theirs[0][at_border], ours_and_theirs[1][at_border], atol=1e-4)


def test_roi_align_of_a_plane_is_the_plane_at_the_centres_of_the_bins():
    y, x = np.mgrid[:12, :16] + 0.5
    plane = (2 * x + 3 * y)[None, ..., None].astype(np.float32)
    box = np.float32([[3.2, 2.1, 10.2, 9.1]])
    centre = (np.arange(7) + 0.5) * 7 / 7
    expected = 2 * (3.2 + centre[None]) + 3 * (2.1 + centre[:, None])
    pooled = run(lambda f, b: align(f, b, tf.zeros([1], tf.int32), 7), bordered(plane), box)
    np.testing.assert_allclose(pooled[0, ..., 0], expected, rtol=1e-5)


def test_each_box_sees_its_own_image():
    features = np.stack([np.full((6, 6, 2), value, np.float32) for value in (1, 2, 3)])
    pooled = run(lambda f, b, i: align(f, b, i, 2), bordered(features), np.float32([[1, 1, 4, 4]] * 4),
                 np.int32([2, 0, 1, 2]))
    np.testing.assert_allclose(pooled[:, 0, 0, 0], [3, 1, 2, 3], rtol=1e-6)


def test_a_box_as_large_as_the_map_sees_no_zeros_from_beyond():
    pooled = run(lambda f, b: align(f, b, tf.zeros([1], tf.int32), 14),
                 bordered(np.ones((1, 5, 5, 1), np.float32)), np.float32([[0, 0, 5, 5]]))
    np.testing.assert_allclose(pooled, 1, rtol=1e-6)


def test_a_box_without_extent_gives_the_value_at_its_place():
    x = np.arange(8, dtype=np.float32)
    features = np.tile(x, (8, 1))[None, ..., None]
    pooled = run(lambda f, b: align(f, b, tf.zeros([1], tf.int32), 3), bordered(features),
                 np.float32([[3.5, 2, 3.5, 2]]))
    np.testing.assert_allclose(pooled, 3, rtol=1e-6)


def test_crop_bins_are_zero_beyond_the_map():
    crops = run(lambda f, b: crop_bins(f, b, tf.zeros([1], tf.int32), [4, 4]), np.ones((1, 4, 4, 1), np.float32),
                np.float32([[-4, 0, 4, 4]]))
    np.testing.assert_allclose(crops[0, :, :, 0], np.tile([0, 0, 1, 1], (4, 1)), atol=1e-6)


# all kinds ----------------------------------------------------------------------------------------------------------
KINDS = [RoIAlign(2, False), RoIAlign(1, False), RoIAlign(3, True), RoIAlign(0, True), RoIAlign(0, False)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_the_mean_of_samples_as_by_loops(kind):
    arrays = reference.example(channels=3, count=40)
    expected = reference.of_each_box(lambda image, box: reference.roi_align(image, box, 3, *kind), *arrays)
    np.testing.assert_allclose(run(reference.pooled_by(kind), *arrays), expected, atol=1e-4)


@pytest.mark.parametrize("box, expected", [((2, 2, 5, 5), [2.5, 3.5, 4.5]), ((2, 2, 2, 2), [13 / 6, 15 / 6, 17 / 6])])
def test_unshifted_a_pixel_stands_at_its_corner_and_a_box_is_at_least_a_pixel(box, expected):
    columns = np.tile(np.arange(14, dtype=np.float32), (2, 10, 1))[..., None]
    pooled = run(reference.pooled_by(RoIAlign(2, False)), columns, np.float32([box]), np.int32([0]))
    np.testing.assert_allclose(pooled[0, 0, :, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_gradient_is_that_of_finite_differences(kind):
    gradient, differences = reference.gradient_and_finite_differences(kind, step=1.0)
    np.testing.assert_allclose(gradient, differences, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_boxes_give_no_features_and_a_gradient_of_zero(kind):
    arrays = reference.example(channels=3, count=0)
    assert run(reference.pooled_by(kind), *arrays).shape == (0, 3, 3, 3)
    np.testing.assert_array_equal(gradients(reference.pooled_by(kind), *arrays)[0], 0)


def test_boxes_that_ask_for_more_than_fits_at_a_time_are_pooled_one_after_another(monkeypatch):
    arrays = reference.example(channels=3, count=40)
    at_once = run(reference.pooled_by(RoIAlign(0)), *arrays)
    monkeypatch.setattr(adaptive, "LARGEST_CROP", 3 * 3 * 3 * 4)
    np.testing.assert_allclose(run(reference.pooled_by(RoIAlign(0)), *arrays), at_once, rtol=1e-6)
