"""What is trained, and how: the optimizer of a step."""
import common  # noqa: F401

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from gpu_kernels import lacks_of_gpu_kernels
from training.model import TrainingModel
from weights.fit import network_variables


def positions_after_steps(cfg, slopes, name="x"):
    """Where a variable that starts at 0 is after each step whose loss has the given slope."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        x, slope = tfv1.get_variable(name, initializer=0.0), tfv1.placeholder(tf.float32, [])
        train = TrainingModel(cfg).get_optimizer().minimize(x * slope)
        sess.run(tfv1.global_variables_initializer())
        positions = []
        for value in slopes:
            sess.run(train, {slope: value})
            positions.append(float(sess.run(x)))
    return positions


def test_accumulated_steps_are_applied_together_as_their_mean(make_config):
    cfg = make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.0")
    # often enough to catch a race
    slopes = np.tile([1.0, 2.0, 3.0, 6.0], 50)
    expected = -1.5 * (np.arange(1, 201) // 4)
    np.testing.assert_allclose(positions_after_steps(cfg, slopes), expected, rtol=1e-5)


def test_momentum_goes_on(make_config):
    cfg = make_config("TRAIN.IMS_PER_GPU=8", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.9")
    np.testing.assert_allclose(positions_after_steps(cfg, [1, 0, 0]), [-0.5, -0.95, -1.355], rtol=1e-5)


@pytest.mark.parametrize("ims_per_gpu", [2, 8])
def test_a_large_mean_gradient_is_clipped(make_config, ims_per_gpu):
    cfg = make_config(f"TRAIN.IMS_PER_GPU={ims_per_gpu}", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.0",
                      "TRAIN.GRADIENT_CLIP=2.0")
    steps = 8 // ims_per_gpu
    assert positions_after_steps(cfg, [100] * steps)[-1] == pytest.approx(-1, rel=1e-5)
    assert positions_after_steps(cfg, [1.5] * steps)[-1] == pytest.approx(-0.75, rel=1e-5)


@pytest.mark.parametrize("name, expected", [("fc/b", -1.0), ("fc/W", -0.5), ("bn/beta", -0.5)])
def test_biases_have_a_rate_of_their_own(make_config, name, expected):
    # what is clipped is the gradient, before the factor
    cfg = make_config("TRAIN.IMS_PER_GPU=8", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.0",
                      "TRAIN.BIAS_LR_FACTOR=2.0", "TRAIN.GRADIENT_CLIP=1.0")
    assert positions_after_steps(cfg, [100], name) == [pytest.approx(expected, rel=1e-5)]


def test_a_clipped_and_accumulated_step_runs_on_a_gpu_and_its_state_is_none_of_the_networks(make_config):
    cfg = make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.GRADIENT_CLIP=1.0")
    with tf.Graph().as_default() as graph:
        TrainingModel(cfg).get_optimizer().minimize(2.0 * tfv1.get_variable("fc/W", initializer=1.0))
        names = {v.op.name for v in tfv1.global_variables()}
        assert set(network_variables()) == {"fc/W"}
    assert {"fc/W/Momentum", "fc/W/AccumGrad", "learning_rate"} <= names
    assert lacks_of_gpu_kernels(graph) == {}
