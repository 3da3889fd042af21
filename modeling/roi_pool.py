"""RoIAlign (He et al. 2017), on one feature map or on the levels of a pyramid."""
import math

import tensorflow as tf

from modeling.structures import RoIFeatures

# He et al.'s scale: an RoI of ImageNet's 224 pixels goes to level 4
CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4


def crop_bins(features, boxes, image_index, size):
    """
    Sample a grid of size x size bins of each box, bilinearly, at the centre of each bin. Samples outside the feature
    map are 0.

    Args:
        features: (B, H, W, C); the value of pixel (i, j) stands at its centre (j + 0.5, i + 0.5)
        boxes: (R, 4), in pixels of the feature map
        image_index: int32 (R,), in 0..B - 1
        size (int): bins in each direction

    Returns:
        (R, size, size, C)
    """
    shape = tf.cast(tf.shape(features)[1:3], tf.float32)
    low, high = boxes[:, 1::-1], boxes[:, 3:1:-1]    # y, x
    first_bin = (high - low) * (0.5 / size) - 0.5
    # crop_and_resize takes the first and last sample as fractions of the distance between the outer pixel centres
    corners = tf.concat([low + first_bin, high - first_bin - 1.0], axis=1) / tf.tile(tf.maximum(shape - 1.0, 1.0), [2])
    return tf.image.crop_and_resize(features, tf.stop_gradient(corners), image_index, [size, size])


def roi_align(features, boxes, image_index, size):
    """
    RoIAlign with 2 x 2 samples a bin.

    Args:
        features: (B, H + 2, W + 2, C), with a border of one pixel that repeats the outermost ones
        boxes: (R, 4), in pixels of the feature map without its border
        image_index: int32 (R,), in 0..B - 1
        size (int): bins in each direction

    Returns:
        (R, size, size, C)
    """
    return tf.nn.avg_pool2d(crop_bins(features, boxes + 1.0, image_index, size * 2), 2, 2, "VALID")


def assign_levels(boxes, num_levels):
    """
    Lin et al. 2017, eq. 1.

    Args:
        boxes: (R, 4), in pixels of the image
        num_levels (int): levels of the pyramid, the first of which is P2

    Returns:
        int32 (R,), in 0..num_levels - 1
    """
    width_height = tf.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    size = tf.sqrt(width_height[:, 0] * width_height[:, 1])
    level = tf.floor(CANONICAL_LEVEL + tf.math.log(size / CANONICAL_SIZE + 1e-6) / math.log(2))
    return tf.cast(tf.clip_by_value(level, 2, num_levels + 1), tf.int32) - 2


def multilevel_roi_align(pyramid, strides, boxes, image_index, size):
    """
    Args:
        pyramid (list): feature maps (B, H / s + 2, W / s + 2, C) with a border, see `roi_align`
        strides (list[int]): s of each of them
        boxes: (R, 4), in pixels of the image
        image_index: int32 (R,), in 0..B - 1
        size (int): bins in each direction

    Returns:
        RoIFeatures (R, size, size, C)
    """
    if len(pyramid) == 1:
        return RoIFeatures(roi_align(pyramid[0], boxes / strides[0], image_index, size), tf.range(tf.shape(boxes)[0]))
    levels = assign_levels(boxes, len(pyramid))
    members = [tf.cast(tf.where(tf.equal(levels, i))[:, 0], tf.int32) for i in range(len(pyramid))]
    pooled = [roi_align(features, tf.gather(boxes, index) / stride, tf.gather(image_index, index), size)
              for features, stride, index in zip(pyramid, strides, members)]
    return RoIFeatures(tf.concat(pooled, axis=0), tf.concat(members, axis=0))
