"""Convolutions of groups of channels, against their definition."""
import os
import subprocess
import sys

import common

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from gpu_kernels import lacks_of_gpu_kernels
from graph import build, run
from modeling import grouped
from modeling.grouped import grouped_conv2d
from tiny import ROOT

RNG = np.random.default_rng(0)


def patches_of(x, stride):
    """(B, H, W, C) to (B, H', W', C, 3, 3), what each output sees, with zeros of one pixel around the image"""
    padded = np.pad(np.float64(x), [(0, 0), (1, 1), (1, 1), (0, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]


def in_groups(array, groups, axis):
    return np.split(array, groups, axis=axis)


def by_definition(x, kernel, stride):
    groups = x.shape[3] // kernel.shape[2]
    return np.concatenate([np.einsum("bhwcij,ijcd->bhwd", patches_of(part, stride), k) for part, k in zip(
        in_groups(x, groups, 3), in_groups(kernel, groups, 3))], axis=3)


def gradients_by_definition(x, kernel, dy, stride):
    groups = x.shape[3] // kernel.shape[2]
    of_x, of_kernel = [], []
    for part, k, d in zip(in_groups(x, groups, 3), in_groups(kernel, groups, 3), in_groups(dy, groups, 3)):
        of_kernel.append(np.einsum("bhwcij,bhwd->ijcd", patches_of(part, stride), d))
        padded = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, part.shape[3]))
        for row in range(d.shape[1]):
            for column in range(d.shape[2]):
                top, left = row * stride, column * stride
                padded[:, top:top + 3, left:left + 3] += np.einsum("bd,ijcd->bijc", d[:, row, column], k)
        of_x.append(padded[:, 1:-1, 1:-1])
    return np.concatenate(of_x, axis=3), np.concatenate(of_kernel, axis=3)


def padded_conv(x, kernel, stride, bias=None):
    """As a bottleneck has it: zeros of one pixel around, whatever the stride."""
    if stride == 1:
        return grouped_conv2d(x, kernel, 1, "SAME", bias)
    return grouped_conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, stride, "VALID", bias)


# channels and filters of a group, and groups: merged four by four, three by three, two by two, and not at all
SHAPES = [(4, 4, 8), (5, 5, 6), (8, 8, 4), (16, 16, 2), (3, 5, 7), (20, 4, 2), (4, 4, 1)]
cases = pytest.mark.parametrize("channels, filters, groups", SHAPES)
strides = pytest.mark.parametrize("stride", [1, 2])


def arrays_of(channels, filters, groups, stride):
    x = RNG.normal(size=(2, 7, 9, channels * groups)).astype(np.float32)
    kernel = RNG.normal(size=(3, 3, channels, filters * groups)).astype(np.float32)
    dy = RNG.normal(size=(2, *by_definition(x, kernel, stride).shape[1:])).astype(np.float32)
    return x, kernel, dy


@cases
@strides
def test_a_group_sees_its_own_channels_alone(channels, filters, groups, stride):
    x, kernel, dy = arrays_of(channels, filters, groups, stride)
    bias = RNG.normal(size=kernel.shape[3]).astype(np.float32)
    found = run(lambda x: padded_conv(x, tf.constant(kernel), stride, tf.constant(bias)), x)
    assert found.shape == dy.shape
    np.testing.assert_allclose(found, by_definition(x, kernel, stride) + bias, rtol=1e-4, atol=1e-4)


@cases
@strides
def test_both_gradients_are_those_of_the_definition(channels, filters, groups, stride):
    x, kernel, dy = arrays_of(channels, filters, groups, stride)

    def gradients(x, dy):
        k = tf.constant(kernel)
        return tfv1.gradients(padded_conv(x, k, stride), [x, k], dy)

    for found, expected in zip(run(gradients, x, dy), gradients_by_definition(x, kernel, dy, stride)):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups, channels, merged", [
    (64, 4, 4), (32, 8, 2), (32, 16, 1), (32, 64, 1), (6, 4, 3), (7, 2, 7), (7, 4, 1), (2, 1, 2)])
def test_small_groups_are_computed_together_where_their_number_allows(groups, channels, merged):
    assert grouped._num_merged(groups, channels) == merged


def test_a_convolution_of_one_group_is_a_plain_one():
    with tf.Graph().as_default() as graph:
        grouped_conv2d(tf.zeros([1, 4, 4, 8]), tf.zeros([3, 3, 8, 8]), 1, "SAME")
        assert [op.type for op in graph.get_operations()] == ["Const", "Const", "Conv2D"]


def test_a_gpu_has_one_convolution_with_kernels_of_its_own(monkeypatch):
    monkeypatch.setattr(common, "visible_gpus", lambda: 1)
    with tf.Graph().as_default() as graph:
        x, kernel = tf.zeros([1, 4, 4, 32]), tf.zeros([3, 3, 4, 32])
        tfv1.gradients(grouped_conv2d(x, kernel, 1, "SAME", tf.zeros([32])), [x, kernel])
        assert sum(op.type == "Conv2D" for op in graph.get_operations()) == 1
        assert lacks_of_gpu_kernels(graph) == {}


def test_bfloat16_is_that_of_float32_rounded():
    x, kernel, _ = arrays_of(4, 4, 8, 1)

    def conv(x):
        rounded = [tf.cast(t, tf.bfloat16) for t in (x, tf.constant(kernel), tf.ones([32]))]
        return tf.cast(grouped_conv2d(*rounded[:2], 1, "SAME", rounded[2]), tf.float32)

    expected = by_definition(x, kernel, 1) + 1
    assert np.abs(build(conv, x)(x) - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("onednn", ["0", "1"])
def test_all_of_this_holds_with_and_without_onednn(onednn):
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", __file__]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}, timeout=300)
