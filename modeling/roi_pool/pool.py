"""RoIPool (Girshick 2015): the maximum of the pixels in every bin."""
from typing import NamedTuple

import tensorflow as tf

from modeling.roi_pool.maxima import Windows, window_maxima


class Region(NamedTuple):
    """
    Attributes:
        features: float32 (B, H, W, C)
        ends: int32 (B, 2), height and width of each image on it
    """

    features: tf.Tensor
    ends: tf.Tensor


class RoIPool(NamedTuple):
    """The pixels of a bin, to whose borders all boxes are rounded. A bin without any is 0."""

    def surround(self, features, padding, stride):
        """Returns: Region"""
        return Region(tf.cast(features, tf.float32), padding.region(stride))

    def pool(self, level, boxes, image_index, size):
        """Args: level (Region); boxes (R, 4) in pixels of the map. Returns: (R, size, size, C)"""
        first, end = bins(boxes, size, tf.gather(level.ends, image_index))
        start, shape = _grid(first), _grid(end - first)
        filled = tf.reduce_all(shape > 0, axis=3, keepdims=True)
        windows = Windows(tf.repeat(image_index, size * size), tf.reshape(tf.where(filled, start, 0), [-1, 2]),
                          tf.reshape(tf.where(filled, shape, 1), [-1, 2]))
        pooled = tf.reshape(window_maxima(level.features, windows), [-1, size, size, level.features.shape[-1]])
        return tf.cond(tf.reduce_all(filled), lambda: tf.identity(pooled), lambda: tf.where(filled, pooled, 0.0))


def _grid(x):
    """Args: x (R, 2, S), of rows and of columns. Returns: (R, S, S, 2), each row with each column"""
    rows, columns = x[:, 0, :, None], x[:, 1, None]
    return tf.stack([rows + tf.zeros_like(columns), columns + tf.zeros_like(rows)], axis=3)


def bins(boxes, size, ends):
    """
    Args:
        boxes: (R, 4), in pixels of the feature map
        size (int): S bins in each direction
        ends: int32 (R, 2), height and width that bins are clipped to

    Returns:
        int32 (R, 2, S) first row and column of each bin, and (R, 2, S) those behind the last
    """
    low, high = _round(boxes[:, 1::-1]), _round(boxes[:, 3:1:-1])    # y, x
    extent = tf.maximum(high - low + 1.0, 1.0)
    # TensorFlow may multiply by the reciprocal of a constant, which in float32 moves ends of bins to the next pixel
    step = tf.cast(tf.cast(extent, tf.float64) / size, tf.float32)[..., None]
    index = tf.range(size, dtype=tf.float32)
    first, end = (tf.cast(x + low[..., None], tf.int32)
                  for x in (tf.floor(index * step), tf.math.ceil((index + 1.0) * step)))
    return [tf.clip_by_value(x, 0, ends[..., None]) for x in (first, end)]


def _round(x):
    """Half away from zero, while tf.round goes to even numbers"""
    whole = tf.floor(tf.abs(x))
    return tf.sign(x) * (whole + tf.cast(tf.abs(x) - whole >= 0.5, tf.float32))
