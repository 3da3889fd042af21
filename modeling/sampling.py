"""Random choice of what is trained on in a step."""
from typing import NamedTuple

import tensorflow as tf

from modeling import boxes as box_ops
from modeling.structures import RoIs


class Sampling(NamedTuple):
    """
    Attributes:
        size (int): how many are drawn of an image
        fg_ratio (float): largest share of foreground among them
    """

    size: int
    fg_ratio: float


def random_subset(candidates, size, seeds):
    """
    Args:
        candidates: bool (B, N), B static
        size (int): how many to draw from each row
        seeds: int64 (B, 2), of each row; the same seed draws the same

    Returns:
        int32 (B, K): indices into N, with K = min(size, N); bool (B, K): which of them were drawn. A row's drawn ones
        come first, in random order.
    """
    row_shape = tf.shape(candidates)[1:]
    keys = tf.stack([tf.random.stateless_uniform(row_shape, seed) for seed in tf.unstack(seeds, candidates.shape[0])])
    keys = tf.where(candidates, keys, -1.0)
    keys, indices = tf.nn.top_k(keys, tf.minimum(size, tf.shape(candidates)[1]))
    return indices, keys >= 0


def sample_fg_bg(foreground, background, sampling, seeds):
    """
    Draw `sampling.size` of each row, the foreground up to its share, the rest of the background.

    Args:
        foreground, background: bool (B, N)
        sampling (Sampling)
        seeds: int64 (B, 2), see `random_subset`

    Returns:
        a pair (int32 (B, F), bool (B, F)) for the foreground and one for the background: indices into N, and which
        of them were drawn
    """
    fg_indices, fg_drawn = random_subset(foreground, int(sampling.size * sampling.fg_ratio), seeds)
    bg_indices, bg_drawn = random_subset(background, sampling.size, seeds + [0, 1])
    num_bg = sampling.size - tf.reduce_sum(tf.cast(fg_drawn, tf.int32), axis=1, keepdims=True)
    bg_drawn &= tf.range(tf.shape(bg_indices)[1])[None] < num_bg
    return (fg_indices, fg_drawn), (bg_indices, bg_drawn)


def flatten_drawn(indices, drawn, row_length):
    """
    Args:
        indices: int32 (B, K), into rows of length `row_length`
        drawn: bool (B, K)

    Returns:
        int32 (S,): the drawn indices, into the (B * row_length,) list of all rows
    """
    offsets = tf.range(tf.shape(indices)[0])[:, None] * row_length
    return tf.boolean_mask(indices + offsets, drawn)


def sample_rois(proposals, gt, sampling, fg_thresh, seeds):
    """
    RoIs that the heads are trained on (Girshick 2015, sec. 2.3), with the ground truth among the proposals.

    Args:
        proposals (Proposals)
        gt (GroundTruth)
        sampling (Sampling)
        fg_thresh (float): an RoI is foreground when its IoU with a box is at least this
        seeds: int64 (B, 2), see `random_subset`

    Returns:
        RoIs, the foreground first
    """
    is_object = gt.labels > 0
    boxes = tf.concat([proposals.boxes, gt.boxes], axis=1)
    valid = tf.concat([proposals.valid, is_object], axis=1)
    ious = tf.where(is_object[:, None], box_ops.iou(boxes[:, :, None], gt.boxes[:, None]), -1.0)
    foreground = (tf.reduce_max(ious, axis=2) >= fg_thresh) & valid
    fg, bg = sample_fg_bg(foreground, valid & tf.logical_not(foreground), sampling, seeds)

    num_rois, num_gt = tf.shape(boxes)[1], tf.shape(gt.boxes)[1]
    fg_index = flatten_drawn(*fg, num_rois)
    bg_index = flatten_drawn(*bg, num_rois)
    index = tf.concat([fg_index, bg_index], axis=0)
    image_index = index // num_rois

    gt_index = tf.reshape(tf.argmax(ious, axis=2, output_type=tf.int32), [-1])
    gt_index = tf.gather(gt_index, index) + image_index * num_gt
    fg_labels = tf.gather(tf.reshape(gt.labels, [-1]), gt_index[:tf.size(fg_index)])
    labels = tf.concat([fg_labels, tf.zeros_like(bg_index)], axis=0)
    rois = tf.gather(tf.reshape(boxes, [-1, 4]), index), image_index, labels, gt_index
    return RoIs(*map(tf.stop_gradient, rois))
