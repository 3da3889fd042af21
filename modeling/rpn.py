"""Region Proposal Network (Ren et al. 2015), over any number of feature levels."""
from typing import NamedTuple

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import Conv2D
from tensorpack.tfutils.summary import add_moving_summary

from modeling import boxes as box_ops
from modeling.losses import mean_over
from modeling.sampling import flatten_drawn, sample_fg_bg
from modeling.structures import Proposals


class Level(NamedTuple):
    """
    What the network says about the anchors of a feature map, or of several that are joined.

    Attributes:
        anchors: (A, 4)
        inside: bool (B, A), False for anchors of cells beyond an image
        logits: (B, A)
        deltas: (B, A, 4)
    """

    anchors: tf.Tensor
    inside: tf.Tensor
    logits: tf.Tensor
    deltas: tf.Tensor


class ProposalLimits(NamedTuple):
    """
    Attributes:
        pre_nms_topk (int): boxes of a level that enter NMS
        post_nms_topk (int): boxes of a level, and of all levels together, that leave it
        nms_thresh (float): IoU
        min_size (float): shortest edge of a proposal, in pixels
    """

    pre_nms_topk: int
    post_nms_topk: int
    nms_thresh: float
    min_size: float


def join_levels(levels):
    """Args: levels (list[Level]). Returns: Level, of all their anchors"""
    anchors, inside, logits, deltas = zip(*levels)
    return Level(
        tf.concat(anchors, axis=0), tf.concat(inside, axis=1), tf.concat(logits, axis=1), tf.concat(deltas, axis=1))


def rpn_head(features, channels, num_anchors, num_convs=1, zero=tf.identity):
    """
    Args:
        features: (B, H, W, C)
        channels (int): of the hidden layers
        num_anchors (int): A, anchors of a cell
        num_convs (int): hidden layers
        zero (callable): takes away what lies beyond each image, before a convolution, see `Padding.zero`

    Returns:
        float32 logits (B, H * W * A) and deltas (B, H * W * A, 4), in the order of `anchors.grid_anchors`
    """
    with tfv1.variable_scope("rpn", reuse=tfv1.AUTO_REUSE):
        initializer = tfv1.random_normal_initializer(stddev=0.01)
        hidden = features
        for i in range(num_convs):
            hidden = Conv2D(f"conv{i}", zero(hidden), channels, 3, activation=tf.nn.relu,
                            kernel_initializer=initializer)
        # what is ranked is not rounded, which would make ties
        hidden = tf.cast(hidden, tf.float32)
        logits = Conv2D("class", hidden, num_anchors, 1, kernel_initializer=initializer)
        deltas = Conv2D("box", hidden, 4 * num_anchors, 1, kernel_initializer=initializer)
        batch = tf.shape(features)[0]
        return tf.reshape(logits, [batch, -1]), tf.reshape(deltas, [batch, -1, 4])


