"""The copies of the network that train together: towers of this process, and Horovod's ranks."""
import common

import tensorflow as tf
from tensorflow.python.ops import collective_ops
from tensorpack import tfv1
from tensorpack.tfutils.tower import get_current_tower_context

import distributed

_GROUP_KEY = 1    # of the towers, which are the only group of a graph


def num_replicas():
    """Returns: int, how many copies of the training tower that is being built there are"""
    return get_current_tower_context().total * distributed.size()


def sum_over_replicas(x):
    """
    To be called in the same order while each training tower is built, and to be evaluated on all of them in each step.

    Args:
        x: float32, of the same shape on each replica

    Returns:
        the sum of the x of all replicas, whose gradient is likewise the sum of theirs
    """
    return distributed.sum_over_ranks(_sum_over_towers(x))


def _sum_over_towers(x):
    tower = get_current_tower_context()
    if tower.total == 1:
        return x
    # towers stand on virtual devices where there is no GPU
    device = f"/gpu:{tower.index}" if common.visible_gpus() else f"/cpu:{tower.index}"
    calls = tfv1.get_collection_ref(f"tower{tower.index}_sums")
    key = 2 * len(calls)
    calls.append(x)

    def all_reduce(value, instance_key):
        # a gradient would be placed with its forward op's inputs
        with tfv1.colocate_with(None, ignore_existing=True), tf.device(device):
            return collective_ops.all_reduce(value, tower.total, _GROUP_KEY, instance_key, "Add", "Id")

    @tf.custom_gradient
    def summed(value):
        return all_reduce(value, key), lambda gradient: all_reduce(gradient, key + 1)

    return summed(x)
