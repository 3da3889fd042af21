"""RoIPool, against torchvision's recorded results and against loops."""

import numpy as np
import tensorflow as tf

import pooling_reference as reference
from graph import gradients, run
from modeling.roi_pool.pool import Region, RoIPool, bins


def test_it_is_that_of_torchvision(golden):
    ops = np.load(f"{golden}/ops.npz")
    features, stride = ops["features_nhwc"], float(ops["roi_stride"])
    ends = np.tile(np.int32(features.shape[1:3]), (2, 1))
    pooled = run(lambda f, b, i: RoIPool().pool(Region(f, tf.constant(ends)), b / stride, i, 7),
                 features, ops["roi_boxes"], ops["roi_batch_inds"].astype(np.int32))
    np.testing.assert_array_equal(pooled, ops["roi_pool_7"])


def test_it_is_the_maximum_of_the_pixels_of_each_bin_as_by_loops():
    arrays = reference.example(channels=3, count=60)
    expected = reference.of_each_box(lambda image, box: reference.roi_pool(image, box, 3), *arrays)
    np.testing.assert_array_equal(run(reference.pooled_by(RoIPool()), *arrays), expected)


def test_a_bin_beyond_the_image_is_zero():
    below_zero = np.full((2, 10, 14, 1), -5, np.float32)
    pooled = run(reference.pooled_by(RoIPool()), below_zero, np.float32([[8, 1, 10, 4]]), np.int32([1]))
    np.testing.assert_array_equal(pooled[0, :, :, 0], np.tile([-5, -5, 0], (3, 1)))


def test_bins_end_where_float32_has_them_end():
    # of 7 bins of 1 to 120 pixels, and halves, which are rounded away from zero
    high = np.arange(0, 120, 0.5, dtype=np.float32)
    boxes = np.stack([np.full_like(high, 2.5), high, 2.5 + high, 2 * high], axis=1)
    first, end = run(lambda b: bins(b, 7, tf.fill([len(high), 2], 1000)), boxes)
    for axis, (low, high) in enumerate([(1, 3), (0, 2)]):
        expected = np.array([reference.bins(box[low], box[high], 7, 1000) for box in boxes])
        np.testing.assert_array_equal(np.stack([first[:, axis], end[:, axis]], axis=2), expected)


def test_the_gradient_is_that_of_finite_differences():
    gradient, differences = reference.gradient_and_finite_differences(RoIPool(), step=1e-3)
    np.testing.assert_allclose(gradient, differences, atol=2e-2)


def test_the_gradient_goes_to_the_first_of_equal_pixels():
    equal = np.zeros((2, 10, 14, 1), np.float32)
    boxes, image_index = np.float32([[2, 3, 7, 8]]), np.int32([1])
    gradient, _, _ = gradients(reference.pooled_by(RoIPool(), size=1), equal, boxes, image_index)
    assert np.argwhere(gradient).tolist() == [[1, 3, 2, 0]]


def test_no_boxes_give_no_features_and_a_gradient_of_zero():
    arrays = reference.example(channels=3, count=0)
    assert run(reference.pooled_by(RoIPool()), *arrays).shape == (0, 3, 3, 3)
    np.testing.assert_array_equal(gradients(reference.pooled_by(RoIPool()), *arrays)[0], 0)
