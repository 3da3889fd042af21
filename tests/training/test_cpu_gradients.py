"""Gradients of convolutions made of products and convolutions, against TensorFlow's own."""
import common

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from graph import run
from training import cpu_gradients

RNG = np.random.default_rng(0)


def gradients(x, kernel, dy, size=(3, 3), **settings):
    """Gradients of a convolution in the graph, of its input and its kernel"""
    kernel = tf.ensure_shape(kernel, [*size, x.shape[-1], None])
    return tfv1.gradients(tf.nn.conv2d(x, kernel, **settings), [x, kernel], dy)


def both(monkeypatch, *arrays, **settings):
    """Returns: the gradients that TensorFlow has, those with the convolutions' own, types of all operations there"""
    def ours(*tensors):
        with cpu_gradients.convolutions():
            return gradients(*tensors, **settings)

    theirs = run(lambda *t: gradients(*t, **settings), *arrays)
    monkeypatch.setattr(cpu_gradients, "lacks_onednn", lambda: True)
    with tf.Graph().as_default() as graph:
        ours(*map(tf.constant, arrays))
    return theirs, run(ours, *arrays), {op.type for op in graph.get_operations()}


@pytest.mark.parametrize("shape, size, channels", [
    ((1, 7, 9, 4), 3, 5), ((3, 7, 9, 4), 3, 5), ((2, 6, 5, 3), 1, 8), ((2, 6, 5, 3), 5, 2), ((4, 1, 1, 3), 3, 2),
    ((2, 1, 6, 3), 5, 2), ((2, 6, 1, 3), 5, 2), ((1, 20, 30, 16), 3, 16)])
def test_they_equal_those_of_tensorflow(monkeypatch, shape, size, channels):
    x, dy = RNG.normal(size=shape).astype(np.float32), RNG.normal(size=(*shape[:3], channels)).astype(np.float32)
    kernel = RNG.normal(size=(size, size, shape[3], channels)).astype(np.float32)
    theirs, ours, types = both(monkeypatch, x, kernel, dy, size=(size, size), strides=1, padding="SAME")
    assert not types & {"Conv2DBackpropInput", "Conv2DBackpropFilter"}
    for found, expected in zip(ours, theirs):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size, settings", [
    ((3, 3), dict(strides=2, padding="SAME")), ((3, 3), dict(strides=1, padding="VALID")),
    ((3, 3), dict(strides=2, padding=[[0, 0], [1, 1], [1, 1], [0, 0]])), ((2, 2), dict(strides=1, padding="SAME")),
    ((3, 1), dict(strides=1, padding="SAME"))])
def test_other_convolutions_keep_those_of_tensorflow(monkeypatch, size, settings):
    x, kernel = RNG.normal(size=(2, 8, 9, 4)).astype(np.float32), RNG.normal(size=(*size, 4, 5)).astype(np.float32)
    with tf.Graph().as_default():
        shape = tf.nn.conv2d(x, kernel, **settings).shape
    dy = RNG.normal(size=shape).astype(np.float32)
    theirs, ours, types = both(monkeypatch, x, kernel, dy, size=size, **settings)
    assert {"Conv2DBackpropInput", "Conv2DBackpropFilter"} <= types
    for found, expected in zip(ours, theirs):
        np.testing.assert_array_equal(found, expected)


def test_a_convolution_in_groups_keeps_those_of_tensorflow(monkeypatch):
    monkeypatch.setattr(cpu_gradients, "lacks_onednn", lambda: True)
    with tf.Graph().as_default() as graph, cpu_gradients.convolutions():
        x, kernel = tf.zeros([1, 5, 6, 4]), tf.zeros([3, 3, 2, 8])
        tfv1.gradients(tf.nn.conv2d(x, kernel, 1, "SAME"), [x, kernel])
    assert {"Conv2DBackpropInput", "Conv2DBackpropFilter"} <= {op.type for op in graph.get_operations()}


def test_second_derivatives_pass_through_them(monkeypatch):
    x, kernel, dy = (RNG.normal(size=s).astype(np.float32) for s in ((1, 5, 6, 3), (3, 3, 3, 2), (1, 5, 6, 2)))

    def penalty(x, kernel, dy):
        grads = gradients(x, kernel, dy, strides=1, padding="SAME")
        return tfv1.gradients(sum(tf.reduce_sum(g ** 2) for g in grads), [x, kernel, dy])

    theirs = run(penalty, x, kernel, dy)
    monkeypatch.setattr(cpu_gradients, "lacks_onednn", lambda: True)
    with_ours = run(lambda *t: _in_context(penalty, *t), x, kernel, dy)
    for found, expected in zip(with_ours, theirs):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def _in_context(function, *tensors):
    with cpu_gradients.convolutions():
        return function(*tensors)


def test_bfloat16_sums_lose_little(monkeypatch):
    """A sum over 12,000 pixels that is kept in bfloat16 would be off by much more."""
    x, dy = RNG.normal(size=(4, 50, 60, 8)), RNG.normal(size=(4, 50, 60, 8))
    x, dy = (np.float32(tf.cast(tf.cast(t, tf.bfloat16), tf.float64)) for t in (x, dy))
    exact = run(lambda x, dy: cpu_gradients.kernel_gradient(x, dy, 3), x, dy)
    found = run(lambda x, dy: tf.cast(cpu_gradients.kernel_gradient(
        tf.cast(x, tf.bfloat16), tf.cast(dy, tf.bfloat16), 3), tf.float32), x, dy)
    assert np.abs(found - exact).max() < 0.01 * np.abs(exact).max()


@pytest.mark.parametrize("gpus, mkl, expected", [(0, False, True), (1, False, False), (0, True, False)])
def test_they_are_for_cpus_without_kernels_of_onednn(monkeypatch, gpus, mkl, expected):
    monkeypatch.setattr(common, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(cpu_gradients, "IsMklEnabled", lambda: mkl)
    with tf.Graph().as_default() as graph:
        with cpu_gradients.convolutions():
            gradients(tf.zeros([1, 4, 4, 2]), tf.zeros([3, 3, 2, 2]), tf.zeros([1, 4, 4, 2]), strides=1, padding="SAME")
        types = {op.type for op in graph.get_operations()}
    assert ("Conv2DBackpropFilter" in types) != expected
