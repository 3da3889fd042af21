"""Box arithmetic on tensors. Boxes are float32 (..., 4): x1, y1, x2, y2 in pixels, of width x2 - x1."""
import math
from typing import NamedTuple

import tensorflow as tf
from tensorpack import tfv1


def area(boxes):
    """
    Args:
        boxes: (..., 4)

    Returns:
        (...), 0 for a box whose corners are swapped
    """
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    return tf.maximum(x2 - x1, 0.0) * tf.maximum(y2 - y1, 0.0)


def intersection(boxes, others):
    """Area of overlap of `boxes` (..., 4) with `others` (..., 4), which broadcast. Returns: (...)"""
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    u1, v1, u2, v2 = tf.unstack(others, axis=-1)
    width = tf.minimum(x2, u2) - tf.maximum(x1, u1)
    height = tf.minimum(y2, v2) - tf.maximum(y1, v1)
    return tf.maximum(width, 0.0) * tf.maximum(height, 0.0)


def iou(boxes, others):
    """
    Intersection over union of boxes that broadcast: `iou(a[:, None], b[None])` is pairwise.

    Returns:
        (...), in 0..1; 0 where the union is empty
    """
    inter = intersection(boxes, others)
    return tf.math.divide_no_nan(inter, area(boxes) + area(others) - inter)


def clip(boxes, sizes):
    """
    Args:
        boxes: (..., 4)
        sizes: (..., 2), height and width of the image of each box, broadcasting against `boxes`

    Returns:
        (..., 4), inside the image
    """
    limit = tf.cast(tf.gather(sizes, [1, 0, 1, 0], axis=-1), boxes.dtype)
    return tf.minimum(tf.maximum(boxes, 0.0), limit)


def _center_size(boxes):
    top_left, bottom_right = boxes[..., :2], boxes[..., 2:]
    return (top_left + bottom_right) * 0.5, bottom_right - top_left


class BoxCoder(NamedTuple):
    """
    Regression targets of Faster R-CNN (Ren et al. 2015, eq. 2): weights * (dx / w, dy / h, log(W / w), log(H / h)).

    Attributes:
        weights: 4 numbers that multiply the targets
        max_log_scale (float): largest log(W / w) that is decoded, so that an untrained network does not overflow
    """

    weights: tuple = (1.0, 1.0, 1.0, 1.0)
    max_log_scale: float = math.log(1000 / 16)

    def encode(self, boxes, anchors):
        """
        Args:
            boxes: (..., 4), of positive width and height
            anchors: (..., 4), likewise, broadcasting against `boxes`

        Returns:
            (..., 4), deltas such that decode(encode(boxes, anchors), anchors) == boxes
        """
        center, size = _center_size(boxes)
        anchor_center, anchor_size = _center_size(anchors)
        shift, scale = (center - anchor_center) / anchor_size, tf.math.log(size / anchor_size)
        return tf.concat([shift, scale], axis=-1) * tf.constant(self.weights)

    def decode(self, deltas, anchors):
        """
        The inverse of `encode`.

        Args:
            deltas: (..., 4)
            anchors: (..., 4), broadcasting against `deltas`

        Returns:
            (..., 4)
        """
        deltas = deltas / tf.constant(self.weights)
        anchor_center, anchor_size = _center_size(anchors)
        center = deltas[..., :2] * anchor_size + anchor_center
        half = tf.exp(tf.minimum(deltas[..., 2:], self.max_log_scale)) * anchor_size * 0.5
        return tf.concat([center - half, center + half], axis=-1)


def nms(boxes, scores, iou_threshold, max_outputs):
    """
    Greedy non-maximum suppression of several groups of boxes, each by itself.

    Args:
        boxes: (G, N, 4)
        scores: (G, N); entries of -inf are no boxes
        iou_threshold (float): a box that overlaps a better one by more is dropped
        max_outputs (int or scalar tensor): boxes to keep of each group

    Returns:
        int32 (G, max_outputs): indices into N by falling score, padded with 0; bool (G, max_outputs): False for
        padding
    """
    max_outputs = tf.convert_to_tensor(max_outputs)

    def one_group(group):
        # corners in the order x, y serve as well as in the order y, x
        return tuple(tf.raw_ops.NonMaxSuppressionV4(
            boxes=group[0], scores=group[1], max_output_size=max_outputs, iou_threshold=iou_threshold,
            score_threshold=float("-inf"), pad_to_max_output_size=True))

    keep, count = tfv1.map_fn(
        one_group, (boxes, scores), dtype=(tf.int32, tf.int32), back_prop=False, parallel_iterations=16)
    return keep, tf.range(max_outputs)[None] < count[:, None]


def grouped_nms(boxes, scores, groups, iou_threshold, max_outputs):
    """
    Non-maximum suppression of boxes that are held only against those of their own group.

    Args:
        boxes: (N, 4)
        scores: (N,)
        groups: int32 (N,), a number for each group
        iou_threshold (float): see `nms`
        max_outputs (int): boxes to keep of each group

    Returns:
        int32 (K,): indices into N, group by group, each by falling score
    """
    order = tf.argsort(groups)
    unique, row = tf.unique(tf.gather(groups, order))
    place = tf.range(tf.size(order))
    column = place - tf.gather(tf.math.unsorted_segment_min(place, row, tf.size(unique)), row)
    cells = tf.stack([row, column], axis=1)
    # one row and column at least, as a loop without turns has no shape
    shape = tf.stack([tf.maximum(tf.size(unique), 1), tf.maximum(tf.reduce_max(column) + 1, 1)])
    keep, kept = nms(tf.scatter_nd(cells, tf.gather(boxes, order), tf.concat([shape, [4]], axis=0)),
                     tf.tensor_scatter_nd_update(tf.fill(shape, float("-inf")), cells, tf.gather(scores, order)),
                     iou_threshold, tf.minimum(max_outputs, shape[1]))
    return tf.boolean_mask(tf.gather(tf.scatter_nd(cells, order, shape), keep, batch_dims=1), kept)
