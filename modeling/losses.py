"""Losses on plain tensors."""
import math
from typing import NamedTuple

import tensorflow as tf

from modeling import boxes as box_ops

IOU_KINDS = ("iou", "giou", "diou", "ciou")
# areas and squared lengths in square pixels below which a ratio counts as 0, so that no gradient overflows
SMALLEST_AREA = 1e-12


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


def iou_loss(boxes, target_boxes, kind):
    """
    One minus a measure of how well boxes cover their targets. With the intersection I and the union U of a pair, the
    area C and the diagonal c of the smallest box around both, and the distance d of their centres:

        iou   1 - I / U                                      Yu et al. 2016 (who take the logarithm)
        giou  1 - I / U + (C - U) / C                        Rezatofighi et al. 2019
        diou  1 - I / U + d^2 / c^2                          Zheng et al. 2020
        ciou  1 - I / U + d^2 / c^2 + v^2 / (1 - I / U + v)  likewise, where v = 4 / pi^2 (atan W / H - atan w / h)^2
                                                             and the gradient takes v / (1 - I / U + v) for a constant

    Args:
        boxes: (N, 4); corners that are swapped are put in order
        target_boxes: (N, 4), of width and height >= 0
        kind (str): one of IOU_KINDS

    Returns:
        (N,): in 0..1 for iou, 0..2 for giou and diou, 0..3 for ciou; with finite gradients for all finite boxes
    """
    assert kind in IOU_KINDS, kind
    low, high = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
    target_low, target_high = target_boxes[:, :2], target_boxes[:, 2:]
    size, target_size = high - low, target_high - target_low

    inter = _product(tf.nn.relu(tf.minimum(high, target_high) - tf.maximum(low, target_low)))
    union = _product(size) + _product(target_size) - inter
    iou = _ratio(inter, union)
    if kind == "iou":
        return 1 - iou

    around = tf.maximum(high, target_high) - tf.minimum(low, target_low)
    if kind == "giou":
        return 1 - iou + _ratio(_product(around) - union, _product(around))

    shift = (low + high - target_low - target_high) / 2
    loss = 1 - iou + _ratio(_square_length(shift), _square_length(around))
    if kind == "diou":
        return loss
    v = 4 / math.pi ** 2 * tf.square(_slope_angle(target_size) - _slope_angle(size))
    return loss + tf.stop_gradient(_ratio(v, 1 - iou + v)) * v


class BoxLoss(NamedTuple):
    """
    What the regression of boxes costs: smooth L1 on the deltas, summed over the four of a box, or an IoU loss on the
    boxes that the deltas stand for.

    Attributes:
        kind (str): "smooth_l1", or one of IOU_KINDS
        coder (BoxCoder): of the deltas
        beta (float): see `smooth_l1`
        weight (float): that the loss is multiplied with
    """

    kind: str
    coder: box_ops.BoxCoder
    beta: float
    weight: float = 1.0

    def __call__(self, deltas, anchors, target_boxes):
        """
        Args:
            deltas: (N, 4)
            anchors: (N, 4), what the deltas start from
            target_boxes: (N, 4)

        Returns:
            (N,), without the weight
        """
        if self.kind == "smooth_l1":
            targets = tf.stop_gradient(self.coder.encode(target_boxes, anchors))
            return tf.reduce_sum(smooth_l1(deltas, targets, self.beta), axis=1)
        return iou_loss(self.coder.decode(deltas, anchors), target_boxes, self.kind)

    def mean_ious(self, deltas, anchors, target_boxes):
        """
        How well boxes cover their targets before and after the regression; as `__call__`.

        Returns:
            two scalars in 0..1, named "iou_before" and "iou_after"; 0 without boxes
        """
        boxes = self.coder.decode(deltas, anchors)
        count = tf.shape(anchors)[0]
        return (tf.identity(mean_over(box_ops.iou(anchors, target_boxes), count), name="iou_before"),
                tf.identity(mean_over(box_ops.iou(boxes, target_boxes), count), name="iou_after"))


def _product(sizes):
    return sizes[:, 0] * sizes[:, 1]


def _square_length(vectors):
    return tf.square(vectors[:, 0]) + tf.square(vectors[:, 1])


def _slope_angle(sizes):
    """Returns: (N,), atan(width / height), 0 for a box without width and height"""
    is_point = tf.reduce_max(sizes, axis=1) <= math.sqrt(SMALLEST_AREA)
    # the gradient of atan2 has no value at 0, 0
    width = tf.where(is_point, tf.zeros_like(sizes[:, 0]), sizes[:, 0])
    height = tf.where(is_point, tf.ones_like(sizes[:, 1]), sizes[:, 1])
    return tf.atan2(width, height)


def _ratio(part, whole):
    """Returns: part / whole, and 0 with a gradient of 0 where the whole is tiny"""
    is_tiny = whole <= SMALLEST_AREA
    return tf.where(is_tiny, tf.zeros_like(part), part) / tf.where(is_tiny, tf.ones_like(whole), whole)


def image_shares(image_index, num_images):
    """
    Weights that make a sum over RoIs the mean over images of each image's mean. With them a batch, several GPUs with a
    part of it each, and steps that are accumulated have one and the same loss, however many RoIs an image has.

    Args:
        image_index: int32 (R,)
        num_images: scalar int

    Returns:
        float32 (R,), 1 / (RoIs of the image * images)
    """
    counts = tf.math.unsorted_segment_sum(tf.ones_like(image_index, tf.float32), image_index, num_images)
    return 1.0 / (tf.gather(counts, image_index) * tf.cast(num_images, tf.float32))


def mean_over(losses, count):
    """
    Args:
        losses: any shape, also empty
        count: scalar number that the sum is divided by

    Returns:
        scalar; 0 where `count` is 0
    """
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(count, tf.float32))
