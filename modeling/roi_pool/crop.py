"""RoICrop (J. Yang et al., faster-rcnn.pytorch): bilinear samples from end to end of a box, and their maxima."""
from typing import NamedTuple

import tensorflow as tf

from modeling.roi_pool.grid import sample_grid


class RoICrop(NamedTuple):
    """
    Samples from one end of a box to the other, both included, of a map whose values stand at the pixels' top-left
    corners and which is 0 beyond its outermost pixels.

    Attributes:
        samples (int): of a bin in each direction, of which the largest counts
    """

    samples: int = 2

    def surround(self, features, padding, stride):
        """Returns: float32 (B, H + 2, W + 2, C), with a border of zeros"""
        # so that samples between an outermost pixel and the next fade, where crop_and_resize has 0 at once
        return tf.pad(tf.cast(padding.zero(features, stride), tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]])

    def pool(self, level, boxes, image_index, size):
        """Args: level, see `surround`; boxes (R, 4) in pixels of the map. Returns: (R, size, size, C)"""
        boxes = boxes + 1.0    # of the border
        crops = sample_grid(level, boxes[:, 1::-1], boxes[:, 3:1:-1], image_index, [size * self.samples] * 2)
        return tf.nn.max_pool2d(crops, self.samples, self.samples, "VALID") if self.samples > 1 else crops
