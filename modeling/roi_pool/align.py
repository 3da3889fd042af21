"""RoIAlign (He et al. 2017): the mean of bilinear samples in every bin."""
from typing import NamedTuple, Optional

import tensorflow as tf

from modeling.roi_pool.adaptive import pool_as_asked
from modeling.roi_pool.grid import crop_bins


class Bordered(NamedTuple):
    """
    A feature map with a border that repeats its outermost pixels.

    Attributes:
        features: float32 (B, H + 2, W + 2, C), or one more row and column, see `Padding.repeat_border`
        ends: int32 (B, 2), last row and column of each image's border, beyond which samples are 0; None where none lie
            beyond
    """

    features: tf.Tensor
    ends: Optional[tf.Tensor] = None


class RoIAlign(NamedTuple):
    """
    Attributes:
        samples (int): of a bin in each direction; 0: as many as the box asks, see `adaptive`
        is_shifted (bool): the value of a pixel stands at its centre (Detectron2's "aligned"). False: at its top-left
            corner, and a box is at least one pixel of the feature map wide and high, as in Detectron,
            maskrcnn-benchmark and torchvision's models
    """

    samples: int = 2
    is_shifted: bool = True

    def surround(self, features, padding, stride):
        """Returns: Bordered"""
        bordered = tf.cast(padding.repeat_border(features, stride), tf.float32)
        # only boxes that were made larger leave their image
        return Bordered(bordered, None if self.is_shifted else padding.border_ends(stride))

    def pool(self, level, boxes, image_index, size):
        """Args: level (Bordered); boxes (R, 4) in pixels of the map. Returns: (R, size, size, C)"""
        boxes = (boxes if self.is_shifted else _unshifted(boxes)) + 1.0    # of the border
        if not self.samples:
            return pool_as_asked(level.features, boxes, image_index, size, level.ends)
        crops = crop_bins(level.features, boxes, image_index, [size * self.samples] * 2, level.ends)
        return tf.nn.avg_pool2d(crops, self.samples, self.samples, "VALID")


def _unshifted(boxes):
    """Returns: (R, 4), at least 1 wide and high, for a map whose values stand at corners as if they stood at centres"""
    low = boxes[:, :2]
    return tf.concat([low, tf.maximum(boxes[:, 2:], low + 1.0)], axis=1) + 0.5
