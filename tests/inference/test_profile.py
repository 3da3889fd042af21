"""What a prediction costs."""
import functools

import common  # noqa: F401

import cv2
import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from data.batch import pad_batch
from inference import profile
from inference.detector import Detector
from inference.profile import count_flops
from network import Network
from tiny import TINY

WORDS = [*TINY, "DATA.CLASS_NAMES=('a', 'b', 'c')", "RPN.PROPOSAL_NMS_THRESH=1.0", "TEST.FRCNN_NMS_THRESH=1.0",
         "TEST.RESULT_SCORE_THRESH=0.0", "TEST.RESULTS_PER_IM=6"]


@pytest.fixture(scope="module")
def files(make_config, make_weight, tmp_path_factory):
    """Paths of weights of a tiny network, and of an image."""
    folder = tmp_path_factory.mktemp("profile")
    np.savez(folder / "model.npz", **Network(make_config(), training=False, weights=make_weight).variables())
    cv2.imwrite(str(folder / "image.png"), np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    return str(folder / "model.npz"), str(folder / "image.png")


def test_each_stage_and_the_whole_are_measured(files, monkeypatch):
    small = functools.partial(profile._convolution_peak, channels=16, height=20, width=20)
    monkeypatch.setattr(profile, "_convolution_peak", small)
    measured = profile.measure(Detector(files[0], [*WORDS, "TEST.IMS_PER_BATCH=2"]), [files[1]], rounds=3)
    assert set(measured["stages"]) == set(profile.STAGES) and all(len(v) == 3 for v in measured["stages"].values())
    assert measured["detections"] == 6 and measured["all"] > 0 and measured["peak_gflops"] > measured["gflop"] > 0
    text = profile.describe(measured)
    assert all(stage in text for stage in profile.STAGES) and "6 detections" in text


@pytest.mark.slow
def test_operations_of_a_frozen_network_are_counted_as_those_of_one_with_variables(files, make_config):
    detector = Detector(files[0], WORDS)
    batch, sizes = pad_batch([cv2.resize(cv2.imread(files[1]), (96, 64))])
    network = Network(make_config(*WORDS), training=False)
    feed = {"images:0": batch, "image_sizes:0": sizes}
    assert count_flops(detector.predict.sess, feed) == count_flops(network.sess, feed)


# operations ---------------------------------------------------------------------------------------------------------
def flops_of(function, *shapes):
    """What `count_flops` says of a function of arrays, whose shapes are not known when the graph is built."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        inputs = [tfv1.placeholder(tf.float32, [None] * len(shape)) for shape in shapes]
        function(*inputs)
        return count_flops(sess, {x: np.zeros(shape) for x, shape in zip(inputs, shapes)})


@pytest.mark.parametrize("kernel, stride, padding, expected", [
    ((3, 5, 3, 8), 1, "SAME", 2 * (10 * 12 * 8) * (3 * 5 * 3)),
    ((3, 3, 3, 8), 2, "SAME", 2 * (5 * 6 * 8) * (3 * 3 * 3)),
    ((3, 3, 3, 8), 1, "VALID", 2 * (8 * 10 * 8) * (3 * 3 * 3))])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_convolution_costs_its_kernel_for_every_output(kernel, stride, padding, expected, batch):
    flops = flops_of(lambda x, w: tf.nn.conv2d(x, w, stride, padding), (batch, 10, 12, 3), kernel)
    assert flops == batch * expected


def test_a_transposed_convolution_costs_its_kernel_for_every_input():
    flops = flops_of(lambda x, w: tf.nn.conv2d_transpose(x, w, [3, 10, 12, 4], 2), (3, 5, 6, 8), (2, 2, 4, 8))
    assert flops == 2 * (3 * 5 * 6 * 8) * (2 * 2 * 4)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_a_product_of_matrices_costs_the_inner_dimension_for_every_output(transpose_a, transpose_b):
    flops = flops_of(lambda a, b: tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b),
                     (5, 7) if transpose_a else (7, 5), (11, 5) if transpose_b else (5, 11))
    assert flops == 2 * (7 * 11) * 5


@pytest.mark.parametrize("transpose_b", [False, True])
def test_products_of_a_batch_of_matrices_cost_what_each_costs(transpose_b):
    flops = flops_of(lambda a, b: tf.matmul(a, b, transpose_b=transpose_b),
                     (3, 7, 5), (3, 11, 5) if transpose_b else (3, 5, 11))
    assert flops == 3 * 2 * (7 * 11) * 5


def test_layers_add_up_and_what_is_fused_with_them_is_free():
    def network(x, kernel, bias, weights):
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        return tf.nn.relu(tf.matmul(tf.reduce_mean(x, axis=[1, 2]), weights) + 1.0)

    flops = flops_of(network, (1, 4, 6, 3), (3, 3, 3, 2), (2,), (2, 9))
    assert flops == 2 * (4 * 6 * 2) * (3 * 3 * 3) + 2 * 9 * 2


def test_a_graph_without_products_costs_nothing():
    assert flops_of(tf.nn.relu, (3, 4)) == 0
