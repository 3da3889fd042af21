"""On which level of a pyramid an RoI is pooled (Lin et al. 2017)."""
import math

import tensorflow as tf

from modeling.structures import RoIFeatures

# He et al.'s scale: an RoI of ImageNet's 224 pixels goes to level 4
CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4


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


def pool_from_levels(pooling, levels, strides, rois, size):
    """
    Args:
        pooling: see `roi_pool`
        levels (list): of its `surround`
        strides (list[int]): of each of them
        rois (RoIs): in pixels of the image
        size (int): bins in each direction

    Returns:
        RoIFeatures (R, size, size, C)
    """
    boxes, image_index = rois.boxes, rois.image_index
    if len(levels) == 1:
        pooled = pooling.pool(levels[0], boxes / strides[0], image_index, size)
        return RoIFeatures(pooled, tf.range(tf.shape(boxes)[0]))
    level_index = assign_levels(boxes, len(levels))
    members = [tf.cast(tf.where(tf.equal(level_index, i))[:, 0], tf.int32) for i in range(len(levels))]
    pooled = [pooling.pool(level, tf.gather(boxes, index) / stride, tf.gather(image_index, index), size)
              for level, stride, index in zip(levels, strides, members)]
    return RoIFeatures(tf.concat(pooled, axis=0), tf.concat(members, axis=0))
