"""Cascade R-CNN (Cai & Vasconcelos 2018): between its stages, each a box head on the boxes of the one before."""
import tensorflow as tf

from modeling import boxes as box_ops


def match_boxes(boxes, image_index, gt_boxes, gt_labels, fg_thresh):
    """
    Labels of refined boxes, all of which stay.

    Args:
        boxes: (R, 4)
        image_index: int32 (R,), in 0..B - 1
        gt_boxes: (B, G, 4)
        gt_labels: int32 (B, G): 1.. an object, 0 padding, -1 a crowd region
        fg_thresh (float): a box is foreground when its IoU with an object is at least this

    Returns:
        labels int32 (R,), 0 for background; gt_index int32 (R,), into the (B * G,) list of boxes: the best of each box
    """
    own_labels = tf.gather(gt_labels, image_index)    # (R, G)
    ious = box_ops.iou(boxes[:, None], tf.gather(gt_boxes, image_index))
    ious = tf.where(own_labels > 0, ious, -1.0)
    best = tf.argmax(ious, axis=1, output_type=tf.int32)
    labels = tf.where(tf.reduce_max(ious, axis=1) >= fg_thresh, tf.gather(own_labels, best, batch_dims=1), 0)
    return tf.stop_gradient(labels), image_index * tf.shape(gt_labels)[1] + best


def scale_gradient(x, factor):
    """Returns: x, whose gradient is multiplied by a factor"""
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda grad: grad * factor

    return identity(x) if factor != 1 else x
