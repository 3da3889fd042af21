"""
Maxima of many windows of a feature map.

Four windows whose height and width are powers of two, one in each corner of a window, cover it. The maxima of all
windows of such a size are a table, which comes from the table of half the size (a sparse table, Bender &
Farach-Colton 2000). Only two tables exist at a time.
"""
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorpack import tfv1

POWERS = 2 ** np.arange(16, dtype="int32")


class Windows(NamedTuple):
    """
    Attributes:
        image_index: int32 (N,), in 0..B - 1
        start: int32 (N, 2), first row and column
        shape: int32 (N, 2), height and width, at least 1; all of it is inside the feature map
    """

    image_index: tf.Tensor
    start: tf.Tensor
    shape: tf.Tensor


class _Maxima(NamedTuple):
    """
    Attributes:
        values: float32 (..., C)
        places: float32 (..., C), which pixel of its image each is, the first among equal ones. Exact up to 2**24; a GPU
            would have int32 cross over to the CPU in every turn of a loop
    """

    values: tf.Tensor
    places: tf.Tensor


def window_maxima(features, windows):
    """
    Args:
        features: float32 (B, H, W, C)
        windows (Windows)

    Returns:
        (N, C), maxima of each channel. Their gradient goes to one pixel each, among equal ones to the first in reading
        order.
    """
    @tf.custom_gradient
    def maxima(features, *windows):
        windows = Windows(*windows)
        found = _search(features, windows)    # inference asks for no places, so TensorFlow leaves them out

        def grad(grad):
            batch, height, width, channels = tf.unstack(tf.shape(features))
            pixels = tf.cast(found.places, tf.int32) + windows.image_index[:, None] * (height * width)
            sums = tf.math.unsorted_segment_sum(tf.reshape(grad, [-1]), tf.reshape(
                pixels * channels + tf.range(channels), [-1]), batch * height * width * channels)
            return tf.reshape(sums, tf.shape(features)), None, None, None
        return found.values, grad

    return maxima(features, *windows)


def _search(features, windows):
    """Returns: _Maxima (N, C)"""
    channels = features.shape[-1]
    # log2 of the powers of two that cover each window
    levels = tf.reduce_sum(tf.cast(windows.shape[..., None] >= POWERS[1:], tf.int32), axis=2)
    order = tf.argsort(levels[:, 1] * len(POWERS) + levels[:, 0], stable=True)
    levels, windows = tf.gather(levels, order), Windows(*(tf.gather(x, order) for x in windows))
    down, across = levels[:, 0], levels[:, 1]

    def take_width(column, table, start, index, taken):
        """All windows of 2**column columns or more, but of less than twice as many"""
        highest = tf.reduce_max(tf.where(tf.equal(across, column), down, -1))

        def take_height(row, table, start, index, taken):
            count = tf.reduce_sum(tf.cast(tf.equal(across, column) & tf.equal(down, row), tf.int32))
            some = Windows(*(x[start:start + count] for x in windows))
            found = _of_corners(table, some, tf.gather(POWERS, [row, column]))
            taken = _Maxima(*(array.write(index, x) for array, x in zip(taken, found)))
            return row + 1, _doubled(table, 1, tf.gather(POWERS, row)), start + count, index + 1, taken

        _, _, start, index, taken = _loop(take_height, highest, table, start, index, taken)
        return column + 1, _doubled(table, 2, tf.gather(POWERS, column)), start, index, taken

    taken = _Maxima(*(tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False,
                                     element_shape=[None, channels]) for _ in range(2)))
    taken = _loop(take_width, tf.reduce_max(across), _of_pixels(features), 0, 0, taken)[-1]
    in_order = tf.math.invert_permutation(order)
    return _Maxima(*(tf.gather(tf.ensure_shape(array.concat(), [None, channels]), in_order) for array in taken))


def _loop(body, last, table, *state):
    """From 0 to `last`, with a table whose height and width change"""
    shape = tf.TensorShape([None, None, None, table.values.shape[-1]])
    shapes = tf.TensorShape([]), _Maxima(shape, shape), tf.TensorShape([]), tf.TensorShape([]), _Maxima(None, None)
    return tfv1.while_loop(lambda level, *_: level <= last, body, (0, table, *state), shapes, parallel_iterations=1)


def _of_pixels(features):
    """Returns: _Maxima (B, H, W, C), of windows of one pixel"""
    shape = tf.shape(features)
    places = tf.reshape(tf.range(shape[1] * shape[2]), [1, shape[1], shape[2], 1])
    return _Maxima(features, tf.broadcast_to(tf.cast(places, tf.float32), shape))


def _doubled(table, axis, length):
    """Returns: _Maxima, of windows of twice the length along an axis"""
    all_before = [slice(None)] * axis
    halves = [(*all_before, part) for part in (slice(None, -length), slice(length, None))]
    return _larger(*(_Maxima(*(x[half] for x in table)) for half in halves))


def _of_corners(table, windows, powers):
    """
    Args:
        table (_Maxima): (B, H', W', C), of all windows of one size
        windows (Windows): N
        powers: int32 (2,), that height and width

    Returns:
        _Maxima (N, C)
    """
    _, height, width, channels = tf.unstack(tf.shape(table.values))
    flat = [tf.reshape(x, [-1, channels]) for x in table]
    top, left = tf.unstack(windows.start, axis=1)
    bottom, right = tf.unstack(windows.start + windows.shape - powers, axis=1)

    def corner(row, column):
        index = (windows.image_index * height + row) * width + column
        return _Maxima(*(tf.gather(x, index) for x in flat))

    return _larger(_larger(corner(top, left), corner(top, right)), _larger(corner(bottom, left), corner(bottom, right)))


def _larger(first, second):
    """Args: first, second (_Maxima). Returns: _Maxima, the larger ones, of equal ones that which stands before"""
    is_second = (second.values > first.values) | (
        tf.equal(second.values, first.values) & (second.places < first.places))
    return _Maxima(tf.maximum(first.values, second.values), tf.where(is_second, second.places, first.places))
