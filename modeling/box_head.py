"""The box head (Girshick 2015): a class and a refined box for every RoI."""
from typing import NamedTuple

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import FullyConnected
from tensorpack.tfutils.summary import add_moving_summary

from modeling import boxes as box_ops
from modeling.layers import head_conv
from modeling.losses import mean_over
from modeling.structures import Detections


def fastrcnn_2fc_head(features, dim, dropout_seed=None):
    """
    Args:
        features: (R, h, w, C)
        dim (int): of both layers
        dropout_seed: int64 (2,), of the half of each layer's outputs that is left out in training; None: all stay

    Returns:
        (R, dim)
    """
    x = _dropout(_fc("fc6", _channels_first(features), dim), dropout_seed, 0)
    return _dropout(_fc("fc7", x, dim), dropout_seed, 1)


def _dropout(x, seed, number):
    """Args: seed: int64 (2,), or None; number (int): of the layer. Returns: x, half of it 0, the rest twice itself"""
    if seed is None:
        return x
    stays = tf.random.stateless_uniform(tf.shape(x), seed + [0, number]) < 0.5
    return tf.where(stays, 2 * x, tf.zeros_like(x))


def fastrcnn_4conv1fc_head(features, conv_dim, fc_dim, norm):
    """
    The head of Wu & He 2018.

    Args:
        features: (R, h, w, C)
        conv_dim (int), fc_dim (int): of the convolutions and of the last layer
        norm (HeadNorm)

    Returns:
        (R, fc_dim)
    """
    x = features
    for i in range(4):
        x = head_conv(f"conv{i}", x, conv_dim, norm, f"gn{i}")
    return _fc("fc", _channels_first(x), fc_dim)


def _channels_first(features):
    # the zoo's weights of a layer behind features expect them so
    return tf.transpose(features, [0, 3, 1, 2])


def _fc(name, x, dim):
    return FullyConnected(
        name, x, dim, kernel_initializer=tfv1.variance_scaling_initializer(), activation=tf.nn.relu)


def fastrcnn_outputs(features, num_classes, class_agnostic=False):
    """
    Args:
        features: (R, dim)
        num_classes (int): with the background
        class_agnostic (bool): one box for all classes

    Returns:
        float32 logits (R, num_classes), and deltas (R, num_boxes, 4), where num_boxes is 1 or num_classes
    """
    num_boxes = 1 if class_agnostic else num_classes
    features = tf.cast(features, tf.float32)    # what is ranked is not rounded, which would make ties
    logits = FullyConnected(
        "class", features, num_classes, kernel_initializer=tfv1.random_normal_initializer(stddev=0.01))
    deltas = FullyConnected(
        "box", features, num_boxes * 4, kernel_initializer=tfv1.random_normal_initializer(stddev=0.001))
    return logits, tf.reshape(deltas, [-1, num_boxes, 4])


def fastrcnn_losses(logits, deltas, rois, target_boxes, shares, box_loss):
    """
    Cross entropy over all RoIs, and a loss of the boxes of the foreground; both are divided by the number of all RoIs.

    Args:
        logits: (R, num_classes)
        deltas: (R, num_classes, 4), or (R, 1, 4) for all classes
        rois (RoIs): with labels in 0..num_classes - 1
        target_boxes: (R, 4), the ground truth of each foreground RoI; of the others, anything
        shares: (R,), see `losses.image_shares`
        box_loss (BoxLoss)

    Returns:
        label_loss, box_loss: scalars
    """
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rois.labels, logits=logits)
    label_loss = tf.reduce_sum(cross_entropy * shares)

    foreground = rois.foreground()
    fg_labels = tf.gather(rois.labels, foreground)
    fg_boxes = tf.minimum(fg_labels, tf.shape(deltas)[1] - 1)
    regression = (tf.gather(tf.gather(deltas, foreground), fg_boxes, batch_dims=1), tf.gather(rois.boxes, foreground),
                  tf.gather(target_boxes, foreground))
    fg_loss = box_loss(*regression)

    with tf.name_scope("fastrcnn_metrics"):
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), rois.labels), tf.float32)
        add_moving_summary(
            tf.identity(mean_over(correct, tf.size(correct)), name="accuracy"),
            tf.identity(mean_over(tf.gather(correct, foreground), tf.size(foreground)), name="fg_accuracy"),
            tf.cast(tf.size(foreground), tf.float32, name="num_fg"),
            *box_loss.mean_ious(*regression))
    return label_loss, tf.reduce_sum(fg_loss * tf.gather(shares, foreground)) * box_loss.weight


class DetectionLimits(NamedTuple):
    """
    Attributes:
        score_thresh (float): detections must score higher
        nms_thresh (float): IoU
        max_detections (int): of an image
    """

    score_thresh: float
    nms_thresh: float
    max_detections: int


def fastrcnn_candidates(boxes, scores, image_index, score_thresh):
    """
    Args:
        boxes, scores, image_index: as of `fastrcnn_predictions`
        score_thresh (float)

    Returns:
        Detections, all that score higher, as they stand in `scores`
    """
    candidates = tf.where(scores[:, 1:] > score_thresh)
    roi, label = tf.cast(candidates[:, 0], tf.int32), tf.cast(candidates[:, 1], tf.int32) + 1
    boxes = tf.gather_nd(boxes, tf.stack([roi, tf.minimum(label, tf.shape(boxes)[1] - 1)], axis=1))
    scores = tf.gather_nd(scores, tf.stack([roi, label], axis=1))
    return Detections(boxes, scores, label, tf.gather(image_index, roi))


def fastrcnn_predictions(boxes, scores, image_index, batch, limits):
    """
    Detections of each image: NMS of every class by itself, then the best of all classes.

    Args:
        boxes: (R, num_classes, 4), or (R, 1, 4) for all classes, decoded and clipped
        scores: (R, num_classes), probabilities
        image_index: int32 (R,), in 0..batch - 1
        batch (scalar int tensor): images
        limits (DetectionLimits)

    Returns:
        Detections
    """
    num_classes = tf.shape(scores)[1]
    boxes, scores, label, image_index = fastrcnn_candidates(boxes, scores, image_index, limits.score_thresh)
    groups = image_index * num_classes + label
    keep = box_ops.grouped_nms(boxes, scores, groups, limits.nms_thresh, limits.max_detections)
    of_image = tf.equal(tf.gather(image_index, keep)[None], tf.range(batch)[:, None])    # (batch, K)
    best_scores, best = tf.nn.top_k(tf.where(of_image, tf.gather(scores, keep)[None], float("-inf")),
                                    tf.minimum(limits.max_detections, tf.size(keep)))
    best = tf.boolean_mask(tf.gather(keep, best), best_scores > float("-inf"))
    return Detections(*(tf.gather(x, best) for x in (boxes, scores, label, image_index)))
