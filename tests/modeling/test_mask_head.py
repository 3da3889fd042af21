"""The mask head: its targets, its loss and its layers."""

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import Conv2D

from graph import gradients, run, tower, variable_shapes
from modeling.layers import HeadNorm
from modeling.mask_head import ClassConv2D, mask_targets, maskrcnn_loss, maskrcnn_upxconv_head, unpack_masks
from modeling.structures import GroundTruth, RoIs

M, SIZE = 56, 28


# packed masks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("resolution", [56, 57, 58])
def test_packed_masks_are_unpacked(resolution):
    masks = np.random.default_rng(0).integers(0, 2, (2, 3, resolution, resolution)).astype(np.uint8)
    packed = np.packbits(masks.reshape(2, 3, -1), axis=-1)
    found = run(lambda p: unpack_masks(tf.ensure_shape(p, [None, None, packed.shape[-1]]), resolution), packed)
    np.testing.assert_array_equal(found, masks)


# targets ------------------------------------------------------------------------------------------------------------
def mask_of(inside, resolution=M):
    """A mask of `inside(x, y)` at the centres of the bins of a box, x and y in 0..1."""
    y, x = (np.mgrid[:resolution, :resolution] + 0.5) / resolution
    return inside(x, y).astype(np.uint8)


def circle(x, y):
    return (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.25


def targets(rois, gt_index, gt_boxes, gt_masks, size=SIZE):
    return run(lambda r, i, b, m: mask_targets(RoIs(r, None, None, i), GroundTruth(b, None, m), size), np.float32(rois),
               np.int32(gt_index), np.float32(gt_boxes), gt_masks)


def sampled_by_loops(roi, box, mask, size):
    """The mask's value at the centre of each bin of the RoI, bilinear between bin centres, 0 beyond the outermost."""
    cells = len(mask)
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            x = (roi[0] + (j + 0.5) * (roi[2] - roi[0]) / size - box[0]) / (box[2] - box[0]) * cells - 0.5
            y = (roi[1] + (i + 0.5) * (roi[3] - roi[1]) / size - box[1]) / (box[3] - box[1]) * cells - 0.5
            if 0 <= x <= cells - 1 and 0 <= y <= cells - 1:
                x0, y0 = min(int(x), cells - 2), min(int(y), cells - 2)
                fx, fy = x - x0, y - y0
                square = mask[y0:y0 + 2, x0:x0 + 2].astype(float)
                out[i, j] = np.array([1 - fy, fy]) @ square @ np.array([1 - fx, fx])
    return out


SHIFTED = [(10, 20, 50, 70), (15, 20, 55, 70), (5, 10, 45, 60), (20, 30, 40, 60), (-20, -30, 90, 120),
           (10.3, 19.6, 48.9, 71.2)]


@pytest.mark.parametrize("roi", SHIFTED)
def test_the_target_is_the_mask_of_the_object_seen_through_the_roi(roi):
    box, mask = (10, 20, 50, 70), mask_of(circle)
    expected = sampled_by_loops(roi, box, mask, SIZE)
    found = targets([roi], [0], [box], mask[None])[0]
    clear = np.abs(expected - 0.5) > 1e-3    # a tie may fall to either side
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(found[clear], expected[clear] > 0.5)


@pytest.mark.parametrize("roi", SHIFTED)
def test_the_target_follows_the_shape_itself(roi):
    box = (10, 20, 50, 70)
    x = roi[0] + (np.arange(SIZE) + 0.5) * (roi[2] - roi[0]) / SIZE
    y = roi[1] + (np.arange(SIZE) + 0.5) * (roi[3] - roi[1]) / SIZE
    exact = circle((x[None] - 10) / 40, (y[:, None] - 20) / 50)
    # pixels on the outline may differ
    assert (targets([roi], [0], [box], mask_of(circle)[None])[0] == exact).mean() > 0.97


def test_outside_the_box_of_the_object_the_target_is_zero():
    full = np.ones((1, M, M), np.uint8)
    found = targets([(0, 0, 40, 40)], [0], [(20, 10, 40, 30)], full)[0]
    expected = np.zeros((SIZE, SIZE))
    expected[7:21, 14:] = 1
    np.testing.assert_array_equal(found, expected)


def test_an_roi_that_does_not_meet_the_box_has_an_empty_target():
    assert targets([(60, 60, 90, 90)], [0], [(0, 0, 50, 50)], np.ones((1, M, M), np.uint8)).sum() == 0


@pytest.mark.parametrize("resolution", [56, 112])
def test_the_target_of_an_object_that_fills_its_box_is_full_when_the_roi_is_the_box(resolution):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1000, (200, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 300, (200, 2))], axis=1).astype(np.float32)
    found = targets(boxes, np.arange(200), boxes, np.ones((200, resolution, resolution), np.uint8))
    assert found.min() == 1


