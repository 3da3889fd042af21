"""RoIs on the levels of a pyramid."""

import numpy as np
import pytest
import tensorflow as tf

from graph import gradients, run
from modeling.roi_pool.align import Bordered, RoIAlign
from modeling.roi_pool.levels import assign_levels, pool_from_levels
from modeling.structures import RoIs

STRIDES = [4, 8, 16, 32]


def bordered(features):
    return np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="symmetric")


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
    levels = list(map(Bordered, pyramid))
    pooled = pool_from_levels(RoIAlign(), levels, STRIDES[:len(pyramid)], RoIs(boxes, images), size)
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
        alone = run(lambda f, b, i, s=STRIDES[level]: RoIAlign().pool(Bordered(f), b / s, i, 7), pyramid[level],
                    BOXES[r:r + 1], IMAGES[r:r + 1])
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
