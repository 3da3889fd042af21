"""The feature pyramid."""
import json

import numpy as np
import pytest
import tensorflow as tf

from graph import gradients, run, tower, variable_shapes
from modeling.fpn import fpn
from modeling.padding import Padding

CHANNELS = 6
STRIDES = [4, 8, 16, 32]
RNG = np.random.default_rng(0)
FEATURES = [RNG.normal(size=(2, 128 // s, 96 // s, CHANNELS)).astype(np.float32) for s in STRIDES]


def pyramid_of(norm="None", channels=CHANNELS, sizes=((128, 96), (128, 96))):
    def function(*features):
        batch = tf.shape(features[0])[1:3] * 4
        with tower(training=False):
            return fpn(list(features), channels, norm, Padding(tf.constant(sizes), batch, 32))
    return function


def test_the_variables_are_those_of_the_zoo(golden):
    with open(f"{golden}/R50-FPN.variables.json", encoding="utf-8") as f:
        zoo = {name: shape for name, shape in json.load(f).items() if name.startswith("fpn/")}
    with tf.Graph().as_default():
        pyramid_of(channels=256)(*(tf.zeros([2, 128 // s, 96 // s, 64 * s]) for s in STRIDES))
        assert variable_shapes() == zoo


def test_every_level_has_the_same_channels_and_half_the_size_of_the_one_before():
    pyramid = run(pyramid_of(channels=5), *FEATURES)
    assert [p.shape for p in pyramid] == [(2, 32, 24, 5), (2, 16, 12, 5), (2, 8, 6, 5), (2, 4, 3, 5), (2, 2, 2, 5)]


def test_the_last_level_is_every_second_pixel_of_the_one_before():
    *_, p5, p6 = run(pyramid_of(), *FEATURES)
    np.testing.assert_array_equal(p6, p5[:, ::2, ::2])


def upsampled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def test_every_level_is_the_sum_of_its_own_and_all_coarser_ones():
    # with convolutions that pass values on, what remains is the top-down path
    weights = {}
    for level in range(2, 6):
        weights[f"fpn/lateral_1x1_c{level}/W"] = np.eye(CHANNELS, dtype=np.float32)[None, None]
        centre = np.zeros((3, 3, CHANNELS, CHANNELS), np.float32)
        centre[1, 1] = np.eye(CHANNELS)
        weights[f"fpn/posthoc_3x3_p{level}/W"] = centre
    pyramid = run(pyramid_of(), *FEATURES, variables=weights)
    expected = FEATURES[3]
    np.testing.assert_allclose(pyramid[3], expected, atol=1e-5)
    for level in (2, 1, 0):
        expected = FEATURES[level] + upsampled(expected)
        np.testing.assert_allclose(pyramid[level], expected, atol=1e-5)


@pytest.mark.parametrize("level", range(5))
def test_a_level_depends_on_its_own_and_on_coarser_features_only(level):
    grads = gradients(lambda *f: pyramid_of()(*f)[level], *FEATURES)
    own = min(level, 3)
    assert [g is not None and np.abs(g).sum() > 0 for g in grads] == [False] * own + [True] * (4 - own)


def test_group_norm_follows_every_convolution():
    with tf.Graph().as_default():
        pyramid_of("GN")(*map(tf.constant, FEATURES))
        names = variable_shapes()
        for level in range(2, 6):
            assert {f"fpn/gn_{x}{level}/{variable}" for x in "cp" for variable in ("gamma", "beta")} <= set(names)


# 40 and 32 pixels high in one batch of 64: regions of two rows and of one on C5
SIZES = [(64, 32), (32, 96)]


@pytest.mark.parametrize("norm", ["None", "GN"])
def test_an_image_gives_the_same_pyramid_alone_and_in_a_larger_batch(norm):
    batch = [RNG.normal(size=(2, 64 // s, 96 // s, CHANNELS)).astype(np.float32) for s in STRIDES]
    weights = {}
    for level, _ in enumerate(STRIDES, start=2):
        weights[f"fpn/lateral_1x1_c{level}/W"] = RNG.normal(size=(1, 1, CHANNELS, CHANNELS)).astype(np.float32)
        weights[f"fpn/posthoc_3x3_p{level}/W"] = RNG.normal(size=(3, 3, CHANNELS, CHANNELS)).astype(np.float32)
    together = run(pyramid_of(norm, sizes=SIZES), *batch, variables=weights)
    for b, (height, width) in enumerate(SIZES):
        alone = run(pyramid_of(norm, sizes=SIZES[b:b + 1]),
                    *(x[b:b + 1, :height // s, :width // s] for x, s in zip(batch, STRIDES)), variables=weights)
        for ours, theirs in zip(together, alone):
            _, h, w, _ = theirs.shape
            np.testing.assert_allclose(ours[b, :h, :w], theirs[0], rtol=1e-3, atol=1e-3)
