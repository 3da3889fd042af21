"""Normalization layers."""
import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import BatchNorm, Conv2D, Conv2DTranspose, FullyConnected
from tensorpack.tfutils.varreplace import custom_getter_scope

from graph import gradients, run, tower, variable_shapes
from modeling.layers import (
    FixedNormConv2D,
    GroupNorm,
    HeadNorm,
    SyncBatchNorm,
    UpConv2D,
    float32_variables,
    head_conv,
    lay_out,
    normalize,
    on_rois,
)

RNG = np.random.default_rng(0)


# GroupNorm ----------------------------------------------------------------------------------------------------------
def group_norm_by_loops(x, groups, gamma, beta):
    """The definition, in float64."""
    out = np.zeros(x.shape)
    size = x.shape[-1] // groups
    for image in range(len(x)):
        for g in range(groups):
            channels = slice(g * size, (g + 1) * size)
            values = np.float64(x[image, ..., channels])
            out[image, ..., channels] = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
    return out * gamma + beta


@pytest.mark.parametrize("channels, groups", [(64, 32), (256, 32), (96, 32), (40, 20), (16, 8), (4, 2), (2, 1)])
def test_group_norm_is_that_of_the_paper(channels, groups):
    x = RNG.normal(1.5, 2, (2, 5, 7, channels)).astype(np.float32)
    gamma, beta = RNG.normal(size=(2, channels)).astype(np.float32)
    out = run(lambda x: GroupNorm("gn", x), x, variables={"gn/gamma": gamma, "gn/beta": beta})
    np.testing.assert_allclose(out, group_norm_by_loops(x, groups, gamma, beta), atol=2e-4)


def test_group_norm_has_the_asked_number_of_groups():
    x = RNG.normal(size=(1, 4, 4, 12)).astype(np.float32)
    out = run(lambda x: GroupNorm("gn", x, groups=3), x)
    np.testing.assert_allclose(out, group_norm_by_loops(x, 3, 1, 0), atol=2e-4)


def test_group_norm_of_an_image_does_not_depend_on_the_others():
    x = RNG.normal(size=(3, 4, 4, 16)).astype(np.float32)
    together = run(lambda x: GroupNorm("gn", x), x)
    np.testing.assert_allclose(together[1:2], run(lambda x: GroupNorm("gn", x), x[1:2]), atol=1e-6)


def test_group_norm_of_a_constant_is_zero_with_a_finite_gradient():
    x = np.full((1, 4, 4, 8), 3, np.float32)
    assert np.abs(run(lambda x: GroupNorm("gn", x), x)).max() < 0.1
    assert np.isfinite(gradients(lambda x: GroupNorm("gn", x) ** 2, x)[0]).all()


# normalize ----------------------------------------------------------------------------------------------------------
BATCH_NORM = ["bn/beta", "bn/gamma", "bn/mean/EMA", "bn/variance/EMA"]


def build_layer(norm, training, **kwargs):
    """One layer in the default graph. Returns: its input and its output"""
    x = tfv1.placeholder(tf.float32, [None, None, None, 4])
    with tower(training):
        return x, normalize(x, norm, **kwargs)


@pytest.mark.parametrize("norm, names", [
    ("SyncBN", BATCH_NORM), ("GN", ["gn/beta", "gn/gamma"]), ("None", [])])
@pytest.mark.parametrize("training", [True, False])
def test_the_variables_have_the_names_of_the_zoo(norm, names, training):
    with tf.Graph().as_default():
        build_layer(norm, training)
        assert variable_shapes() == {name: [4] for name in names}


def test_no_norm_is_no_operation():
    with tf.Graph().as_default():
        x, y = build_layer("None", True)
        assert y is x


@pytest.mark.parametrize("norm", ["SyncBN", "GN"])
@pytest.mark.parametrize("zero_init, expected", [(True, 0), (False, 1)])
def test_gamma_starts_at_zero_where_asked_for(norm, zero_init, expected):
    with tf.Graph().as_default(), tfv1.Session() as sess:
        build_layer(norm, True, zero_init=zero_init)
        sess.run(tfv1.global_variables_initializer())
        gamma, = [v for v in tfv1.global_variables() if v.op.name.endswith("gamma")]
        np.testing.assert_array_equal(sess.run(gamma), expected)


