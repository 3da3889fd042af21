"""What a ring of GPUs sends."""


import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from benchmarks import traffic, train_step
from benchmarks.complexity import count_parameters
from tiny import TINY
from training.model import TrainingModel

NUM_CLASSES = 3


@pytest.mark.slow
def test_our_side_trains_every_layer_and_each_sends_a_message():
    cfg = train_step.make_config(1, num_classes=NUM_CLASSES, words=TINY)
    with tf.Graph().as_default() as graph:
        train_step.build_step(TrainingModel(cfg))
        trained = {v.op.name: v.shape.num_elements() for v in tfv1.trainable_variables()}
        updated = {v.op.name.replace("/Momentum", "") for v in tfv1.global_variables() if "Momentum" in v.op.name}
        num_parameters = count_parameters(graph)
    assert updated == set(trained)
    assert traffic.network_size(["BACKBONE.FREEZE_AT=0", *TINY], NUM_CLASSES) == dict(
        parameters=num_parameters, trainable=sum(trained.values()), messages=len(updated))
    assert sum(trained.values()) == num_parameters


@pytest.mark.parametrize("num_gpus, expected", [(1, 0), (2, 100), (4, 150), (8, 175)])
def test_a_ring_sends_all_but_a_part_of_the_gradients_twice(num_gpus, expected):
    assert traffic.wire_bytes(100, num_gpus) == expected


@pytest.mark.parametrize("num_gpus", [2, 3, 5])
def test_the_bytes_of_a_ring_are_those_of_one_that_is_acted_out(num_gpus):
    gradients = np.arange(num_gpus * 30.0).reshape(num_gpus, num_gpus, 30 // num_gpus)    # of GPU, part, number
    expected, sent = gradients.sum(axis=0), 0
    for turn in range(2 * (num_gpus - 1)):
        parts = [(gpu - turn) % num_gpus for gpu in range(num_gpus)]
        messages = [gradients[gpu, part].copy() for gpu, part in enumerate(parts)]
        sent += messages[0].nbytes
        for gpu, (part, message) in enumerate(zip(parts, messages)):
            receiver = gradients[(gpu + 1) % num_gpus, part]
            receiver[:] = message + (receiver if turn < num_gpus - 1 else 0)
    np.testing.assert_array_equal(gradients, np.stack([expected] * num_gpus))
    assert traffic.wire_bytes(gradients[0].nbytes, num_gpus) == sent


def test_a_link_of_8_gbit_takes_a_second_for_a_gigabyte():
    assert traffic.wire_seconds(1e9, 8) == 1.0


def test_the_table_of_a_network_made_by_hand():
    sizes = {"net": dict(parameters=3_000_000, trainable=2_000_000, messages=7)}
    assert traffic.size_table(sizes).splitlines()[-1].split() == "| net | 3.0 | 2.0 | 7 | 8.0 | 4.0 |".split()
    last = traffic.wire_table(sizes, [2], [1.0]).splitlines()[-1]
    assert last.split() == "| net | float16 | 2 | 4.0 | 0.0320 |".split()


@pytest.mark.slow
def test_what_r50_trains_is_all_but_the_stem_and_the_first_stage():
    found = traffic.network_size()
    stem = 7 * 7 * 3 * 64 + 2 * 64
    blocks = [256 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256)] * 3
    blocks[0] += (64 - 256) * 64 + 64 * 256 + 2 * 256    # of 64 channels, with a convolution as its shortcut
    assert found["trainable"] == found["parameters"] - stem - sum(blocks)
    assert found["parameters"] == pytest.approx(44.4e6, abs=0.05e6)
