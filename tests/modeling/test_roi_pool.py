"""RoIAlign, against torchvision's recorded results."""

import numpy as np
import pytest
import tensorflow as tf

from graph import gradients, run
from modeling.roi_pool import assign_levels, crop_bins, multilevel_roi_align, roi_align

STRIDES = [4, 8, 16, 32]


def bordered(features):
    return np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="symmetric")


@pytest.fixture(scope="module")
def ops(golden):
    return np.load(f"{golden}/ops.npz")


# one level ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=[7, 14])
def ours_and_theirs(ops, request):
    """Our RoIAlign and torchvision's, of the same boxes."""
    features, stride = bordered(ops["features_nhwc"]), float(ops["roi_stride"])
    ours = run(lambda f, b, i: roi_align(f, b / stride, i, request.param), features, ops["roi_boxes"],
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
    pooled = run(lambda f, b: roi_align(f, b, tf.zeros([1], tf.int32), 7), bordered(plane), box)
    np.testing.assert_allclose(pooled[0, ..., 0], expected, rtol=1e-5)


def test_each_box_sees_its_own_image():
    features = np.stack([np.full((6, 6, 2), value, np.float32) for value in (1, 2, 3)])
    pooled = run(lambda f, b, i: roi_align(f, b, i, 2), bordered(features), np.float32([[1, 1, 4, 4]] * 4),
                 np.int32([2, 0, 1, 2]))
    np.testing.assert_allclose(pooled[:, 0, 0, 0], [3, 1, 2, 3], rtol=1e-6)


def test_a_box_as_large_as_the_map_sees_no_zeros_from_beyond():
    pooled = run(lambda f, b: roi_align(f, b, tf.zeros([1], tf.int32), 14),
                 bordered(np.ones((1, 5, 5, 1), np.float32)), np.float32([[0, 0, 5, 5]]))
    np.testing.assert_allclose(pooled, 1, rtol=1e-6)


def test_a_box_without_extent_gives_the_value_at_its_place():
    x = np.arange(8, dtype=np.float32)
    features = np.tile(x, (8, 1))[None, ..., None]
    pooled = run(lambda f, b: roi_align(f, b, tf.zeros([1], tf.int32), 3), bordered(features),
                 np.float32([[3.5, 2, 3.5, 2]]))
    np.testing.assert_allclose(pooled, 3, rtol=1e-6)


def test_crop_bins_are_zero_beyond_the_map():
    crops = run(lambda f, b: crop_bins(f, b, tf.zeros([1], tf.int32), 4), np.ones((1, 4, 4, 1), np.float32),
                np.float32([[-4, 0, 4, 4]]))
    np.testing.assert_allclose(crops[0, :, :, 0], np.tile([0, 0, 1, 1], (4, 1)), atol=1e-6)


# levels -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("edge, level", [
    (1, 0), (111.9, 0), (112, 1), (223.9, 1), (224, 2), (447.9, 2), (448, 3), (895, 3), (896, 3), (5000, 3)])
def test_the_level_of_a_box_follows_its_size(edge, level):
    assert run(lambda b: assign_levels(b, 4), np.float32([[10, 20, 10 + edge, 20 + edge]])) == level


def test_the_size_of_a_box_is_the_root_of_its_area():
    assert run(lambda b: assign_levels(b, 4), np.float32([[0, 0, 56, 224], [0, 0, 896, 56]])).tolist() == [1, 2]


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (5, 5, 5, 900), (9, 9, 5, 5), (900, 900, 0, 0)])
def test_a_box_without_extent_is_of_the_finest_level(box):
    assert run(lambda b: assign_levels(b, 4), np.float32([box])) == 0


def pyramid_of(values, size=512, batch=2):
    """A pyramid whose levels have constant values, plus 100 in the second image."""
    return [bordered(np.stack([np.full((size // s, size // s, 1), v + 100 * b, np.float32) for b in range(batch)]))
            for s, v in zip(STRIDES, values)]


BOXES = np.float32([(0, 0, 500, 500), (10, 10, 40, 40), (0, 0, 300, 300), (100, 100, 260, 260), (0, 0, 10, 10),
                    (5, 5, 470, 480)])
IMAGES = np.int32([0, 1, 1, 0, 0, 1])


def pool_in_order(pyramid, boxes, images, size):
    pooled = multilevel_roi_align(pyramid, STRIDES[:len(pyramid)], boxes, images, size)
    return pooled.in_order_of_boxes(pooled.values)


def pool(boxes, images, *pyramid, size=2):
    return run(lambda b, i, *p: pool_in_order(p, b, i, size), boxes, images, *pyramid)


def test_pooling_from_levels_keeps_the_order_of_the_boxes():
    pooled = pool(BOXES, IMAGES, *pyramid_of([2, 3, 4, 5]))
    assert pooled.shape == (6, 2, 2, 1)
    np.testing.assert_allclose(pooled[:, 0, 0, 0], [5, 102, 104, 3, 2, 105], rtol=1e-6)


def test_pooling_from_levels_is_roi_align_on_the_level_of_each_box():
    rng = np.random.default_rng(0)
    pyramid = [bordered(rng.normal(size=(2, 512 // s, 512 // s, 3)).astype(np.float32)) for s in STRIDES]
    pooled = pool(BOXES, IMAGES, *pyramid, size=7)
    for r, level in enumerate([3, 0, 2, 1, 0, 3]):
        alone = run(lambda f, b, i, s=STRIDES[level]: roi_align(f, b / s, i, 7), pyramid[level], BOXES[r:r + 1],
                    IMAGES[r:r + 1])
        np.testing.assert_allclose(pooled[r], alone[0], rtol=1e-5, atol=1e-5)


def test_pooling_from_a_single_level_takes_all_boxes_from_it():
    pooled = pool(BOXES, IMAGES, pyramid_of([7])[0])
    np.testing.assert_allclose(pooled[:, 0, 0, 0], [7, 107, 107, 7, 7, 107], rtol=1e-6)


def test_a_gradient_reaches_every_level():
    grads = gradients(lambda *p: pool_in_order(p, tf.constant(BOXES), tf.constant(IMAGES), 7),
                      *pyramid_of([0] * 4))
    assert all(np.abs(g).sum() > 0 for g in grads)


def test_all_that_is_pooled_comes_from_somewhere():
    # bilinear weights of a sample add up to 1, so the gradient of the sum is the number of values
    grads = gradients(lambda *p: pool_in_order(p, tf.constant(BOXES), tf.constant(IMAGES), 7),
                      *pyramid_of([0] * 4))
    np.testing.assert_allclose(sum(g.sum() for g in grads), len(BOXES) * 7 * 7, rtol=1e-4)


def test_no_gradient_flows_into_the_boxes():
    pyramid = pyramid_of([2, 3, 4, 5])
    grad, = gradients(
        lambda b: pool_in_order(list(map(tf.constant, pyramid)), b, tf.constant(IMAGES), 2), BOXES)
    assert grad is None


def test_no_boxes_give_no_features():
    assert pool(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), *pyramid_of([2, 3, 4, 5])).shape == (0, 2, 2, 1)


def test_no_boxes_give_a_gradient_of_zero():
    def pooled(*pyramid):
        return pool_in_order(pyramid, tf.zeros([0, 4]), tf.zeros([0], tf.int32), 7)

    for grad in gradients(pooled, *pyramid_of([2, 3, 4, 5], size=128)):
        np.testing.assert_array_equal(grad, 0)