def statistics_after_a_step(training):
    """Output of a step for an input of mean 5 and deviation 2, and the moving averages after it."""
    x_value = RNG.normal(5, 2, (4, 16, 16, 4)).astype(np.float32)
    with tf.Graph().as_default(), tfv1.Session() as sess:
        x, y = build_layer("SyncBN", training)
        sess.run(tfv1.global_variables_initializer())
        updates = tfv1.get_collection(tfv1.GraphKeys.UPDATE_OPS)
        out, _ = sess.run([y, updates], {x: x_value})
        averages = {v.op.name: sess.run(v) for v in tfv1.global_variables() if v.op.name.endswith("EMA")}
        return out, averages["bn/mean/EMA"], averages["bn/variance/EMA"]


def test_sync_bn_normalizes_by_the_batch_and_updates_its_averages_in_training():
    out, mean, variance = statistics_after_a_step(training=True)
    assert abs(out.mean()) < 1e-3 and abs(out.std() - 1) < 1e-2
    np.testing.assert_allclose(mean, 0.1 * 5, rtol=0.1)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * 4, rtol=0.1)


def test_otherwise_batch_norm_normalizes_by_its_averages_and_leaves_them():
    out, mean, variance = statistics_after_a_step(training=False)
    np.testing.assert_allclose(out.mean(), 5, rtol=0.1)    # by the initial mean 0 and variance 1
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_array_equal(variance, 1)


@pytest.mark.parametrize("shape", [(1, 2, 2, 4), (3, 5, 4, 4)])
def test_sync_batch_norm_of_one_replica_is_tensorpacks_batch_norm(shape):
    batch = RNG.normal(5, 2, shape).astype(np.float32)

    def step(layer):
        with tf.Graph().as_default(), tfv1.Session() as sess:
            x = tfv1.placeholder(tf.float32, [None, None, None, 4])
            with tower(True):
                y = layer("bn", x)
            sess.run(tfv1.global_variables_initializer())
            out, _ = sess.run([y, tfv1.get_collection(tfv1.GraphKeys.UPDATE_OPS)], {x: batch})
            return out, sess.run({v.op.name: v for v in tfv1.global_variables()})

    (ours, our_variables), (theirs, their_variables) = step(SyncBatchNorm), step(BatchNorm)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert our_variables.keys() == their_variables.keys()
    for name, value in our_variables.items():
        np.testing.assert_allclose(value, their_variables[name], rtol=1e-5, err_msg=name)


# on_rois ------------------------------------------------------------------------------------------------------------
def convolve_and_average(x):
    kernel = tf.ones([3, 3, 4, 5])
    y = tf.nn.conv2d(x, kernel, 1, "SAME")
    return y, tf.reduce_mean(y, axis=[1, 2])


@pytest.mark.parametrize("num_rois", [1, 3])
def test_a_head_sees_the_rois_as_they_are(num_rois):
    features = RNG.normal(size=(num_rois, 6, 7, 4)).astype(np.float32)
    found = run(lambda x: on_rois(convolve_and_average, tf.ensure_shape(x, [None, 6, 7, 4])), features)
    for array, expected in zip(found, run(convolve_and_average, features)):
        np.testing.assert_array_equal(array, expected)


def test_a_head_of_no_rois_gives_empty_outputs_and_no_gradient():
    def head(x):
        return on_rois(convolve_and_average, tf.ensure_shape(x, [None, 6, 7, 4]))

    none = np.zeros((0, 6, 7, 4), np.float32)
    assert [y.shape for y in run(head, none)] == [(0, 6, 7, 5), (0, 5)]
    assert gradients(lambda x: head(x)[0], none)[0].shape == none.shape


def test_a_head_of_several_inputs_sees_all_of_them():
    def head(x, labels):
        assert labels.shape.as_list() == [None]
        return tf.reduce_sum(x, axis=1) * tf.cast(labels, tf.float32)

    x, labels = np.float32([[1, 2], [3, 4]]), np.int32([5, 7])
    np.testing.assert_array_equal(run(lambda *t: on_rois(head, *t), x, labels), [15, 49])
    assert run(lambda *t: on_rois(head, *t), x[:0], labels[:0]).shape == (0,)


# UpConv2D -----------------------------------------------------------------------------------------------------------
def enlarge(x, layer):
    """Output of a transposed convolution, and its gradients to its input and its variables."""
    y = layer(tf.ensure_shape(x, [None, 5, 7, 4]))
    kernel, bias = sorted(tfv1.trainable_variables(), key=lambda v: v.op.name)
    assert (kernel.op.name, kernel.shape, bias.op.name) == ("up/W", [2, 2, 6, 4], "up/b")
    return [y, *tfv1.gradients(tf.square(y), [x, kernel, bias])]


