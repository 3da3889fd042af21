"""The keypoint head: its targets, its loss and its layers, against what torchvision gives."""
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from graph import gradients, run, tower, variable_shapes
from modeling.keypoint_head import (
    DoublingConv2D,
    keypoint_head,
    keypoint_loss,
    keypoint_targets,
    rois_with_keypoints,
    upsample,
)
from modeling.layers import HeadNorm
from modeling.structures import GroundTruth, RoIs


@pytest.fixture(scope="module")
def recorded(golden):
    return types.SimpleNamespace(**np.load(f"{golden}/torchvision/keypoint_ops.npz"))


def gt_of(keypoints, num_images=1):
    """Ground truth whose object i has keypoints[i], of which as many are in each image."""
    per_image = tf.shape(keypoints)[0] // num_images
    shape = [num_images, per_image, *keypoints.shape[1:]]
    return GroundTruth(tf.zeros([num_images, per_image, 4]), None, None, tf.reshape(keypoints, shape))


def loss_of(max_rois=None, num_images=1, image_index=None):
    """The loss of RoI i and object i, as a function of logits, boxes and keypoints."""
    def loss(logits, boxes, keypoints):
        logits = tf.ensure_shape(logits, [None, 56, 56, None])
        num_rois = tf.shape(boxes)[0]
        images = tf.zeros([num_rois], tf.int32) if image_index is None else tf.constant(image_index, tf.int32)
        keypoints = tf.ensure_shape(keypoints, [None, logits.shape[-1], 3])
        rois = RoIs(boxes, images, None, tf.range(num_rois))
        return keypoint_loss(logits, rois, gt_of(keypoints, num_images), max_rois)
    return loss


# targets ------------------------------------------------------------------------------------------------------------
def test_targets_are_the_recorded_ones(recorded):
    places, valid = run(keypoint_targets, recorded.rois, recorded.keypoints)
    np.testing.assert_array_equal(valid, recorded.valid > 0)
    np.testing.assert_array_equal(places[valid], recorded.target_index[valid])


def test_a_keypoint_on_the_right_or_lower_edge_belongs_to_the_last_place_and_one_beyond_to_none():
    box = np.float32([[10, 20, 66, 132]])
    keypoints = np.float32([[(66, 20, 2), (10, 132, 1), (66.1, 20, 2), (9.9, 30, 2), (65.9, 21.9, 2), (30, 40, 0)]])
    places, valid = run(keypoint_targets, box, keypoints)
    assert valid.tolist() == [[True, True, False, False, True, False]]
    assert places.tolist() == [[55, 55 * 56, 0, 0, 55, 0]]


def test_a_box_without_extent_has_finite_targets():
    places, valid = run(keypoint_targets, np.float32([[5, 5, 5, 9]]), np.float32([[(5, 6, 2), (6, 6, 2)]]))
    assert valid.tolist() == [[True, False]] and places.tolist() == [[14 * 56, 0]]


def test_trained_on_is_the_foreground_with_a_labelled_keypoint_inside():
    def selected(boxes, labels, gt_index, keypoints):
        rois = RoIs(boxes, tf.zeros_like(labels), labels, gt_index)
        return rois_with_keypoints(rois, gt_of(tf.ensure_shape(keypoints, [None, 1, 3]))).boxes
    keypoints = np.float32([[(5, 5, 2)], [(5, 5, 0)], [(50, 50, 1)]])
    boxes = np.float32([(0, 0, 9, 9), (0, 0, 8, 8), (0, 0, 7, 7), (0, 0, 60, 60), (0, 0, 6, 6)])
    found = run(selected, boxes, np.int32([1, 2, 1, 1, 0]), np.int32([0, 1, 2, 2, 0]), keypoints)
    assert found.tolist() == [[0, 0, 9, 9], [0, 0, 60, 60]]


# loss ---------------------------------------------------------------------------------------------------------------
def test_the_loss_and_its_gradient_are_the_recorded_ones(recorded):
    logits = recorded.logits.transpose(0, 2, 3, 1)
    loss = loss_of()
    found = run(loss, logits, recorded.rois, recorded.keypoints)
    np.testing.assert_allclose(found, recorded.loss, rtol=1e-5)
    grad = gradients(loss, logits, recorded.rois, recorded.keypoints)[0].transpose(0, 3, 1, 2)
    scale = np.abs(recorded.logits_grad).max()
    np.testing.assert_allclose(grad, recorded.logits_grad, rtol=1e-5, atol=1e-6 * scale)


