"""Normalization layers, by the names of the config."""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import BatchNorm, layer_register

from .padding import NoPadding


@layer_register(log_shape=False)
def GroupNorm(x, groups=32, gamma_initializer=None, num_pixels=None):
    """
    Group normalization (Wu & He 2018) of each image by itself.

    The sums are taken over pixels first and over the channels of a group afterwards, on (B, C) values.

    Args:
        x: (B, H, W, C)
        groups (int): less where C has fewer than two channels for each
        num_pixels: int32 (B,), pixels of each image that are no padding, and x is 0 on the others; all without it

    Returns:
        (B, H, W, C)
    """
    channels = int(x.shape[-1])
    groups = min(groups, channels // 2)
    assert channels % groups == 0, (channels, groups)
    gamma = tfv1.get_variable("gamma", [channels], initializer=gamma_initializer or tfv1.ones_initializer())
    beta = tfv1.get_variable("beta", [channels], initializer=tfv1.zeros_initializer())

    if num_pixels is None:
        num_pixels = tf.fill([tf.shape(x)[0]], tf.shape(x)[1] * tf.shape(x)[2])
    pixels = tf.cast(num_pixels, x.dtype)[:, None, None]

    def group_mean(per_pixel):
        sums = tf.reshape(tf.reduce_sum(per_pixel, axis=[1, 2]), [-1, groups, channels // groups])
        return tf.reduce_sum(sums, axis=2, keepdims=True) / (pixels * (channels // groups))

    mean = group_mean(x)
    variance = tf.maximum(group_mean(tf.square(x)) - tf.square(mean), 0.0)
    scale = tf.math.rsqrt(variance + 1e-5) * tf.reshape(gamma, [1, groups, -1])
    shift = tf.reshape(beta, [1, groups, -1]) - mean * scale
    return x * tf.reshape(scale, [-1, 1, 1, channels]) + tf.reshape(shift, [-1, 1, 1, channels])


def on_rois(head, features):
    """
    Apply a head to the features of any number of RoIs. For none, a feature of zeros stands in, whose output is dropped:
    on a CPU, TensorFlow gets the shape of a convolution of an empty batch wrong.

    Args:
        head (callable): from (R, ...), R >= 1, to a tensor or a tuple of tensors (R, ...)
        features: (R, h, w, C), R >= 0

    Returns:
        what `head` returns, of R RoIs
    """
    num_rois = tf.shape(features)[0]
    at_least_one = tf.cond(num_rois > 0, lambda: tf.identity(features), lambda: tf.zeros([1, *features.shape[1:]]))
    at_least_one.set_shape([None, *features.shape[1:]])
    return tf.nest.map_structure(lambda y: y[:num_rois], head(at_least_one))


def normalize(x, norm, zero_init=False, padding=NoPadding(), stride=1):
    """
    Args:
        x: (B, H, W, C)
        norm (str): "FreezeBN" (fixed statistics), "SyncBN" (in training, statistics of the tower's batch), "GN" or
            "None"
        zero_init (bool): start with gamma = 0, so that a residual branch starts as nothing
        padding (Padding), stride (int): where the images end in x, so that "GN" leaves out what is beyond

    Returns:
        (B, H, W, C)
    """
    gamma_initializer = tfv1.zeros_initializer() if zero_init else tfv1.ones_initializer()
    if norm == "None":
        return x
    if norm == "GN":
        return GroupNorm("gn", padding.zero(x, stride), gamma_initializer=gamma_initializer,
                         num_pixels=padding.num_pixels(stride))
    return BatchNorm("bn", x, training=False if norm == "FreezeBN" else None, gamma_initializer=gamma_initializer)