def test_an_up_convolution_is_a_transposed_convolution():
    variables = {"up/W": RNG.normal(size=(2, 2, 6, 4)), "up/b": RNG.normal(size=6)}
    x = RNG.normal(size=(3, 5, 7, 4)).astype(np.float32)
    ours, theirs = (run(functools.partial(enlarge, layer=layer), x, variables=variables) for layer in (
        lambda t: tf.stack([lay_out(channel) for channel in tf.unstack(
            UpConv2D("up", t, 6, tfv1.ones_initializer(), tf.nn.relu), axis=-1)], axis=-1),
        lambda t: Conv2DTranspose("up", t, 6, 2, strides=2, activation=tf.nn.relu)))
    assert ours[0].shape == (3, 10, 14, 6)
    for found, expected in zip(ours, theirs):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# FixedNormConv2D ----------------------------------------------------------------------------------------------------
def convolve_and_normalize(x, fused):
    """Output, and its gradients to the variables, of a convolution with a fixed norm in one operation or in two."""
    initializers = tfv1.random_normal_initializer(seed=1), tfv1.random_uniform_initializer(0.5, 2.0, seed=2)
    with tower(training=True):
        if fused:
            y = FixedNormConv2D("conv", x, 6, 3, 2, "valid", *initializers)
        else:
            y = Conv2D("conv", x, 6, 3, strides=2, padding="valid", use_bias=False, kernel_initializer=initializers[0],
                       activation=lambda z: BatchNorm("bn", z, training=False, gamma_initializer=initializers[1]))
    trained = sorted(tfv1.trainable_variables(), key=lambda v: v.op.name)
    assert [v.op.name for v in trained] == ["conv/W", "conv/bn/beta", "conv/bn/gamma"]
    return [y, *tfv1.gradients(tf.reduce_sum(tf.square(y)), trained)]


@pytest.mark.parametrize("norm, names", [
    (HeadNorm("GN"), ["c/W", "c/b", "n/beta", "n/gamma"]),
    (HeadNorm("GN", is_first=True), ["c/W", "c/gn/beta", "c/gn/gamma"]),
    (HeadNorm("SyncBN", is_first=True),
     ["c/W", "c/bn/beta", "c/bn/gamma", "c/bn/mean/EMA", "c/bn/variance/EMA"])])
@pytest.mark.parametrize("training", [False, True])
def test_a_heads_norm_stands_before_the_relu_or_behind_it(norm, names, training):
    shift = {name: np.full(8, -5, np.float32) for name in ("n/beta", "c/gn/beta", "c/bn/beta")}

    def conv(x):
        with tower(training):
            y = head_conv("c", x, 8, norm, "n")
            assert sorted(variable_shapes()) == names
            return y

    smallest = run(conv, RNG.random((2, 3, 3, 4)).astype(np.float32), variables=shift).min()
    assert smallest == 0 if norm.is_first else smallest < 0


def test_a_convolution_with_a_fixed_norm_equals_a_convolution_and_a_norm():
    x = RNG.normal(0, 1, (2, 9, 11, 4)).astype(np.float32)
    averages = {"conv/bn/mean/EMA": RNG.normal(0, 1, 6), "conv/bn/variance/EMA": RNG.uniform(0.5, 2, 6),
                "conv/bn/beta": RNG.normal(0, 1, 6)}
    one, two = (run(functools.partial(convolve_and_normalize, fused=fused), x, variables=averages)
                for fused in (True, False))
    for found, expected in zip(one, two):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# float32_variables --------------------------------------------------------------------------------------------------
def test_layers_of_another_type_keep_float32_variables():
    with tf.Graph().as_default(), tower(training=True), custom_getter_scope(float32_variables):
        x = Conv2D("conv", tf.zeros([1, 8, 8, 4], tf.bfloat16), 6, 3)
        x = FixedNormConv2D("fixed", x, 8, 1, 1, "same", tfv1.ones_initializer(), tfv1.ones_initializer())
        x = GroupNorm("gn", x)
        x = FullyConnected("fc", x, 5)
        assert x.dtype == tf.bfloat16
        assert {v.dtype.base_dtype for v in tfv1.trainable_variables()} == {tf.float32}
        assert all(g is not None and g.dtype == tf.float32 for g in tfv1.gradients(
            tf.cast(x, tf.float32), tfv1.trainable_variables()))
