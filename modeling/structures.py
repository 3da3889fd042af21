"""What travels together through the network. B is the number of images in a batch; boxes are as in `modeling.boxes`."""
from typing import NamedTuple, Optional

import tensorflow as tf


class GroundTruth(NamedTuple):
    """
    The objects of a batch, G of them in the image that has most.

    Attributes:
        boxes: float32 (B, G, 4), G >= 1
        labels: int32 (B, G), 1.. an object, 0 padding, -1 a crowd region
        masks: uint8 (B, G, M, M), see `mask_head.mask_targets`; None where no masks are trained
        keypoints: float32 (B, G, K, 3) x, y, and 0 for not labelled, 1 for hidden or 2 for visible; None where no
            keypoints are trained
    """

    boxes: tf.Tensor
    labels: tf.Tensor
    masks: Optional[tf.Tensor] = None
    keypoints: Optional[tf.Tensor] = None

    def boxes_at(self, index):
        """Returns: (R, 4), the boxes at `index`, int32 (R,) into the (B * G,) list of all"""
        return tf.gather(tf.reshape(self.boxes, [-1, 4]), index)

    def keypoints_at(self, index):
        """Returns: (R, K, 3), likewise the keypoints"""
        return tf.gather(tf.reshape(self.keypoints, [-1, *self.keypoints.shape[2:]]), index)


class Proposals(NamedTuple):
    """
    The boxes of the region proposal network.

    Attributes:
        boxes: (B, R, 4), clipped to their images, by falling score
        scores: (B, R), logits; -inf for padding
    """

    boxes: tf.Tensor
    scores: tf.Tensor

    @property
    def valid(self):
        """bool (B, R), False for padding"""
        return self.scores > float("-inf")

    def as_rois(self):
        """Returns: RoIs, without the padding"""
        valid = tf.where(self.valid)
        return RoIs(tf.gather_nd(self.boxes, valid, name="proposal_boxes"), tf.cast(valid[:, 0], tf.int32))


class RoIs(NamedTuple):
    """
    Regions of interest of all images, as a flat list.

    Attributes:
        boxes: (R, 4)
        image_index: int32 (R,), in 0..B - 1
        labels: int32 (R,), 0 for background; only in training
        gt_index: int32 (R,), the best box of each foreground RoI in the (B * G,) list of all; only in training
    """

    boxes: tf.Tensor
    image_index: tf.Tensor
    labels: Optional[tf.Tensor] = None
    gt_index: Optional[tf.Tensor] = None

    def foreground(self):
        """Returns: int32 or int64 (F,), indices of the RoIs with an object"""
        return tf.reshape(tf.where(self.labels > 0), [-1])

    def select(self, index):
        """Returns: RoIs, those at `index` (F,)"""
        return RoIs(*(tf.gather(x, index) for x in self))


class RoIFeatures(NamedTuple):
    """
    What is pooled for RoIs. It stands level by level until a head has made something small of it, which
    `in_order_of_boxes` then brings into the order of the boxes: that is less to move than the features are.

    Attributes:
        values: (R, h, w, C)
        order: int32 (R,), of which box each of them is
    """

    values: tf.Tensor
    order: tf.Tensor

    def in_order_of_boxes(self, outputs):
        """Args: outputs (R, ...): what a head made of `values`. Returns: (R, ...)"""
        return tf.scatter_nd(self.order[:, None], outputs, tf.shape(outputs))

    def select(self, index):
        """Returns: RoIFeatures of the boxes at `index` (F,), in that order"""
        place = tf.gather(tf.math.invert_permutation(self.order), index)
        return RoIFeatures(tf.gather(self.values, place), tf.range(tf.size(index)))


class Pyramid(NamedTuple):
    """
    What RoIs are pooled from.

    Attributes:
        levels (list): what the kind of pooling makes of each feature map, see `roi_pool`
        strides: of each of them
        dtype: of the layers behind the pooling
    """

    levels: list
    strides: tuple
    dtype: tf.DType


class Detections(NamedTuple):
    """
    What is found in a batch, image by image, each by falling score.

    Attributes:
        boxes: (D, 4), clipped to their images
        scores: (D,), in 0..1
        labels: int32 (D,), in 1..
        image_index: int32 (D,), in 0..B - 1
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    labels: tf.Tensor
    image_index: tf.Tensor

    def as_rois(self):
        """Returns: RoIs, of the boxes"""
        return RoIs(self.boxes, self.image_index)
