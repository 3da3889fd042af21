"""The mask head (He et al. 2017): a mask of every RoI's class."""
import math

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import layer_register
from tensorpack.tfutils.summary import add_moving_summary

from modeling.layers import UpConv2D, head_conv, lay_out
from modeling.losses import mean_over
from modeling.roi_pool.grid import crop_bins


def maskrcnn_upxconv_head(features, labels, num_convs, dim, num_categories, norm):
    """
    Args:
        features: (R, s, s, C)
        labels: int32 (R,), in 1..num_categories
        num_convs (int): 4 on a pyramid, 0 behind conv5
        dim (int): channels of the hidden layers
        num_categories (int): without the background
        norm (HeadNorm)

    Returns:
        float32 logits (R, 2 s, 2 s), of the class of each RoI
    """
    with tfv1.variable_scope("maskrcnn"):
        initializer = tfv1.variance_scaling_initializer(scale=2.0, mode="fan_out", distribution="untruncated_normal")
        x = features
        for i in range(num_convs):
            x = head_conv(f"fcn{i}", x, dim, norm, f"gn{i}")
        x = UpConv2D("deconv", x, dim, kernel_initializer=initializer, activation=tf.nn.relu)
        x = ClassConv2D("conv", x, labels, num_categories, tfv1.random_normal_initializer(stddev=0.001))
        return tf.cast(lay_out(x), tf.float32)


@layer_register(log_shape=False)
def ClassConv2D(x, labels, num_categories, kernel_initializer):
    """
    What a 1 x 1 convolution to one channel for each class gives in the channel of one class. Its variables are those
    of Conv2D.

    Args:
        x: (R, ..., C)
        labels: int32 (R,), in 1..num_categories
        num_categories (int): without the background
        kernel_initializer: of the kernel (1, 1, C, num_categories)

    Returns:
        (R, ...)
    """
    *pixels, channels = x.shape[1:]
    kernel = tfv1.get_variable("W", [1, 1, channels, num_categories], x.dtype, initializer=kernel_initializer)
    bias = tfv1.get_variable("b", [num_categories], x.dtype, initializer=tfv1.zeros_initializer())
    chosen = tf.one_hot(labels - 1, num_categories, dtype=x.dtype)    # unlike that of tf.gather its gradient is dense
    kernels = tf.matmul(chosen, kernel[0, 0], transpose_b=True)
    y = tf.linalg.matvec(tf.reshape(x, [-1, math.prod(pixels), channels]), kernels)
    return tf.reshape(y + tf.linalg.matvec(chosen, bias)[:, None], [-1, *pixels])


def unpack_masks(packed, resolution):
    """
    Args:
        packed: uint8 (B, G, P), each mask row by row, a bit for each sample, the highest bit of a byte first
        resolution (int): M; P is M * M / 8, rounded up

    Returns:
        uint8 (B, G, M, M), 0 or 1
    """
    shifts = tf.constant([7, 6, 5, 4, 3, 2, 1, 0], tf.uint8)
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(packed[..., None], shifts), tf.constant(1, tf.uint8))
    num_images, num_objects = tf.unstack(tf.shape(packed)[:2])
    samples = tf.reshape(bits, [num_images, num_objects, 8 * packed.shape[-1]])[..., :resolution ** 2]
    return tf.reshape(samples, [num_images, num_objects, resolution, resolution])


def mask_targets(rois, gt, size):
    """
    What the mask head should say: the ground-truth mask seen through each RoI.

    Args:
        rois (RoIs): foreground
        gt (GroundTruth): whose masks are 0 or 1, each sampled at M x M bins of its own box
        size (int): of the mask head's output

    Returns:
        float32 (R, size, size), 0 or 1
    """
    resolution = gt.masks.shape[-1]
    boxes = gt.boxes_at(rois.gt_index)
    cells = resolution / (boxes[:, 2:] - boxes[:, :2])
    in_mask_cells = (rois.boxes - tf.tile(boxes[:, :2], [1, 2])) * tf.tile(cells, [1, 2])
    masks = tf.cast(tf.reshape(gt.masks, [-1, resolution, resolution]), tf.float32)
    targets = crop_bins(masks[..., None], in_mask_cells, rois.gt_index, [size, size])
    return tf.cast(targets[..., 0] >= 0.5, tf.float32)


def maskrcnn_loss(logits, targets, shares):
    """
    Binary cross entropy, averaged over RoIs and pixels.

    Args:
        logits: (R, m, m), of the true class
        targets: (R, m, m), 0 or 1
        shares: (R,), see `losses.image_shares`

    Returns:
        scalar, 0 without RoIs
    """
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    loss = tf.reduce_sum(tf.reduce_mean(cross_entropy, axis=[1, 2]) * shares)
    with tf.name_scope("maskrcnn_metrics"):
        correct = tf.cast(tf.equal(logits > 0, targets > 0.5), tf.float32)
        add_moving_summary(tf.identity(mean_over(correct, tf.size(correct)), name="accuracy"))
    return loss
