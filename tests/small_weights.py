"""Weights of a small network, and what a session of it has."""

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

SHAPES = {
    "conv0/W": [3, 3, 2, 4], "conv0/bn/gamma": [4], "conv0/bn/mean/EMA": [4], "fastrcnn/outputs/class/W": [5, 3],
    "fastrcnn/outputs/class/b": [3], "fastrcnn/outputs/box/W": [5, 12], "maskrcnn/conv/W": [1, 1, 6, 2]}


def make_weights(seed=0, **changes):
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    weights.update({name.replace("__", "/"): value for name, value in changes.items()})
    return {name: value for name, value in weights.items() if value is not None}


def make_variables():
    """A small network in the default graph, and what its training adds to it."""
    variables = [tfv1.get_variable(name, shape, initializer=tfv1.ones_initializer()) for name, shape in SHAPES.items()]
    loss = tf.add_n([tf.reduce_sum(v) for v in variables])
    tfv1.train.MomentumOptimizer(tfv1.get_variable("learning_rate", initializer=0.1, trainable=False), 0.9).minimize(
        loss, tfv1.train.get_or_create_global_step())


def message_of(function, *args, **kwargs):
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