def test_a_batch_has_the_mean_of_the_losses_of_its_images(recorded):
    rois, keypoints, logits = recorded.rois, recorded.keypoints, recorded.logits.transpose(0, 2, 3, 1)
    keypoints = keypoints.copy()
    keypoints[:4, 3:, 2] = 0    # few in the first image
    apart = [run(loss_of(), logits[half], rois[half], keypoints[half]) for half in (slice(0, 4), slice(4, 8))]
    together = run(loss_of(num_images=2, image_index=[0] * 4 + [1] * 4), logits, rois, keypoints)
    assert apart[0] != pytest.approx(apart[1], rel=1e-3)
    assert together == pytest.approx(np.mean(apart), rel=1e-5)


def test_the_sum_over_the_largest_number_of_keypoints_is_detectrons_alternative(recorded):
    logits = recorded.logits.transpose(0, 2, 3, 1)
    found = run(loss_of(max_rois=128), logits, recorded.rois, recorded.keypoints)
    assert found == pytest.approx(recorded.loss * (recorded.valid > 0).sum() / (128 * 17), rel=1e-5)


@pytest.mark.parametrize("num_rois", [0, 2])
def test_without_keypoints_the_loss_is_zero_and_its_gradient_too(num_rois):
    arrays = np.ones((num_rois, 56, 56, 2), np.float32), np.ones((num_rois, 4), np.float32), np.zeros(
        (num_rois, 2, 3), np.float32)
    assert run(loss_of(), *arrays) == 0
    found = gradients(loss_of(), *arrays)[0]
    assert found.shape == arrays[0].shape and not found.any()


# layers -------------------------------------------------------------------------------------------------------------
def test_the_upsampling_is_the_recorded_one(recorded):
    low = recorded.low.transpose(0, 2, 3, 1)
    found = run(lambda x: upsample(tf.ensure_shape(x, [None, 28, 28, 17])), low)
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), recorded.upsampled, rtol=1e-5, atol=1e-5)


def test_doubling_is_tensorflows_transposed_convolution_and_has_its_gradients():
    rng = np.random.default_rng(0)
    x, variables = rng.normal(size=(2, 5, 7, 6)).astype(np.float32), {
        "deconv/W": rng.normal(size=(4, 4, 3, 6)).astype(np.float32), "deconv/b": np.float32([1, 2, 3])}
    weights = rng.normal(size=(2, 10, 14, 3)).astype(np.float32)

    def with_grads(layer):
        def function(x):
            x = tf.ensure_shape(x, [None, 5, 7, 6])
            with tower(training=True):
                y = layer(x)
            return [y, *tfv1.gradients(y * weights, [x, *sorted(tfv1.trainable_variables(), key=lambda v: v.op.name)])]
        return run(function, x, variables=variables)

    def transposed(x):
        with tfv1.variable_scope("deconv"):
            kernel, bias = tfv1.get_variable("W", [4, 4, 3, 6]), tfv1.get_variable("b", [3])
        return tf.nn.conv2d_transpose(x, kernel, [2, 10, 14, 3], 2, "SAME") + bias

    for found, expected in zip(with_grads(lambda x: DoublingConv2D("deconv", x, 3)), with_grads(transposed)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_head_has_maps_of_56_and_its_variables():
    with tf.Graph().as_default(), tower(training=True):
        logits = keypoint_head(tf.zeros([2, 14, 14, 16], tf.bfloat16), 2, 8, 5, HeadNorm("GN"))
        assert logits.shape.as_list() == [2, 56, 56, 5] and logits.dtype == tf.float32
        assert variable_shapes() == {
            "keypointrcnn/conv1/W": [3, 3, 16, 8], "keypointrcnn/conv1/b": [8], "keypointrcnn/conv2/W": [3, 3, 8, 8],
            "keypointrcnn/conv2/b": [8], "keypointrcnn/deconv/W": [4, 4, 5, 8], "keypointrcnn/deconv/b": [5],
            **{f"keypointrcnn/gn{i}/{name}": [8] for i in (1, 2) for name in ("gamma", "beta")}}
