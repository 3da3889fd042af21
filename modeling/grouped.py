"""Convolutions of groups of channels (Krizhevsky et al. 2012), of which ResNeXt is made."""
import common

import tensorflow as tf

MIN_CHANNELS = 16    # fewer take as long as a product of this many on a CPU, with zeros between the groups


def grouped_conv2d(x, kernel, strides, padding, bias=None):
    """
    A convolution in which each group of output channels sees only its own group of input channels.

    GPUs have kernels for it. On a CPU TensorFlow has no gradients without oneDNN, cannot fuse it with its bias there,
    and with oneDNN is slow on groups of few channels. So there it is made of plain convolutions, of one group each, or
    of several small ones with a block-diagonal kernel.

    Args:
        x: (B, H, W, C)
        kernel: (K, K, C / groups, D), whose outputs stand group by group
        strides (int), padding (str): as of `tf.nn.conv2d`
        bias: (D,)

    Returns:
        (B, H', W', D)
    """
    channels, filters = x.shape[3], kernel.shape[3]
    groups = channels // kernel.shape[2]
    if groups == 1 or common.visible_gpus():
        return _conv2d(x, kernel, strides, padding, bias)
    together = _num_merged(groups, kernel.shape[2])
    kernel = merge_groups(kernel, groups, together)
    parts = groups // together
    biases = [None] * parts if bias is None else tf.split(bias, parts)
    graph = tf.compat.v1.get_default_graph()
    # gradients of one operation each, whatever a training asks for
    with graph.gradient_override_map({"Conv2D": "Conv2D"}):
        outputs = [_conv2d(*inputs, strides, padding, b) for *inputs, b in zip(
            tf.split(x, parts, axis=3), tf.split(kernel, parts, axis=3), biases)]
    y = tf.concat(outputs, axis=3)
    y.set_shape([*y.shape[:3], filters])
    return y


def _conv2d(x, kernel, strides, padding, bias):
    y = tf.nn.conv2d(x, kernel, strides, padding)
    return y if bias is None else tf.nn.bias_add(y, bias)


def _num_merged(groups, channels):
    """Returns: int, how many groups of so many channels are computed together"""
    return max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * channels <= MIN_CHANNELS))


def merge_groups(kernel, groups, together):
    """
    The kernel of a convolution of fewer, larger groups, which computes the same: it is zero between the old ones.

    Args:
        kernel: (K, K, C / groups, D)
        groups (int)
        together (int): how many of them become one

    Returns:
        (K, K, C / groups * together, D)
    """
    if together == 1:
        return kernel
    height, width, channels, filters = kernel.shape
    kernel = tf.reshape(kernel, [height, width, 1, channels, groups // together, together, filters // groups])
    is_same_group = tf.reshape(tf.eye(together, dtype=kernel.dtype), [1, 1, together, 1, 1, together, 1])
    return tf.reshape(kernel * is_same_group, [height, width, together * channels, filters])
