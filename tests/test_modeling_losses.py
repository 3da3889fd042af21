"""Losses on plain tensors."""
import common

import numpy as np
import pytest

from graph import gradients, run
from modeling.losses import mean_over, smooth_l1

X = np.float32([-3, -1.5, -0.5, -0.01, 0, 0.01, 0.5, 1.5, 3])


def smooth_l1_of(x, beta):
    return run(lambda p: smooth_l1(p, np.zeros_like(X), beta), np.float32(x))


@pytest.mark.parametrize("beta", [1.0, 1.0 / 9, 0.25])
def test_smooth_l1_is_quadratic_below_beta_and_linear_beyond(beta):
    expected = [0.5 * x * x / beta if abs(x) < beta else abs(x) - 0.5 * beta for x in X]
    np.testing.assert_allclose(smooth_l1_of(X, beta), expected, rtol=1e-5)


def test_smooth_l1_with_beta_zero_is_the_distance():
    np.testing.assert_allclose(smooth_l1_of(X, 0.0), np.abs(X), rtol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 1.0 / 9])
def test_smooth_l1_and_its_slope_are_continuous_at_beta(beta):
    around = np.float32([beta * (1 - 1e-4), beta * (1 + 1e-4)])
    def loss(x):
        return smooth_l1(x, np.zeros(2, np.float32), beta)
    value, slope = run(loss, around), gradients(loss, around)[0]
    assert abs(value[1] - value[0]) < 3e-4 * beta
    np.testing.assert_allclose(slope, 1, atol=2e-4)


def test_the_slope_of_smooth_l1_is_at_most_one():
    slope, = gradients(lambda x: smooth_l1(x, np.zeros_like(X), 0.25), X)
    assert np.abs(slope).max() <= 1 + 1e-6
    np.testing.assert_array_equal(np.sign(slope), np.sign(X))


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_smooth_l1_of_equal_values_has_a_finite_gradient(beta):
    slope, = gradients(lambda x: smooth_l1(x, np.ones((2, 4), np.float32), beta), np.ones((2, 4), np.float32))
    np.testing.assert_array_equal(slope, 0)


def test_mean_over_divides_the_sum_by_the_count():
    assert run(lambda x: mean_over(x, 4), np.float32([[1, 2], [3, 6]])) == 3


def test_mean_over_nothing_is_zero():
    assert run(lambda x: mean_over(x, 0), np.zeros((0, 4), np.float32)) == 0


def test_mean_over_nothing_has_a_finite_gradient():
    slope, = gradients(lambda x: mean_over(x, 0), np.float32([1, 2]))
    np.testing.assert_array_equal(slope, 0)
