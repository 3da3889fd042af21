"""Bilinear samples of a feature map."""
import tensorflow as tf


def crop_bins(features, boxes, image_index, shape, ends=None):
    """
    Sample a grid of bins of each box, bilinearly, at the centre of each bin. Samples outside the feature map are 0.

    Args:
        features: (B, H, W, C); the value of pixel (i, j) stands at its centre (j + 0.5, i + 0.5)
        boxes: (R, 4), in pixels of the feature map
        image_index: int32 (R,), in 0..B - 1
        shape: two ints, or int32 (2,): h rows and w columns of bins
        ends: see `sample_grid`

    Returns:
        (R, h, w, C)
    """
    low, high = boxes[:, 1::-1], boxes[:, 3:1:-1]    # y, x
    first_bin = (high - low) * (0.5 / tf.cast(shape, tf.float32)) - 0.5
    return sample_grid(features, low + first_bin, high - first_bin - 1.0, image_index, shape, ends)


def sample_grid(features, first, last, image_index, shape, ends=None):
    """
    Sample a grid of points, bilinearly. Samples beyond the outermost pixels of the feature map are 0.

    Args:
        features: (B, H, W, C); the value of pixel (i, j) stands at (i, j)
        first, last: (R, 2), y and x of the first and last point
        image_index: int32 (R,), in 0..B - 1
        shape: two ints, or int32 (2,): h rows and w columns of points
        ends: int32 (B, 2), last row and column of each image, beyond which samples are 0 too

    Returns:
        (R, h, w, C), without a gradient to first and last
    """
    # crop_and_resize takes both as fractions of the distance between the outer pixels
    extent = tf.maximum(tf.cast(tf.shape(features)[1:3], tf.float32) - 1.0, 1.0)
    corners = tf.concat([first, last], axis=1) / tf.tile(extent, [2])
    samples = tf.image.crop_and_resize(features, tf.stop_gradient(corners), image_index, shape)
    if ends is None:
        return samples
    ends = tf.cast(tf.gather(ends, image_index), tf.float32)
    rows, columns = (_places(first[:, axis], last[:, axis], shape[axis]) <= ends[:, axis, None] for axis in (0, 1))
    # seldom needed, and a pass over all samples
    mask = rows[:, :, None, None] & columns[:, None, :, None]
    return tf.cond(tf.reduce_all(mask), lambda: tf.identity(samples), lambda: samples * tf.cast(mask, samples.dtype))


def _places(first, last, count):
    """Args: first, last (R,). Returns: (R, count), from first to last"""
    steps = tf.cast(tf.range(count), tf.float32) / tf.cast(tf.maximum(count - 1, 1), tf.float32)
    return first[:, None] + (last - first)[:, None] * steps
