"""
Gradients on a CPU. TensorFlow's own kernels of those of convolutions take up to six times as long as a forward
convolution with as many operations, longest where feature maps are large; so here they are made of convolutions and
matrix products.
"""
import contextlib

import common

import tensorflow as tf
from tensorflow.python.framework.test_util import IsMklEnabled


def make_deterministic():
    """
    To be called before a training. On a CPU the threads of TensorFlow's gradient of CropAndResize lose what two of them
    add to one pixel, which changes the backbone's gradient by some percent, unless TensorFlow is asked to be
    deterministic. A GPU loses nothing, and has no deterministic kernel of it.
    """
    if not common.visible_gpus():
        tf.config.experimental.enable_op_determinism()


def lacks_onednn():
    """Returns: bool, whether this is a CPU on which TensorFlow does not take the kernels of oneDNN"""
    return not common.visible_gpus() and not IsMklEnabled()


@contextlib.contextmanager
def convolutions():
    """What is built in this context has the gradients of this file, on a CPU without oneDNN, where they are faster."""
    with contextlib.ExitStack() as stack:
        if lacks_onednn():
            graph = tf.compat.v1.get_default_graph()
            stack.enter_context(graph.gradient_override_map({"Conv2D": "Conv2DOnCPU"}))
        yield


@tf.RegisterGradient("Conv2DOnCPU")
def _conv2d_gradient(op, dy):
    x, kernel = op.inputs
    settings = {key: op.get_attr(key) for key in ("strides", "padding", "explicit_paddings", "dilations")}
    height, width, channels = kernel.shape[:3]
    of_one_step = set(settings["strides"]) | set(settings["dilations"]) == {1}
    is_one_group = channels == x.shape[3]
    if of_one_step and is_one_group and settings["padding"] == b"SAME" and height == width and height and height % 2:
        return input_gradient(kernel, dy), kernel_gradient(x, dy, height)
    return (tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=dy, **settings),
            tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=tf.shape(kernel), out_backprop=dy, **settings))


def input_gradient(kernel, dy):
    """
    Gradient of a convolution of stride 1 with padding "SAME" with respect to its input: the convolution of `dy` with
    the kernel turned by 180 degrees.

    Args:
        kernel: (K, K, C, D), K odd
        dy: (B, H, W, D), gradient of the output

    Returns:
        (B, H, W, C)
    """
    return tf.nn.conv2d(dy, tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]), 1, "SAME")


def kernel_gradient(x, dy, size):
    """
    Gradient of such a convolution with respect to its kernel: for each of its cells the product of all pixels of `x`
    with those of `dy`, shifted against each other. With zeros to the right of each row and below each image, pixels in
    a flat list are neighbours by their distance in it, so a shift takes a slice of the list and copies nothing.

    Args:
        x: (B, H, W, C)
        dy: (B, H, W, D), gradient of the output
        size (int): K, odd

    Returns:
        (K, K, C, D)
    """
    margin = size // 2
    if margin:
        x, dy = (tf.pad(t, [[0, 0], [0, margin], [0, margin], [0, 0]]) for t in (x, dy))
    width = tf.shape(x)[2]
    x, dy = (tf.reshape(t, [-1, t.shape[-1]]) for t in (x, dy))

    def cell(row, column):
        shift = row * width + column
        pixels = tf.shape(x)[0] - tf.abs(shift)
        return tf.matmul(tf.slice(x, [tf.maximum(shift, 0), 0], [pixels, -1]),
                         tf.slice(dy, [tf.maximum(-shift, 0), 0], [pixels, -1]), transpose_a=True)

    shifts = range(-margin, margin + 1)
    cells = tf.stack([cell(row, column) for row in shifts for column in shifts])
    return tf.reshape(cells, [size, size, x.shape[-1], dy.shape[-1]])
