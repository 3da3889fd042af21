"""The box head (Girshick 2015): a class and a refined box for every RoI."""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import FullyConnected
from tensorpack.tfutils.summary import add_moving_summary

from . import boxes as box_ops
from .losses import mean_over, smooth_l1

# the deltas are scaled by weights of 10, which leaves no use for a quadratic part
SMOOTH_L1_BETA = 0.0


def fastrcnn_2fc_head(features, dim):
    """
    Args:
        features: (R, h, w, C)
        dim (int): of both layers

    Returns:
        (R, dim)
    """
    with tfv1.variable_scope("fastrcnn"):
        initializer = tfv1.variance_scaling_initializer()
        # the zoo's weights of fc6 expect the channels first
        x = tf.transpose(features, [0, 3, 1, 2])
        x = FullyConnected("fc6", x, dim, kernel_initializer=initializer, activation=tf.nn.relu)
        return FullyConnected("fc7", x, dim, kernel_initializer=initializer, activation=tf.nn.relu)


def fastrcnn_outputs(features, num_classes):
    """
    Args:
        features: (R, dim)
        num_classes (int): with the background

    Returns:
        logits (R, num_classes), and deltas (R, num_classes, 4)
    """
    with tfv1.variable_scope("fastrcnn/outputs"):
        logits = FullyConnected(
            "class", features, num_classes, kernel_initializer=tfv1.random_normal_initializer(stddev=0.01))
        deltas = FullyConnected(
            "box", features, num_classes * 4, kernel_initializer=tfv1.random_normal_initializer(stddev=0.001))
        return logits, tf.reshape(deltas, [-1, num_classes, 4])


def fastrcnn_losses(logits, deltas, rois, labels, target_boxes, reg_weights):
    """
    Cross entropy over all RoIs, and smooth L1 over the foreground; both are divided by the number of all RoIs.

    Args:
        logits: (R, num_classes)
        deltas: (R, num_classes, 4)
        rois: (R, 4)
        labels: int32 (R,), in 0..num_classes - 1, 0 for background
        target_boxes: (R, 4), the ground truth of each foreground RoI; of the others, anything
        reg_weights: 4 numbers, see `boxes.encode`

    Returns:
        label_loss, box_loss: scalars
    """
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    label_loss = mean_over(cross_entropy, tf.size(labels))

    foreground = tf.reshape(tf.where(labels > 0), [-1])
    fg_labels = tf.gather(labels, foreground)
    targets = box_ops.encode(tf.gather(target_boxes, foreground), tf.gather(rois, foreground), reg_weights)
    fg_deltas = tf.gather(tf.gather(deltas, foreground), fg_labels, batch_dims=1)
    box_loss = mean_over(smooth_l1(fg_deltas, tf.stop_gradient(targets), SMOOTH_L1_BETA), tf.size(labels))

    with tf.name_scope("fastrcnn_metrics"):
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels), tf.float32)
        add_moving_summary(
            tf.identity(mean_over(correct, tf.size(correct)), name="accuracy"),
            tf.identity(mean_over(tf.gather(correct, foreground), tf.size(foreground)), name="fg_accuracy"),
            tf.cast(tf.size(foreground), tf.float32, name="num_fg"))
    return label_loss, box_loss


def fastrcnn_predictions(boxes, scores, image_index, batch, score_thresh, nms_thresh, max_detections):
    """
    Detections of each image: NMS of every class by itself, then the best of all classes.

    Args:
        boxes: (R, num_classes, 4), decoded and clipped
        scores: (R, num_classes), probabilities
        image_index: int32 (R,), in 0..batch - 1
        batch (scalar int tensor): images
        score_thresh (float): detections must score higher
        nms_thresh (float): IoU
        max_detections (int): of an image

    Returns:
        boxes (D, 4), scores (D,), labels int32 (D,) in 1..num_classes - 1, image_index int32 (D,); image by image, each
        by falling score
    """
    candidates = tf.where(scores[:, 1:] > score_thresh)
    roi, label = tf.cast(candidates[:, 0], tf.int32), tf.cast(candidates[:, 1], tf.int32) + 1
    flat = roi * tf.shape(scores)[1] + label
    boxes = tf.gather(tf.reshape(boxes, [-1, 4]), flat)
    scores = tf.gather(tf.reshape(scores, [-1]), flat)
    image_index = tf.gather(image_index, roi)

    # classes that are shifted apart do not suppress each other
    apart = tf.cast(label, tf.float32)[:, None] * (tf.reduce_max(boxes) + 1.0)

    of_image = tf.equal(image_index[None], tf.range(batch)[:, None])    # (batch, candidates)
    keep, kept = box_ops.nms(tf.tile((boxes + apart)[None], [batch, 1, 1]),
                             tf.where(of_image, scores[None], float("-inf")), nms_thresh, max_detections)
    keep = tf.boolean_mask(keep, kept)
    return tf.gather(boxes, keep), tf.gather(scores, keep), tf.gather(label, keep), tf.gather(image_index, keep)
