"""Losses on plain tensors."""
import tensorflow as tf


def smooth_l1(predictions, targets, beta):
    """
    Smooth L1 (Girshick 2015, eq. 3), scaled so that its slope is 1 beyond `beta`: 0.5 x^2 / beta where |x| < beta,
    else |x| - 0.5 beta.

    Args:
        predictions, targets: (..., 4), or any equal shapes
        beta (float): 0 gives L1

    Returns:
        of the same shape, >= 0
    """
    distance = tf.abs(predictions - targets)
    if beta == 0:
        return distance
    return tf.where(distance < beta, 0.5 * tf.square(distance) / beta, distance - 0.5 * beta)


def mean_over(losses, count):
    """
    Args:
        losses: any shape, also empty
        count: scalar number that the sum is divided by

    Returns:
        scalar; 0 where `count` is 0
    """
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(count, tf.float32))
