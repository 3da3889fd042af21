"""Cascade R-CNN (Cai & Vasconcelos 2018): between its stages, each a box head on the boxes of the one before."""
import tensorflow as tf

from modeling import boxes as box_ops
from modeling.structures import RoIs


def match_boxes(boxes, image_index, gt, fg_thresh):
    """
    Labels of refined boxes, all of which stay.

    Args:
        boxes: (R, 4)
        image_index: int32 (R,), in 0..B - 1
        gt (GroundTruth)
        fg_thresh (float): a box is foreground when its IoU with an object is at least this

    Returns:
        RoIs
    """
    own_labels = tf.gather(gt.labels, image_index)    # (R, G)
    ious = box_ops.iou(boxes[:, None], tf.gather(gt.boxes, image_index))
    ious = tf.where(own_labels > 0, ious, -1.0)
    best = tf.argmax(ious, axis=1, output_type=tf.int32)
    labels = tf.where(tf.reduce_max(ious, axis=1) >= fg_thresh, tf.gather(own_labels, best, batch_dims=1), 0)
    gt_index = image_index * tf.shape(gt.labels)[1] + best
    return RoIs(boxes, image_index, tf.stop_gradient(labels), gt_index)


def scale_gradient(x, factor):
    """Returns: x, whose gradient is multiplied by a factor"""
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda grad: grad * factor

    return identity(x) if factor != 1 else x