def test_each_roi_sees_the_mask_of_its_own_object():
    left, top = mask_of(lambda x, y: x < 0.5), mask_of(lambda x, y: y < 0.5)
    boxes = [(0, 0, 30, 30), (100, 100, 160, 160)]
    found = targets([boxes[1], boxes[0], boxes[1]], [1, 0, 1], boxes, np.stack([left, top]))
    np.testing.assert_array_equal(found[0], found[2])
    assert found[0][0].all() and not found[0][-1].any()
    assert found[1][:, 0].all() and not found[1][:, -1].any()


def test_no_rois_have_no_targets():
    assert targets(np.zeros((0, 4)), np.zeros(0), [(0, 0, 9, 9)], np.ones((1, M, M), np.uint8)).shape == (0, SIZE, SIZE)


# class and loss -----------------------------------------------------------------------------------------------------
CLASS_CONV = {"conv/W": np.random.default_rng(1).normal(size=(1, 1, 6, 5)).astype(np.float32),
              "conv/b": np.float32([1, 2, 3, 4, 5])}


def logits_of_class(x, labels):
    return ClassConv2D("conv", tf.ensure_shape(x, [None, 4, 7, 6]), labels, 5, tfv1.ones_initializer())


def logits_of_all_classes(x, labels):
    logits = Conv2D("conv", x, 5, 1)
    return tf.gather(tf.transpose(logits, [0, 3, 1, 2]), labels - 1, batch_dims=1)


def test_the_logits_are_those_of_a_convolution_to_all_classes_in_the_class_of_each_roi():
    x, labels = np.random.default_rng(0).normal(size=(3, 4, 7, 6)).astype(np.float32), np.int32([5, 1, 3])
    found, expected = (run(f, x, labels, variables=CLASS_CONV) for f in (logits_of_class, logits_of_all_classes))
    assert found.shape == (3, 4, 7)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_so_are_their_gradients():
    x, labels = np.random.default_rng(0).normal(size=(4, 4, 7, 6)).astype(np.float32), np.int32([5, 1, 3, 1])

    def grads(logits):
        def function(x, labels):
            y = logits(x, labels)
            kernel, bias = sorted(tfv1.trainable_variables(), key=lambda v: v.op.name)
            return tfv1.gradients(tf.square(y), [x, kernel, bias])
        return run(function, x, labels, variables=CLASS_CONV)

    for found, expected in zip(grads(logits_of_class), grads(logits_of_all_classes)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_mean_binary_cross_entropy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (3, 4, 4)), rng.integers(0, 2, (3, 4, 4))
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(labels == 1, probability, 1 - probability)).mean()
    found = run(maskrcnn_loss, np.float32(logits), np.float32(labels), np.full(3, 1 / 3, np.float32))
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_rois_the_loss_is_zero_and_its_gradient_finite():
    none = np.zeros((0, 4, 4), np.float32)
    shares = np.zeros(0, np.float32)
    assert run(maskrcnn_loss, none, none, shares) == 0
    assert np.isfinite(gradients(lambda x: maskrcnn_loss(x, tf.constant(none), shares), none)[0]).all()


# layers -------------------------------------------------------------------------------------------------------------
def test_the_head_doubles_the_resolution_and_has_the_variables_of_the_zoo():
    with tf.Graph().as_default(), tower(training=True):
        logits = maskrcnn_upxconv_head(tf.zeros([2, 14, 14, 16]), tf.ones([2], tf.int32), 4, 8, 5, HeadNorm())
        assert logits.shape.as_list() == [2, 28, 28]
        expected = {"maskrcnn/deconv/W": [2, 2, 8, 8], "maskrcnn/deconv/b": [8], "maskrcnn/conv/W": [1, 1, 8, 5],
                    "maskrcnn/conv/b": [5]}
        for i, channels in enumerate([16, 8, 8, 8]):
            expected.update({f"maskrcnn/fcn{i}/W": [3, 3, channels, 8], f"maskrcnn/fcn{i}/b": [8]})
        assert variable_shapes() == expected


def test_without_hidden_convolutions_the_features_are_enlarged_at_once():
    with tf.Graph().as_default(), tower(training=True):
        logits = maskrcnn_upxconv_head(tf.zeros([2, 7, 7, 16]), tf.ones([2], tf.int32), 0, 8, 5, HeadNorm())
        assert logits.shape.as_list() == [2, 14, 14]
        assert variable_shapes() == {
            "maskrcnn/deconv/W": [2, 2, 8, 16], "maskrcnn/deconv/b": [8], "maskrcnn/conv/W": [1, 1, 8, 5],
            "maskrcnn/conv/b": [5]}


def test_with_group_norm_each_hidden_convolution_has_one():
    with tf.Graph().as_default(), tower(training=True):
        maskrcnn_upxconv_head(tf.zeros([2, 14, 14, 16]), tf.ones([2], tf.int32), 4, 8, 5, HeadNorm("GN"))
        found = {name: shape for name, shape in variable_shapes().items() if "/gn" in name}
        assert found == {f"maskrcnn/gn{i}/{name}": [8] for i in range(4) for name in ("gamma", "beta")}
