"""Normalization layers, by the names of the config, and how layers are applied."""
from typing import NamedTuple

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import BatchNorm, Conv2D, layer_register
from tensorpack.tfutils.tower import get_current_tower_context

from distributed.replicas import num_replicas, sum_over_replicas
from modeling.grouped import grouped_conv2d
from modeling.padding import NoPadding


def float32_variables(getter, name, *args, dtype=tf.float32, **kwargs):
    """A variable getter that stores what layers of another type ask for as float32."""
    variable = getter(name, *args, dtype=tf.float32 if dtype.is_floating else dtype, **kwargs)
    return tf.cast(variable, dtype) if dtype.is_floating and dtype != tf.float32 else variable


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
        (B, H, W, C), of the type of x; statistics are computed in float32
    """
    dtype, x = x.dtype, tf.cast(x, tf.float32)
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
    return tf.cast(x * tf.reshape(scale, [-1, 1, 1, channels]) + tf.reshape(shift, [-1, 1, 1, channels]), dtype)


@layer_register(log_shape=False)
def FixedNormConv2D(  # noqa: PLR0913  (what a convolution has, and a norm)
        x, filters, kernel_size, strides, padding, kernel_initializer, gamma_initializer, epsilon=1e-5, groups=1):
    """
    A convolution whose batch normalization has fixed statistics, as one operation: the norm is a factor and an offset
    of each channel, which go into the kernel and a bias. Its variables are those of Conv2D and BatchNorm.

    Args:
        x: (B, H, W, C)
        filters, kernel_size, strides (int), padding (str): as of tensorpack's Conv2D
        kernel_initializer, gamma_initializer: of the kernel and of the norm's factor
        groups (int): of channels, see `grouped_conv2d`

    Returns:
        (B, H', W', filters), of the type of x
    """
    kernel = tfv1.get_variable(
        "W", [kernel_size, kernel_size, int(x.shape[-1]) // groups, filters], initializer=kernel_initializer)
    with tfv1.variable_scope("bn"):
        gamma = tfv1.get_variable("gamma", [filters], initializer=gamma_initializer)
        beta = tfv1.get_variable("beta", [filters], initializer=tfv1.zeros_initializer())
        mean = tfv1.get_variable("mean/EMA", [filters], initializer=tfv1.zeros_initializer(), trainable=False)
        variance = tfv1.get_variable("variance/EMA", [filters], initializer=tfv1.ones_initializer(), trainable=False)
    factor = gamma * tf.math.rsqrt(variance + epsilon)
    kernel, bias = (tf.cast(v, x.dtype) for v in (kernel * factor, beta - mean * factor))
    if groups > 1:
        return tf.identity(grouped_conv2d(x, kernel, strides, padding.upper(), bias), name="output")
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides, padding.upper()), bias, name="output")


@layer_register(log_shape=False)
def GroupedConv2D(  # noqa: PLR0913  (what a convolution has, and its groups)
        x, filters, kernel_size, strides, padding, groups, use_bias, kernel_initializer, activation):
    """
    A convolution of groups of channels. Its variables are those of Conv2D, with a kernel (K, K, C / groups, filters).

    Args:
        x: (B, H, W, C)
        filters, kernel_size, strides (int), padding (str), use_bias (bool), kernel_initializer, activation: as of
            tensorpack's Conv2D
        groups (int): see `grouped_conv2d`

    Returns:
        (B, H', W', filters)
    """
    shape = [kernel_size, kernel_size, int(x.shape[-1]) // groups, filters]
    kernel = tfv1.get_variable("W", shape, x.dtype, initializer=kernel_initializer)
    bias = tfv1.get_variable("b", [filters], x.dtype, initializer=tfv1.zeros_initializer()) if use_bias else None
    return activation(grouped_conv2d(x, kernel, strides, padding.upper(), bias))


@layer_register(log_shape=False)
def UpConv2D(x, filters, kernel_initializer, activation=tf.identity):
    """
    A transposed convolution with a kernel of 2 x 2 and stride 2. Every pixel becomes 2 x 2 pixels by itself, so it is a
    1 x 1 convolution to four times the channels; `lay_out` puts them in their places, best when they have few channels
    left. Its variables are those of Conv2DTranspose.

    Args:
        x: (B, H, W, C)
        filters (int): D
        kernel_initializer: of the kernel (2, 2, D, C)
        activation (callable): of each value

    Returns:
        (B, H, W, 2, 2, D)
    """
    height, width, channels = x.shape[1:]
    kernel = tfv1.get_variable("W", [2, 2, filters, channels], x.dtype, initializer=kernel_initializer)
    bias = tfv1.get_variable("b", [filters], x.dtype, initializer=tfv1.zeros_initializer())
    kernel = tf.reshape(tf.transpose(kernel, [3, 0, 1, 2]), [1, 1, channels, 4 * filters])
    x = activation(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.tile(bias, [4])))
    return tf.reshape(x, [-1, height, width, 2, 2, filters])


def lay_out(x):
    """
    Args:
        x: (B, H, W, 2, 2), see `UpConv2D`

    Returns:
        (B, 2 H, 2 W)
    """
    height, width = x.shape[1:3]
    return tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4]), [-1, 2 * height, 2 * width])


@layer_register(log_shape=False)
def SyncBatchNorm(x, gamma_initializer=None, momentum=0.9, epsilon=1e-5):
    """
    Batch normalization with the statistics of the batches of all replicas together (Peng et al. 2018), in training. Its
    variables and moving averages are those of tensorpack's BatchNorm.

    Args:
        x: (B, H, W, C), of any batch and image size on each replica
        gamma_initializer: ones without it
        momentum (float): of the moving averages

    Returns:
        (B, H, W, C), of the type of x; statistics are computed in float32
    """
    dtype, x = x.dtype, tf.cast(x, tf.float32)
    channels = int(x.shape[-1])
    gamma = tfv1.get_variable("gamma", [channels], initializer=gamma_initializer or tfv1.ones_initializer())
    beta = tfv1.get_variable("beta", [channels], initializer=tfv1.zeros_initializer())
    moving_mean = tfv1.get_variable("mean/EMA", [channels], initializer=tfv1.zeros_initializer(), trainable=False)
    moving_variance = tfv1.get_variable(
        "variance/EMA", [channels], initializer=tfv1.ones_initializer(), trainable=False)

    pixels = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
    sums = [tf.reduce_sum(x, axis=[0, 1, 2]), tf.reduce_sum(tf.square(x), axis=[0, 1, 2]), [pixels]]
    total, total_of_squares, pixels = tf.split(
        sum_over_replicas(tf.concat(sums, axis=0)), [channels, channels, 1])
    mean = total / pixels
    variance = tf.maximum(total_of_squares / pixels - tf.square(mean), 0.0)
    if get_current_tower_context().is_main_training_tower:
        unbiased = variance * pixels / tf.maximum(pixels - 1, 1)
        for average, value in ((moving_mean, mean), (moving_variance, unbiased)):
            tfv1.add_to_collection(tfv1.GraphKeys.MODEL_VARIABLES, average)
            tfv1.add_to_collection(tfv1.GraphKeys.UPDATE_OPS,
                                   average.assign_sub((average - value) * (1 - momentum)).op)
    return tf.cast(tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon), dtype)


def on_rois(head, *inputs):
    """
    Apply a head to any number of RoIs. For none, one RoI of zeros stands in, whose output is dropped: on a CPU,
    TensorFlow gets the shape of a convolution of an empty batch wrong.

    Args:
        head (callable): from the inputs, R >= 1, to a tensor or a tuple of tensors (R, ...)
        inputs: (R, ...) each, R >= 0, such as features (R, h, w, C)

    Returns:
        what `head` returns, of R RoIs
    """
    num_rois = tf.shape(inputs[0])[0]
    at_least_one = tf.cond(num_rois > 0, lambda: [tf.identity(x) for x in inputs],
                           lambda: [tf.zeros([1, *x.shape[1:]], x.dtype) for x in inputs])
    for x, chosen in zip(inputs, at_least_one):
        chosen.set_shape([None, *x.shape[1:]])
    return tf.nest.map_structure(lambda y: y[:num_rois], head(*at_least_one))


class HeadNorm(NamedTuple):
    """
    The norm of a head's convolutions.

    Attributes:
        kind (str): "None", "GN" or "SyncBN"
        is_first (bool): it stands before the ReLU, as in Detectron and torchvision, and not behind it, as in the zoo
    """

    kind: str = "None"
    is_first: bool = False


def head_conv(name, x, filters, norm, norm_name):
    """
    A 3 x 3 convolution of a head, with its ReLU and its norm.

    Args:
        name (str): of the convolution, and of a norm that is first
        x: (R, h, w, C)
        filters (int)
        norm (HeadNorm)
        norm_name (str): of a norm that is not first

    Returns:
        (R, h, w, filters)
    """
    initializer = tfv1.variance_scaling_initializer(scale=2.0, mode="fan_out", distribution="untruncated_normal")
    if norm.is_first:
        return tf.nn.relu(conv_with_norm(name, x, filters, 3, norm.kind, initializer))
    x = Conv2D(name, x, filters, 3, activation=tf.nn.relu, kernel_initializer=initializer)
    return GroupNorm(norm_name, x) if norm.kind == "GN" else x


def conv_with_norm(name, x, filters, kernel_size, norm, kernel_initializer):
    """
    A convolution of stride 1 and its norm, which with "None" is a bias.

    Args:
        x: (B, H, W, C)
        norm (str): "FreezeBN", or see `normalize`

    Returns:
        (B, H, W, filters)
    """
    if norm == "FreezeBN" or norm == "SyncBN" and not get_current_tower_context().is_training:
        return FixedNormConv2D(name, x, filters, kernel_size, 1, "same", kernel_initializer, tfv1.ones_initializer())
    return Conv2D(name, x, filters, kernel_size, use_bias=norm == "None", kernel_initializer=kernel_initializer,
                  activation=lambda y: normalize(y, norm))


def normalize(x, norm, zero_init=False, padding=NoPadding(), stride=1):
    """
    Args:
        x: (B, H, W, C)
        norm (str): "SyncBN" (in training, statistics of the batches of all replicas), "GN" or "None"
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
    if norm == "SyncBN" and get_current_tower_context().is_training and num_replicas() > 1:
        return SyncBatchNorm("bn", x, gamma_initializer=gamma_initializer)
    return BatchNorm("bn", x, gamma_initializer=gamma_initializer)
