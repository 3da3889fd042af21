"""Where the images of a batch end."""

import numpy as np
import pytest
import tensorflow as tf

from graph import gradients, run
from modeling.padding import NoPadding, Padding, round_up

MULTIPLE = 32
SIZES = np.int32([(70, 96), (33, 130)])    # of regions 96 x 96 and 64 x 160
BATCH = np.int32([96, 160])
RNG = np.random.default_rng(0)


def with_padding(method, features, stride, sizes=SIZES, batch=BATCH):
    """What a method of the batch's Padding gives for features."""
    return run(lambda f, s: getattr(Padding(s, tf.constant(batch), MULTIPLE), method)(f, stride), features,
               np.int32(sizes))


def features_of(stride, batch=BATCH, count=2):
    return RNG.normal(size=(count, -(-batch[0] // stride), -(-batch[1] // stride), 3)).astype(np.float32)


# regions ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride, regions", [
    (1, [(96, 96), (64, 160)]), (4, [(24, 24), (16, 40)]), (32, [(3, 3), (2, 5)]),
    (64, [(2, 2), (1, 3)]),    # P6 has every second pixel of P5, the first of them always
])
def test_a_region_is_the_size_of_an_image_rounded_up_to_the_coarsest_map(stride, regions):
    assert list(map(tuple, run(lambda s: Padding(s, tf.constant(BATCH), MULTIPLE).region(stride), SIZES))) == regions


def test_without_a_multiple_odd_last_rows_and_columns_are_dropped():
    sizes, batch = np.int32([(70, 97), (33, 130)]), np.int32([70, 130])
    for stride, regions in [(1, sizes), (4, [(17, 24), (8, 32)]), (16, [(4, 6), (2, 8)])]:
        found = run(lambda s, t=stride: Padding(s, tf.constant(batch), 1).region(t), sizes)
        np.testing.assert_array_equal(found, regions)


@pytest.mark.parametrize("multiple, expected", [(32, [(96, 160), (32, 32)]), (1, [(70, 130), (16, 16)])])
def test_sizes_are_rounded_up_so_that_no_map_is_empty(multiple, expected):
    np.testing.assert_array_equal(run(lambda s: round_up(s, multiple), np.int32([(70, 130), (1, 9)])), expected)


def test_features_of_no_image_need_no_padding():
    features = features_of(8)
    padding = NoPadding()
    assert padding.zero(features, 8) is padding.drop_odd(features) is features and padding.num_pixels(8) is None


def test_an_image_of_a_multiple_is_its_own_region():
    assert run(lambda s: Padding(s, tf.constant(BATCH), MULTIPLE).region(1),
               np.int32([(96, 160)])).tolist() == [[96, 160]]


def test_inside_is_true_in_each_region():
    inside = run(lambda s: Padding(s, tf.constant(BATCH), MULTIPLE).inside(32, 3, 5), SIZES)
    expected = np.zeros((2, 3, 5), bool)
    expected[0, :3, :3] = expected[1, :2, :5] = True
    np.testing.assert_array_equal(inside, expected)


# zero ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride", [4, 8, 32, 64])
def test_zero_keeps_each_region_and_clears_what_is_beyond(stride):
    features = features_of(stride)
    expected = np.zeros_like(features)
    for b, (height, width) in enumerate([(96, 96), (64, 160)]):
        region = b, slice(-(-height // stride)), slice(-(-width // stride))
        expected[region] = features[region]
    np.testing.assert_array_equal(with_padding("zero", features, stride), expected)


def test_a_convolution_inside_a_region_does_not_depend_on_what_is_beyond():
    features, kernel = features_of(8), RNG.normal(size=(3, 3, 3, 2)).astype(np.float32)

    def convolved(x):
        return run(lambda x: tf.nn.conv2d(x, tf.constant(kernel), 1, "SAME"), x)

    in_batch = convolved(with_padding("zero", features, 8))
    for b, (h, w) in enumerate([(12, 12), (8, 20)]):
        np.testing.assert_allclose(in_batch[b, :h, :w], convolved(features[b:b + 1, :h, :w])[0], atol=1e-5)


@pytest.mark.parametrize("sizes", [[(96, 160), (96, 160)], [(65, 129), (90, 160)]])
def test_zero_changes_nothing_where_all_regions_fill_the_batch(sizes):
    features = features_of(8)
    np.testing.assert_array_equal(with_padding("zero", features, 8, sizes), features)


def test_zero_lets_the_gradient_through_inside_only():
    features = features_of(32)
    grad, = gradients(lambda f: Padding(tf.constant(SIZES), tf.constant(BATCH), MULTIPLE).zero(f, 32), features)
    assert grad[0, :3, :3].min() == 1 and np.abs(grad[0, :, 3:]).max() == 0
    assert grad[1, :2, :5].min() == 1 and np.abs(grad[1, 2:]).max() == 0


def test_a_batch_known_to_be_of_one_image_costs_no_operation():
    with tf.Graph().as_default():
        x = tf.zeros([1, 12, 20, 3])
        assert Padding(tf.constant([[96, 160]]), tf.constant(BATCH), MULTIPLE).zero(x, 8) is x


# repeat_border ------------------------------------------------------------------------------------------------------
def symmetric(features):
    return np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="symmetric")


@pytest.mark.parametrize("stride", [4, 16, 32])
def test_the_border_repeats_the_outermost_pixels_when_all_images_are_of_one_size(stride):
    features = features_of(stride)
    np.testing.assert_array_equal(with_padding("repeat_border", features, stride, [(96, 160)] * 2), symmetric(features))


def test_the_border_repeats_the_outermost_pixels_of_a_batch_known_to_be_of_one():
    features = features_of(8, count=1)
    border = run(lambda f: Padding(tf.constant([[90, 150]]), tf.constant(BATCH), MULTIPLE).repeat_border(f, 8),
                 features)
    np.testing.assert_array_equal(border, symmetric(features))


@pytest.mark.parametrize("stride", [4, 16, 32])
def test_the_border_of_each_image_repeats_its_own_outermost_pixels(stride):
    features = features_of(stride)
    border = with_padding("repeat_border", features, stride)
    for b, (height, width) in enumerate([(96, 96), (64, 160)]):
        h, w = height // stride, width // stride
        alone = symmetric(features[b:b + 1, :h, :w])[0]
        np.testing.assert_array_equal(border[b, :h + 2, :w + 2], alone)
        # and so does all that follows
        np.testing.assert_array_equal(border[b, h + 2:, :w + 2],
                                      np.broadcast_to(alone[-1:], border[b, h + 2:, :w + 2].shape))
        np.testing.assert_array_equal(border[b, :h + 2, w + 2:],
                                      np.broadcast_to(alone[:, -1:], border[b, :h + 2, w + 2:].shape))


def test_where_rows_are_dropped_the_border_reaches_one_pixel_further():
    sizes, batch = np.int32([(70, 97), (33, 130)]), np.int32([70, 130])
    features = RNG.normal(size=(2, 4, 8, 3)).astype(np.float32)

    def border_of(features, sizes, batch):
        return run(lambda f, s: Padding(s, tf.constant(batch), 1).repeat_border(f, 16), features, sizes)

    together = border_of(features, sizes, batch)
    for b, (height, width) in enumerate([(4, 6), (2, 8)]):
        expected = np.pad(features[b:b + 1, :height, :width], [(0, 0), (1, 2), (1, 2), (0, 0)], mode="edge")
        np.testing.assert_array_equal(together[b, :height + 3, :width + 3], expected[0])
        alone = border_of(features[b:b + 1, :height, :width], sizes[b:b + 1], sizes[b])
        np.testing.assert_array_equal(alone, expected)


def test_no_gradient_of_the_border_reaches_beyond_a_region():
    grad, = gradients(lambda f: Padding(tf.constant(SIZES), tf.constant(BATCH), MULTIPLE).repeat_border(f, 32),
                      features_of(32))
    assert grad[0, :3, :3].min() >= 1 and np.abs(grad[0, :, 3:]).max() == 0
    assert grad[1, :2, :5].min() >= 1 and np.abs(grad[1, 2:]).max() == 0


@pytest.mark.parametrize("method", ["zero", "repeat_border"])
def test_the_number_of_channels_stays_known(method):
    with tf.Graph().as_default():
        padding = Padding(tf.compat.v1.placeholder(tf.int32, [None, 2]), tf.constant(BATCH), MULTIPLE)
        features = tf.compat.v1.placeholder(tf.float32, [None, None, None, 7])
        assert getattr(padding, method)(features, 8).shape.as_list() == [None, None, None, 7]
