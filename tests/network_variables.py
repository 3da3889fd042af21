"""The variables of a network, of which only the layers are made: no anchors, no NMS, no pooling."""
import common

import pytest
import tensorflow as tf

from graph import tower
from modeling.generalized_rcnn import GeneralizedRCNN
from modeling.keypoint_head import ROI_SIZE, keypoint_head
from modeling.layers import HeadNorm
from modeling.structures import RoIFeatures
from weights.fit import network_variables


def layer_shapes(cfg):
    """Args: cfg (AttrDict): finalized. Returns: dict of name to shape (list), of the network for inference"""
    with pytest.MonkeyPatch.context() as patch, tf.Graph().as_default(), tower(training=False):
        patch.setattr(common, "visible_gpus", lambda: 1)    # one operation for all groups
        model = GeneralizedRCNN(cfg)
        architecture = model.architecture
        features, padding = model.features(tf.zeros([1, 64, 64, 3], tf.uint8), tf.constant([[64, 64]]), "float32")
        model.rpn(features, padding)

        def roi_features(size, layers):
            return RoIFeatures(layers(tf.zeros([1, size, size, features[0].shape[-1]])), tf.constant([0]))

        for stage in model.box_stages:
            model.box_head(stage, roi_features(architecture.box_roi_size, architecture.box_roi_layers))
        if cfg.MODE_MASK:
            model.mask_head(roi_features(architecture.mask_roi_size, architecture.mask_roi_layers), tf.constant([1]))
        if cfg.MODE_KEYPOINT:
            keypoint_head(roi_features(ROI_SIZE, tf.identity).values, cfg.KRCNN.NUM_CONVS, cfg.KRCNN.HEAD_DIM,
                          len(cfg.DATA.KEYPOINT_NAMES), HeadNorm(cfg.KRCNN.NORM))
        return {name: v.shape.as_list() for name, v in network_variables().items()}


class Variable:
    """As much of a variable as `check_fit` looks at."""

    def __init__(self, shape):
        self.shape = tf.TensorShape(shape)
