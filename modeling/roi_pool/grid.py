"""Bilinear samples of a feature map."""
import numpy as np
import tensorflow as tf


def sample_grid(features, first, last, image_index, size, ends=None):
    """
    Sample a grid of size x size points, bilinearly. Samples beyond the outermost pixels of the feature map are 0.

    Args:
        features: (B, H, W, C); the value of pixel (i, j) stands at (i, j)
        first, last: (R, 2), y and x of the first and last point
        image_index: int32 (R,), in 0..B - 1
        size (int): points in each direction; of one alone, the middle between first and last
        ends: int32 (B, 2), last row and column of each image, beyond which samples are 0 too

    Returns:
        (R, size, size, C), without a gradient to first and last
    """
    # crop_and_resize takes both as fractions of the distance between the outer pixels
    extent = tf.maximum(tf.cast(tf.shape(features)[1:3], tf.float32) - 1.0, 1.0)
    corners = tf.concat([first, last], axis=1) / tf.tile(extent, [2])
    samples = tf.image.crop_and_resize(features, tf.stop_gradient(corners), image_index, [size, size])
    if ends is None:
        return samples
    steps = np.linspace(0, 1, size, dtype="float32") if size > 1 else np.float32([0.5])
    places = first[..., None] + (last - first)[..., None] * steps    # (R, 2, size)
    inside = places <= tf.cast(tf.gather(ends, image_index), tf.float32)[..., None]
    mask = inside[:, 0, :, None] & inside[:, 1, None]
    # seldom needed, and a pass over all samples
    return tf.cond(tf.reduce_all(mask), lambda: tf.identity(samples),
                   lambda: samples * tf.cast(mask[..., None], samples.dtype))