def rpn_losses(level, anchor_labels, gt, seeds, sampling, box_loss):
    """
    Cross entropy over a sample of the anchors, and a loss of the boxes of the foreground of the same sample. Both are
    divided by the number of anchors that were asked for, `sampling.size` an image.

    Args:
        level (Level): of all anchors
        anchor_labels (AnchorLabels): see `anchors.label_anchors`
        gt (GroundTruth)
        seeds: int64 (B, 2), see `sampling.random_subset`
        sampling (Sampling): the size of the sample and its largest share of foreground
        box_loss (BoxLoss)

    Returns:
        dict of scalars: rpn_label_loss, rpn_box_loss
    """
    labels, best_box = anchor_labels
    num_anchors, num_gt = tf.shape(level.anchors)[0], tf.shape(gt.boxes)[1]
    fg, bg = sample_fg_bg(tf.equal(labels, 1), tf.equal(labels, 0), sampling, seeds)
    fg_index = tf.stop_gradient(flatten_drawn(*fg, num_anchors))
    bg_index = tf.stop_gradient(flatten_drawn(*bg, num_anchors))
    count = tf.shape(labels)[0] * sampling.size

    sampled_logits = tf.gather(tf.reshape(level.logits, [-1]), tf.concat([fg_index, bg_index], axis=0))
    sampled_labels = tf.concat([tf.ones_like(fg_index, tf.float32), tf.zeros_like(bg_index, tf.float32)], axis=0)
    label_loss = mean_over(tf.nn.sigmoid_cross_entropy_with_logits(labels=sampled_labels, logits=sampled_logits), count)

    box_index = tf.gather(tf.reshape(best_box, [-1]), fg_index) + fg_index // num_anchors * num_gt
    regression = (tf.gather(tf.reshape(level.deltas, [-1, 4]), fg_index),
                  tf.gather(level.anchors, fg_index % num_anchors), gt.boxes_at(box_index))
    fg_loss = box_loss(*regression)

    with tf.name_scope("rpn_metrics"):
        recall = tf.reduce_sum(tf.cast(sampled_logits[:tf.size(fg_index)] > 0, tf.float32))
        recall = tf.math.divide_no_nan(recall, tf.cast(tf.size(fg_index), tf.float32), name="fg_recall")
        add_moving_summary(recall, tf.cast(tf.size(fg_index), tf.float32, name="num_fg"),
                           *box_loss.mean_ious(*regression))
    return {"rpn_label_loss": label_loss, "rpn_box_loss": mean_over(fg_loss, count) * box_loss.weight}


def generate_proposals(levels, image_sizes, limits, coder):
    """
    The best boxes of each level after NMS, then the best of all levels.

    Args:
        levels (list[Level])
        image_sizes: int32 (B, 2), which the proposals are clipped to
        limits (ProposalLimits)
        coder (BoxCoder): of the deltas

    Returns:
        Proposals
    """
    candidates = [_top_boxes(level, image_sizes, limits, coder) for level in levels]
    longest = tf.reduce_max([tf.shape(scores)[1] for _, scores in candidates])
    level_boxes, level_scores = zip(*[_pad_to(boxes, scores, longest) for boxes, scores in candidates])
    boxes, scores = tf.stack(level_boxes, axis=1), tf.stack(level_scores, axis=1)    # (B, L, K, 4), (B, L, K)

    batch = tf.shape(image_sizes)[0]
    boxes = tf.reshape(boxes, [batch * len(levels), longest, 4])
    scores = tf.reshape(scores, [batch * len(levels), longest])
    keep, kept = box_ops.nms(boxes, scores, limits.nms_thresh, tf.minimum(limits.post_nms_topk, longest))
    boxes = tf.reshape(tf.gather(boxes, keep, batch_dims=1), [batch, -1, 4])
    scores = tf.reshape(tf.where(kept, tf.gather(scores, keep, batch_dims=1), float("-inf")), [batch, -1])

    scores, best = tf.nn.top_k(scores, tf.minimum(limits.post_nms_topk, tf.shape(scores)[1]))
    boxes = tf.stop_gradient(tf.gather(boxes, best, batch_dims=1))
    return Proposals(boxes, tf.stop_gradient(scores, name="scores"))


def _top_boxes(level, image_sizes, limits, coder):
    scores = tf.where(level.inside, level.logits, float("-inf"))
    scores, best = tf.nn.top_k(scores, tf.minimum(limits.pre_nms_topk, tf.shape(scores)[1]))
    boxes = coder.decode(tf.gather(level.deltas, best, batch_dims=1), tf.gather(level.anchors, best))
    boxes = box_ops.clip(boxes, image_sizes[:, None])
    large = tf.reduce_all(boxes[..., 2:] - boxes[..., :2] > limits.min_size, axis=-1)
    return boxes, tf.where(large, scores, float("-inf"))


def _pad_to(boxes, scores, length):
    missing = length - tf.shape(scores)[1]
    return (tf.pad(boxes, [[0, 0], [0, missing], [0, 0]]),
            tf.pad(scores, [[0, 0], [0, missing]], constant_values=float("-inf")))
