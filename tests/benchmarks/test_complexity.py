"""Parameters and floating-point operations of a network."""
import subprocess
import sys

from common import UserError

import pytest
import tensorflow as tf
from tensorpack import tfv1

from benchmarks import complexity
from benchmarks.complexity import AS_MANY_BOXES_AS_ALLOWED, count_parameters, measure
from tiny import ROOT


def test_parameters_are_weights_and_affines_but_neither_statistics_nor_the_state_of_a_training():
    graph = tf.Graph()
    with graph.as_default():
        for name, shape in {"conv0/W": [7, 7, 3, 64], "conv0/b": [64], "conv0/bn/gamma": [64], "conv0/bn/beta": [64],
                            "conv0/bn/mean/EMA": [64], "conv0/W/Momentum": [7, 7, 3, 64], "learning_rate": []}.items():
            tfv1.get_variable(name, shape, trainable=name == "conv0/b")
    assert count_parameters(graph) == 7 * 7 * 3 * 64 + 3 * 64


@pytest.mark.slow
def test_a_network_is_measured_with_as_many_boxes_as_the_config_allows(make_config):
    cfg = make_config(*AS_MANY_BOXES_AS_ALLOWED, "TEST.RESULTS_PER_IM=7")
    small, large = measure(cfg, 64, 96), measure(cfg, 128, 96)
    assert (small["proposals"], small["detections"]) == (cfg.RPN.TEST_PER_LEVEL_NMS_TOPK, 7)
    assert small["parameters"] == large["parameters"]
    assert small["flops"] < large["flops"] < 2 * small["flops"]


@pytest.mark.slow
def test_channels_of_other_groups_are_no_operations(make_config):
    def flops(**kwargs):
        words = [f"BACKBONE.RESNEXT_{key}={value}" for key, value in kwargs.items()]
        return measure(make_config("MODE_MASK=False", *AS_MANY_BOXES_AS_ALLOWED, *words), 64, 96)["flops"]

    # the 3x3 convolutions of four stages have 8, 16, 32 and 64 channels on maps of 16 x 24 to 2 x 3 pixels
    plain = sum(2 * 9 * (8 * 2 ** i) ** 2 * (64 >> 2 + i) * (96 >> 2 + i) for i in range(4))
    assert flops(GROUPS=1, WIDTH=64) - flops(GROUPS=8, WIDTH=8) == plain * 7 // 8


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
    monkeypatch.setattr(sys, "argv", ["complexity", *words])
    with pytest.raises(UserError, match=complaint):
        complexity.main()
