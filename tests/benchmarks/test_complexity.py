"""Parameters and floating-point operations of a network."""
import subprocess
import sys

import common
import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from common import UserError
from tiny import ROOT
from benchmarks import complexity
from benchmarks.complexity import AS_MANY_BOXES_AS_ALLOWED, count_flops, count_parameters, measure


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
    found = flops_of(lambda x, w: tf.nn.conv2d(x, w, stride, padding), (batch, 10, 12, 3), kernel)
    assert found == batch * expected


def test_a_transposed_convolution_costs_its_kernel_for_every_input():
    found = flops_of(lambda x, w: tf.nn.conv2d_transpose(x, w, [3, 10, 12, 4], 2), (3, 5, 6, 8), (2, 2, 4, 8))
    assert found == 2 * (3 * 5 * 6 * 8) * (2 * 2 * 4)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_a_product_of_matrices_costs_the_inner_dimension_for_every_output(transpose_a, transpose_b):
    found = flops_of(lambda a, b: tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b),
                     (5, 7) if transpose_a else (7, 5), (11, 5) if transpose_b else (5, 11))
    assert found == 2 * (7 * 11) * 5


@pytest.mark.parametrize("transpose_b", [False, True])
def test_products_of_a_batch_of_matrices_cost_what_each_costs(transpose_b):
    found = flops_of(lambda a, b: tf.matmul(a, b, transpose_b=transpose_b),
                     (3, 7, 5), (3, 11, 5) if transpose_b else (3, 5, 11))
    assert found == 3 * 2 * (7 * 11) * 5


def test_layers_add_up_and_what_is_fused_with_them_is_free():
    def network(x, kernel, bias, weights):
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        return tf.nn.relu(tf.matmul(tf.reduce_mean(x, axis=[1, 2]), weights) + 1.0)

    found = flops_of(network, (1, 4, 6, 3), (3, 3, 3, 2), (2,), (2, 9))
    assert found == 2 * (4 * 6 * 2) * (3 * 3 * 3) + 2 * 9 * 2


def test_a_graph_without_products_costs_nothing():
    assert flops_of(tf.nn.relu, (3, 4)) == 0


def test_parameters_are_weights_and_affines_but_neither_statistics_nor_the_state_of_a_training():
    graph = tf.Graph()
    with graph.as_default():
        for name, shape in {"conv0/W": [7, 7, 3, 64], "conv0/b": [64], "conv0/bn/gamma": [64], "conv0/bn/beta": [64],
                            "conv0/bn/mean/EMA": [64], "conv0/W/Momentum": [7, 7, 3, 64], "learning_rate": []}.items():
            tfv1.get_variable(name, shape, trainable=name == "conv0/b")
    assert count_parameters(graph) == 7 * 7 * 3 * 64 + 3 * 64


def test_a_network_is_measured_with_as_many_boxes_as_the_config_allows(make_config):
    cfg = make_config(*AS_MANY_BOXES_AS_ALLOWED, "TEST.RESULTS_PER_IM=7")
    small, large = measure(cfg, 64, 96), measure(cfg, 128, 96)
    assert (small["proposals"], small["detections"]) == (cfg.RPN.TEST_PER_LEVEL_NMS_TOPK, 7)
    assert small["parameters"] == large["parameters"]
    assert small["flops"] < large["flops"] < 2 * small["flops"]


@pytest.mark.slow
def test_the_command_prints_one_line():
    words = ["@configs/demo.cfg", "RPN.TEST_PER_LEVEL_NMS_TOPK=50", "--size", "192", "256", "--classes", "6"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.complexity", *words], cwd=ROOT, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert "for an image of 192 x 256 with 50 proposals and 100 detections" in done.stdout


@pytest.mark.parametrize("words, complaint", [
    (["@configs/none.cfg"], "cannot read configs/none.cfg"),
    (["--size", "0", "100"], "--size"),
    (["--classes", "0"], "--classes")])
def test_a_mistake_ends_in_one_line(monkeypatch, words, complaint):
    monkeypatch.setattr(complexity, "config", complexity.config.clone())
    monkeypatch.setattr(sys, "argv", ["complexity", *words])
    with pytest.raises(UserError, match=complaint):
        complexity.main()
