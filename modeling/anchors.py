"""Anchors of the region proposal network, and which of them stand for an object (Ren et al. 2015, sec. 3.1)."""
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorpack import tfv1

from modeling import boxes as box_ops


def cell_anchors(sizes, ratios, is_rounded=False):
    """
    Args:
        sizes: square roots of the areas, in pixels
        ratios: heights / widths
        is_rounded (bool): to whole pixels, halves to the even one

    Returns:
        float32 array (len(sizes) * len(ratios), 4): boxes around (0, 0), the ratios of the first size first
    """
    width = (np.reshape(sizes, (-1, 1)) / np.sqrt(np.reshape(ratios, (1, -1)))).reshape(-1)
    height = width * np.tile(ratios, len(sizes))
    anchors = np.stack([-width, -height, width, height], axis=1).astype("float32") / 2
    return np.round(anchors) if is_rounded else anchors


def grid_anchors(height, width, steps, cell):
    """
    Anchors of one feature map; cell (i, j) is centred at the pixel (j * steps[1], i * steps[0]).

    Args:
        height, width (scalar int tensors): of the feature map
        steps: two ints or scalar int tensors, pixels from a cell to the one below and to the right
        cell: float32 array (A, 4), of `cell_anchors`

    Returns:
        (height * width * A, 4)
    """
    x = tf.cast(tf.range(width) * steps[1], tf.float32)[:, None, None]
    y = tf.cast(tf.range(height) * steps[0], tf.float32)[:, None]
    # the first row of cells as one long vector, then all rows: broadcasting is slow where few values stand together
    row = tf.reshape(x * np.float32([1, 0, 1, 0]) + cell, [1, -1])
    down = tf.reshape(tf.zeros_like(x) + np.tile(np.float32([0, 1, 0, 1]), (len(cell), 1)), [1, -1])
    return tf.reshape(row + y * down, [-1, 4])


class AnchorThresholds(NamedTuple):
    """
    Attributes:
        positive, negative (float): IoU from which on an anchor is positive, below which it is negative
        crowd (float): share of an anchor inside a crowd region from which on it is not negative
        straddle (float): pixels by which it may leave the image; negative: any number
    """

    positive: float
    negative: float
    crowd: float
    straddle: float = 0.0


class AnchorLabels(NamedTuple):
    """
    Attributes:
        labels: int32 (B, A), 1 positive, 0 negative, -1 neither
        best_box: int32 (B, A), the box of largest IoU, in 0..G - 1
    """

    labels: tf.Tensor
    best_box: tf.Tensor


def label_anchors(anchors, exists, gt, image_sizes, thresholds):
    """
    An anchor is positive when its IoU with some box is at least the positive threshold, or when no other anchor
    overlaps some box more; negative when its IoU is below the negative threshold with all boxes; else neither. Anchors
    that leave the image too far are neither, and so are negative ones that lie in a crowd region.

    Args:
        anchors: (A, 4)
        exists: bool (B, A), False for anchors of cells beyond an image's feature map, which are neither as well
        gt (GroundTruth)
        image_sizes: int32 (B, 2), heights and widths
        thresholds (AnchorThresholds)

    Returns:
        AnchorLabels
    """
    straddle = thresholds.straddle if thresholds.straddle >= 0 else float("inf")
    limits = tf.cast(image_sizes, tf.float32)[:, None] + straddle
    inside = (exists & tf.reduce_all(anchors[None, :, :2] >= -straddle, axis=-1)
              & (anchors[None, :, 2] <= limits[..., 1]) & (anchors[None, :, 3] <= limits[..., 0]))
    overlaps = _overlaps(anchors, inside, gt)
    positive = (overlaps.best_iou >= thresholds.positive) | overlaps.is_best_of_box
    crowded = overlaps.in_crowd >= thresholds.crowd * box_ops.area(anchors)
    negative = (overlaps.best_iou < thresholds.negative) & tf.logical_not(crowded)
    labels = tf.where(positive, 1, tf.where(negative, 0, -1))
    return AnchorLabels(tf.where(inside, labels, -1), overlaps.best_box)


class _Overlaps(NamedTuple):
    """
    Of each anchor with the boxes of its image.

    Attributes:
        best_iou: (B, A), -1 without objects or outside of the image
        best_box: int32 (B, A), the first box with that IoU
        is_best_of_box: bool (B, A), no anchor overlaps some box more
        in_crowd: (B, A), the largest area in a crowd region
    """

    best_iou: tf.Tensor
    best_box: tf.Tensor
    is_best_of_box: tf.Tensor
    in_crowd: tf.Tensor


def _overlaps(anchors, inside, gt):
    """Returns: _Overlaps; one box of each image at a time, so that memory does not grow with their number"""
    def add(index, so_far):
        box, label = gt.boxes[:, index, None], gt.labels[:, index, None]
        iou = tf.where(inside & (label > 0), box_ops.iou(anchors, box), -1.0)
        highest = tf.reduce_max(iou, axis=1, keepdims=True)
        in_crowd = tf.where(label < 0, box_ops.intersection(anchors, box), 0.0)
        return index + 1, _Overlaps(
            tf.maximum(so_far.best_iou, iou), tf.where(iou > so_far.best_iou, index, so_far.best_box),
            so_far.is_best_of_box | tf.equal(iou, highest) & (highest > 0), tf.maximum(so_far.in_crowd, in_crowd))

    zeros = tf.zeros_like(inside, tf.float32)
    none = _Overlaps(zeros - 1.0, tf.zeros_like(inside, tf.int32), tf.zeros_like(inside), zeros)
    shapes = tf.TensorShape([]), _Overlaps(*4 * [tf.TensorShape([None, None])])
    return tfv1.while_loop(lambda index, _: index < tf.shape(gt.boxes)[1], add, (0, none), shapes,
                           parallel_iterations=1, back_prop=False)[1]
