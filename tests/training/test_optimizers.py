"""Optimizers around an optimizer."""
import common  # noqa: F401

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from training.optimizers import AccumulatedOptimizer, LossScaledOptimizer


def walk(make_optimizer, slopes):
    """Positions of a variable that starts at 0 after steps whose losses have the given slopes, and the factors."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        x, slope = tfv1.get_variable("x", initializer=0.0), tfv1.placeholder(tf.float32, [])
        train = make_optimizer(tfv1.train.GradientDescentOptimizer(1.0)).minimize(x * slope)
        scale = [v for v in tfv1.global_variables() if v.op.name == "LossScale/scale"]
        sess.run(tfv1.global_variables_initializer())
        found = []
        for value in slopes:
            sess.run(train, {slope: value})
            found.append(sess.run([x] + scale))
    return np.transpose(found)


def test_a_scaled_loss_gives_the_steps_of_the_loss():
    positions, _ = walk(LossScaledOptimizer, [1, 2, -4])
    np.testing.assert_allclose(positions, [-1, -3, 1])


@pytest.mark.parametrize("overflow", [np.inf, np.nan, 1e38])
def test_a_step_whose_gradient_overflows_is_left_out_and_halves_the_factor(overflow):
    positions, scale = walk(LossScaledOptimizer, [1, overflow, 1])
    np.testing.assert_allclose(positions, [-1, -1, -2])
    np.testing.assert_allclose(scale, [2 ** 15, 2 ** 14, 2 ** 14])


def test_the_factor_doubles_after_steps_without_overflow_in_a_row():
    _, scale = walk(lambda opt: LossScaledOptimizer(opt, initial=8.0, period=3), [1, 1, np.inf, 1, 1, 1, 1])
    np.testing.assert_allclose(scale, [8, 8, 4, 4, 4, 8, 8])


def test_the_factor_does_not_fall_below_one():
    _, scale = walk(lambda opt: LossScaledOptimizer(opt, initial=2.0), [np.nan] * 3)
    np.testing.assert_allclose(scale, [1, 1, 1])


def test_a_step_that_is_left_out_does_not_count_among_accumulated_ones():
    positions, _ = walk(lambda opt: LossScaledOptimizer(AccumulatedOptimizer(opt, 2)), [1, np.inf, 2, 4, 8])
    np.testing.assert_allclose(positions, [0, 0, -3, -3, -15])
