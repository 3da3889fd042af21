"""Sums over the towers of a process; those over ranks are tested with jobs."""
import common

import numpy as np
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.tfutils.tower import TrainTowerContext

from distributed.replicas import num_replicas, sum_over_replicas


def test_towers_sum_values_and_gradients_over_all_of_them():
    creator = common.QuietSessionCreator()
    creator.config.device_count["CPU"] = 2
    inputs, sums, slopes = [], [], []
    with tf.Graph().as_default():
        for index in range(2):
            with tf.device(f"/cpu:{index}"), TrainTowerContext(f"tower{index}", index=index, total=2):
                assert num_replicas() == 2
                x = tfv1.placeholder(tf.float32, [2])
                first, second = sum_over_replicas(x), sum_over_replicas(x ** 2)
                loss = (index + 1) * tf.reduce_sum(first) + tf.reduce_sum(second)
                inputs.append(x)
                sums.append([first, second])
                slopes.append(tf.gradients(loss, x)[0])
        with creator.create_session() as sess:
            sums, slopes = sess.run([sums, slopes], {inputs[0]: [1, 2], inputs[1]: [3, 5]})
    np.testing.assert_array_equal(sums, [[[4, 7], [10, 29]]] * 2)
    # the losses of both towers depend on each input: 1 + 2 for the sum, and twice 2 x for the sum of squares
    np.testing.assert_array_equal(slopes, [[3 + 4 * 1, 3 + 4 * 2], [3 + 4 * 3, 3 + 4 * 5]])


def test_a_single_tower_sums_nothing():
    with tf.Graph().as_default(), TrainTowerContext(""):
        x = tfv1.placeholder(tf.float32, [2])
        assert num_replicas() == 1
        assert sum_over_replicas(x) is x
