"""Region Proposal Network (Ren et al. 2015), over any number of feature levels."""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import Conv2D
from tensorpack.tfutils.summary import add_moving_summary

from modeling import boxes as box_ops
from modeling.losses import box_loss, mean_ious, mean_over
from modeling.sampling import flatten_drawn, sample_fg_bg

# Detectron's, for regression targets that are not scaled by weights
SMOOTH_L1_BETA = 1.0 / 9
REG_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def rpn_head(features, channels, num_anchors):
    """
    Args:
        features: (B, H, W, C)
        channels (int): of the hidden layer
        num_anchors (int): A, anchors of a cell

    Returns:
        float32 logits (B, H * W * A) and deltas (B, H * W * A, 4), in the order of `anchors.grid_anchors`
    """
    with tfv1.variable_scope("rpn", reuse=tfv1.AUTO_REUSE):
        initializer = tfv1.random_normal_initializer(stddev=0.01)
        hidden = Conv2D("conv0", features, channels, 3, activation=tf.nn.relu, kernel_initializer=initializer)
        # what is ranked is not rounded, which would make ties
        hidden = tf.cast(hidden, tf.float32)
        logits = Conv2D("class", hidden, num_anchors, 1, kernel_initializer=initializer)
        deltas = Conv2D("box", hidden, 4 * num_anchors, 1, kernel_initializer=initializer)
        batch = tf.shape(features)[0]
        return tf.reshape(logits, [batch, -1]), tf.reshape(deltas, [batch, -1, 4])


def rpn_losses(logits, deltas, anchors, labels, best_box, gt_boxes, seeds, batch_per_im, fg_ratio, max_log_scale,
               loss_type):
    """
    Cross entropy over a sample of the anchors, and a loss of the boxes of the foreground of the same sample. Both are
    divided by the number of anchors that were asked for, `batch_per_im` an image.

    Args:
        logits: (B, A)
        deltas: (B, A, 4)
        anchors: (A, 4)
        labels: int32 (B, A), of `anchors.label_anchors`
        best_box: int32 (B, A), likewise
        gt_boxes: (B, G, 4)
        seeds: int64 (B, 2), see `sampling.random_subset`
        batch_per_im (int), fg_ratio (float): the size of the sample and its largest share of foreground
        max_log_scale (float): see `boxes.decode`
        loss_type (str): of the boxes, see `losses.box_loss`

    Returns:
        label_loss, box_loss: scalars
    """
    num_anchors, num_gt = tf.shape(anchors)[0], tf.shape(gt_boxes)[1]
    fg, bg = sample_fg_bg(tf.equal(labels, 1), tf.equal(labels, 0), batch_per_im, fg_ratio, seeds)
    fg_index = tf.stop_gradient(flatten_drawn(*fg, num_anchors))
    bg_index = tf.stop_gradient(flatten_drawn(*bg, num_anchors))
    count = tf.shape(labels)[0] * batch_per_im

    sampled_logits = tf.gather(tf.reshape(logits, [-1]), tf.concat([fg_index, bg_index], axis=0))
    sampled_labels = tf.concat([tf.ones_like(fg_index, tf.float32), tf.zeros_like(bg_index, tf.float32)], axis=0)
    label_loss = mean_over(tf.nn.sigmoid_cross_entropy_with_logits(labels=sampled_labels, logits=sampled_logits), count)

    box_index = tf.gather(tf.reshape(best_box, [-1]), fg_index) + fg_index // num_anchors * num_gt
    regression = (tf.gather(tf.reshape(deltas, [-1, 4]), fg_index), tf.gather(anchors, fg_index % num_anchors),
                  tf.gather(tf.reshape(gt_boxes, [-1, 4]), box_index))
    fg_loss = box_loss(*regression, loss_type, REG_WEIGHTS, max_log_scale, SMOOTH_L1_BETA)

    with tf.name_scope("rpn_metrics"):
        recall = tf.reduce_sum(tf.cast(sampled_logits[:tf.size(fg_index)] > 0, tf.float32))
        recall = tf.math.divide_no_nan(recall, tf.cast(tf.size(fg_index), tf.float32), name="fg_recall")
        add_moving_summary(recall, tf.cast(tf.size(fg_index), tf.float32, name="num_fg"),
                           *mean_ious(*regression, REG_WEIGHTS, max_log_scale))
    return label_loss, mean_over(fg_loss, count)


def generate_proposals(levels, image_sizes, pre_nms_topk, post_nms_topk, nms_thresh, min_size, max_log_scale):
    """
    The best boxes of each level after NMS, then the best of all levels.

    Args:
        levels (list): of (anchors (A, 4), inside bool (B, A), logits (B, A), deltas (B, A, 4)); `inside` is False for
            cells beyond an image
        image_sizes: int32 (B, 2), which the proposals are clipped to
        pre_nms_topk (int): boxes of a level that enter NMS
        post_nms_topk (int): boxes of a level, and of all levels together, that leave it
        nms_thresh (float): IoU
        min_size (float): shortest edge of a proposal, in pixels
        max_log_scale (float): see `boxes.decode`

    Returns:
        proposals (B, R, 4) by falling score; scores (B, R), logits, -inf for padding
    """
    candidates = [_top_boxes(*level, image_sizes, pre_nms_topk, min_size, max_log_scale) for level in levels]
    longest = tf.reduce_max([tf.shape(scores)[1] for _, scores in candidates])
    level_boxes, level_scores = zip(*[_pad_to(boxes, scores, longest) for boxes, scores in candidates])
    boxes, scores = tf.stack(level_boxes, axis=1), tf.stack(level_scores, axis=1)    # (B, L, K, 4), (B, L, K)

    batch = tf.shape(image_sizes)[0]
    boxes = tf.reshape(boxes, [batch * len(levels), longest, 4])
    scores = tf.reshape(scores, [batch * len(levels), longest])
    keep, kept = box_ops.nms(boxes, scores, nms_thresh, tf.minimum(post_nms_topk, longest))
    boxes = tf.reshape(tf.gather(boxes, keep, batch_dims=1), [batch, -1, 4])
    scores = tf.reshape(tf.where(kept, tf.gather(scores, keep, batch_dims=1), float("-inf")), [batch, -1])

    scores, best = tf.nn.top_k(scores, tf.minimum(post_nms_topk, tf.shape(scores)[1]))
    return tf.stop_gradient(tf.gather(boxes, best, batch_dims=1)), tf.stop_gradient(scores)


def _top_boxes(anchors, inside, logits, deltas, image_sizes, topk, min_size, max_log_scale):
    scores = tf.where(inside, logits, float("-inf"))
    scores, best = tf.nn.top_k(scores, tf.minimum(topk, tf.shape(scores)[1]))
    boxes = box_ops.decode(tf.gather(deltas, best, batch_dims=1), tf.gather(anchors, best), max_log_scale=max_log_scale)
    boxes = box_ops.clip(boxes, image_sizes[:, None])
    large = tf.reduce_all(boxes[..., 2:] - boxes[..., :2] > min_size, axis=-1)
    return boxes, tf.where(large, scores, float("-inf"))


def _pad_to(boxes, scores, length):
    missing = length - tf.shape(scores)[1]
    return (tf.pad(boxes, [[0, 0], [0, missing], [0, 0]]),
            tf.pad(scores, [[0, 0], [0, missing]], constant_values=float("-inf")))
