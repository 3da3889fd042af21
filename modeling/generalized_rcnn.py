"""The whole network: from a batch of images to losses in training, to detections in inference."""
import math
from collections import namedtuple

import tensorflow as tf
from tensorpack import ModelDesc, tfv1
from tensorpack.models import l2_regularizer, regularize_cost
from tensorpack.tfutils import optimizer
from tensorpack.tfutils.gradproc import GlobalNormClip
from tensorpack.tfutils.summary import add_moving_summary
from tensorpack.tfutils.varreplace import custom_getter_scope

from modeling import boxes as box_ops
from training import cpu_gradients
from modeling.anchors import grid_anchors, label_anchors
from modeling.backbones.resnet import ResNet
from modeling.box_head import (
    fastrcnn_2fc_head, fastrcnn_4conv1fc_head, fastrcnn_losses, fastrcnn_outputs, fastrcnn_predictions)
from modeling.cascade import match_boxes, scale_gradient
from modeling.fpn import fpn
from modeling.layers import float32_variables, on_rois
from modeling.losses import image_shares
from modeling.mask_head import mask_targets, maskrcnn_loss, maskrcnn_upxconv_head
from training.optimizers import AccumulatedOptimizer, LossScaledOptimizer
from training.schedule import accumulated_steps
from modeling.padding import NoPadding, Padding, round_up
from modeling.roi_pool import in_order_of_boxes, multilevel_roi_align
from modeling.rpn import generate_proposals, rpn_head, rpn_losses
from modeling.sampling import sample_rois

# a box head: the first part of its losses' names, the scopes of its variables, and its part of the config
BoxStage = namedtuple("BoxStage", "name head_scope outputs_scope fg_thresh reg_weights loss_type")


class GeneralizedRCNN(ModelDesc):
    """
    Faster, Mask or Cascade R-CNN as a tensorpack model, on a feature pyramid (FPN) or on one feature map (C4).

    C4 is a pyramid of one level, with all sizes of anchors on it and conv5 between RoIAlign and the heads. A plain box
    head is a cascade of one stage.

    Args:
        cfg (AttrDict): a finalized config
    """

    def __init__(self, cfg):
        self.cfg = cfg
        self.num_classes = cfg.DATA.NUM_CATEGORY + 1
        # no box grows beyond what makes the largest image of 16 pixels
        self.max_log_scale = math.log(cfg.PREPROC.MAX_SIZE / 16.0)
        if cfg.MODE_FPN:
            self.strides = cfg.FPN.ANCHOR_STRIDES
            self.anchor_sizes = [[size] for size in cfg.RPN.ANCHOR_SIZES]
            self.size_multiple = self.strides[3]
            # bins of an RoI's features, in each direction, and pixels of a mask
            self.box_roi_size, self.mask_roi_size, self.mask_size = 7, 14, 28
        else:
            self.strides = (cfg.RPN.ANCHOR_STRIDE,)
            self.anchor_sizes = [cfg.RPN.ANCHOR_SIZES]
            self.size_multiple = 1
            self.box_roi_size, self.mask_roi_size, self.mask_size = 14, 14, 14
        self.box_stages = _box_stages(cfg)

    @property
    def dtype(self):
        """Of the layers. Their variables, the boxes and the losses are float32."""
        return tf.as_dtype((self.cfg.TRAIN if self.training else self.cfg.TEST).PRECISION)

    def inputs(self):
        """
        images: uint8 (B, H, W, 3), BGR, padded with zeros at the right and bottom; image_sizes: int32 (B, 2), true
        heights and widths. Only in training: image_ids: int64 (B,); seeds: int64 (B,), of each image's random choices;
        gt_boxes: float32 (B, G, 4), G >= 1;
        gt_labels: int32 (B, G), 1.. an object, 0 padding, -1 a crowd region; gt_masks: uint8 (B, G, M, M), see
        `mask_head.mask_targets`.
        """
        signature = [
            tf.TensorSpec((None, None, None, 3), tf.uint8, "images"),
            tf.TensorSpec((None, 2), tf.int32, "image_sizes"),
            tf.TensorSpec((None,), tf.int64, "image_ids"),
            tf.TensorSpec((None,), tf.int64, "seeds"),
            tf.TensorSpec((None, None, 4), tf.float32, "gt_boxes"),
            tf.TensorSpec((None, None), tf.int32, "gt_labels")]
        if self.cfg.MODE_MASK:
            resolution = self.cfg.MRCNN.GT_RESOLUTION
            signature.append(tf.TensorSpec((None, None, resolution, resolution), tf.uint8, "gt_masks"))
        return signature

    def inference_tensor_names(self):
        """Returns: list[str] of inputs, list[str] of outputs, for a predictor"""
        outputs = ["output/boxes", "output/scores", "output/labels", "output/image_index"]
        return ["images", "image_sizes"], outputs + (["output/masks"] if self.cfg.MODE_MASK else [])

    def loss_names(self):
        """Returns: list[str], names of the scalar losses of a training tower; the last is their sum"""
        heads = ["rpn", *(stage.name for stage in self.box_stages)]
        names = [f"{head}_{loss}" for head in heads for loss in ("label_loss", "box_loss")]
        return names + (["maskrcnn_loss"] if self.cfg.MODE_MASK else []) + ["wd_cost", "total_cost"]

    def build_graph(self, images, image_sizes, image_ids, seeds, gt_boxes, gt_labels, gt_masks=None):
        if self.training:
            for tensor in (images, image_sizes, seeds, gt_boxes, gt_labels):
                tensor.set_shape([self.cfg.TRAIN.IMS_PER_GPU] + [None] * (len(tensor.shape) - 1))

        with custom_getter_scope(float32_variables), cpu_gradients.convolutions():
            total_cost = self.network(images, image_sizes, seeds, gt_boxes, gt_labels, gt_masks)
            return total_cost

    def network(self, images, image_sizes, seeds, gt_boxes, gt_labels, gt_masks):
        """Returns: scalar, the sum of the losses, which are in the graph as `loss_names`; None in inference"""
        images, padding = self.preprocess(images, image_sizes)
        features = self.backbone(tf.cast(images, self.dtype), padding)
        proposals, proposal_scores, losses = self.rpn(features, padding, image_sizes, seeds, gt_boxes, gt_labels)
        # boxes are cropped with samples half a pixel beyond the outermost pixel centres
        pyramid = [tf.cast(padding.repeat_border(x, stride), tf.float32)
                   for x, stride in zip(features[:4], self.strides)]

        if not self.training:
            self.detect(pyramid, proposals, proposal_scores, image_sizes)
            return None
        losses += self.roi_losses(
            pyramid, proposals, proposal_scores, image_sizes, seeds, gt_boxes, gt_labels, gt_masks)
        losses.append(regularize_cost(".*/W", l2_regularizer(self.cfg.TRAIN.WEIGHT_DECAY), name="wd_cost"))
        named = [tf.identity(loss, name=name) for loss, name in zip(losses[:-1], self.loss_names())] + losses[-1:]
        total_cost = tf.add_n(named, name="total_cost")
        add_moving_summary(*named, total_cost)
        return total_cost

    def preprocess(self, images, image_sizes):
        """
        Returns:
            float32 (B, H', W', 3), normalized, zero beyond each image, with H' and W' as `padding.round_up` makes them;
            and the batch's Padding
        """
        with tf.name_scope("preprocess"):
            batch_shape = tf.shape(images)[1:3]
            padded_shape = round_up(batch_shape, self.size_multiple)
            mean, std = (tf.constant(v[::-1]) for v in (self.cfg.PREPROC.PIXEL_MEAN, self.cfg.PREPROC.PIXEL_STD))
            images = (tf.cast(images, tf.float32) - mean) / std
            rows = tf.range(batch_shape[0])[None] < image_sizes[:, :1]
            columns = tf.range(batch_shape[1])[None] < image_sizes[:, 1:]
            images *= tf.cast(rows[:, :, None, None] & columns[:, None, :, None], tf.float32)
            below, right = tf.unstack(padded_shape - batch_shape)
            images = tf.pad(images, [[0, 0], [0, below], [0, right], [0, 0]])
            return images, Padding(image_sizes, padded_shape, self.size_multiple)

    def resnet(self, padding):
        """Returns: ResNet, of features that end where `padding` says"""
        cfg = self.cfg.BACKBONE
        return ResNet(cfg.NORM, cfg.WIDTH, cfg.FREEZE_AT, cfg.FREEZE_AFFINE, cfg.STRIDE_1X1, cfg.TF_PAD_MODE, padding)

    def backbone(self, images, padding):
        """Returns: list of P2..P6, or of C4 alone, (B, H' / s, W' / s, C)"""
        resnet = self.resnet(padding)
        features = [resnet.stem(images)]
        for index in range(4 if self.cfg.MODE_FPN else 3):
            num_blocks = self.cfg.BACKBONE.RESNET_NUM_BLOCKS[index]
            features.append(resnet.stage(features[-1], index, num_blocks, stride=1 if index == 0 else 2))
        if not self.cfg.MODE_FPN:
            return features[-1:]
        return fpn(features[1:], self.cfg.FPN.NUM_CHANNEL, self.cfg.FPN.NORM, padding)

    def rpn(self, features, padding, image_sizes, seeds, gt_boxes, gt_labels):
        """
        Returns:
            proposals (B, R, 4); scores (B, R), -inf for padding; the list of losses, empty in inference
        """
        cfg = self.cfg.RPN
        channels = self.cfg.FPN.NUM_CHANNEL if self.cfg.MODE_FPN else cfg.HEAD_DIM
        levels = []
        for x, stride, sizes in zip(features, self.strides, self.anchor_sizes):
            height, width = tf.shape(x)[1], tf.shape(x)[2]
            num_anchors = len(sizes) * len(cfg.ANCHOR_RATIOS)
            logits, deltas = rpn_head(padding.zero(x, stride), channels, num_anchors)
            inside = tf.reshape(padding.inside(stride, height, width), [-1, height * width])
            inside = tf.repeat(inside, num_anchors, axis=1)
            levels.append((grid_anchors(height, width, stride, sizes, cfg.ANCHOR_RATIOS), inside, logits, deltas))

        with tf.name_scope("proposals"):
            topk = cfg.TRAIN_PER_LEVEL_NMS_TOPK if self.training else cfg.TEST_PER_LEVEL_NMS_TOPK
            pre_nms, post_nms, proposal_levels = topk, topk, levels
            if not self.cfg.MODE_FPN or self.cfg.FPN.PROPOSAL_MODE == "Joint":
                pre_nms = cfg.TRAIN_PRE_NMS_TOPK if self.training else cfg.TEST_PRE_NMS_TOPK
                post_nms = cfg.TRAIN_POST_NMS_TOPK if self.training else cfg.TEST_POST_NMS_TOPK
                proposal_levels = [_join(levels)]
            proposals, scores = generate_proposals(
                proposal_levels, image_sizes, pre_nms, post_nms, cfg.PROPOSAL_NMS_THRESH, cfg.MIN_SIZE,
                self.max_log_scale)
        if not self.training:
            return proposals, scores, []

        with tf.name_scope("rpn_losses"):
            anchors, inside, logits, deltas = _join(levels)
            labels, best_box = label_anchors(
                anchors, inside, gt_boxes, gt_labels, image_sizes, cfg.POSITIVE_ANCHOR_THRESH,
                cfg.NEGATIVE_ANCHOR_THRESH, cfg.CROWD_OVERLAP_THRESH)
            label_loss, box_loss = rpn_losses(logits, deltas, anchors, labels, best_box, gt_boxes, _stream(seeds, 0),
                                              cfg.BATCH_PER_IM, cfg.FG_RATIO, self.max_log_scale, cfg.LOSS_TYPE)
        return proposals, scores, [label_loss, box_loss * cfg.LOSS_BBOX_WEIGHT]

    def roi_features(self, pyramid, boxes, image_index, size):
        """
        Args:
            size (int): bins of RoIAlign in each direction

        Returns:
            (R, size, size, C), or behind conv5 (R, size / 2, size / 2, C); int32 (R,), the box of each of them, see
            `roi_pool.in_order_of_boxes`
        """
        features, order = multilevel_roi_align(pyramid, self.strides[:4], boxes, image_index, size)
        features = tf.cast(features, self.dtype)
        if self.cfg.MODE_FPN:
            return features, order
        num_blocks = self.cfg.BACKBONE.RESNET_NUM_BLOCKS[3]
        return on_rois(lambda x: self.resnet(NoPadding()).stage(x, 3, num_blocks, stride=2), features), order

    def box_head(self, stage, features, order):
        """
        Args:
            features, order: of `roi_features`

        Returns:
            in the order of the boxes: logits (R, num_classes), deltas (R, num_classes, 4), or in a cascade (R, 1, 4)
        """
        def head(x):
            cfg = self.cfg.FPN
            with tfv1.variable_scope(stage.head_scope):
                if not self.cfg.MODE_FPN:
                    x = tf.reduce_mean(x, axis=[1, 2])
                elif cfg.FRCNN_HEAD_FUNC == "fastrcnn_2fc_head":
                    x = fastrcnn_2fc_head(x, cfg.FRCNN_FC_HEAD_DIM)
                else:
                    norm = "GN" if cfg.FRCNN_HEAD_FUNC == "fastrcnn_4conv1fc_gn_head" else "None"
                    x = fastrcnn_4conv1fc_head(x, cfg.FRCNN_CONV_HEAD_DIM, cfg.FRCNN_FC_HEAD_DIM, norm)
            with tfv1.variable_scope(stage.outputs_scope):
                return fastrcnn_outputs(x, self.num_classes, class_agnostic=len(self.box_stages) > 1)
        return [in_order_of_boxes(x, order) for x in on_rois(head, features)]

    def mask_head(self, features, order, labels):
        """
        Args:
            features, order: of `roi_features`
            labels: int32 (R,), of the boxes

        Returns:
            logits (R, mask_size, mask_size), of the class of each box, in the order of the boxes
        """
        num_convs = 4 if self.cfg.MODE_FPN else 0
        norm = "GN" if self.cfg.FPN.MRCNN_HEAD_FUNC == "maskrcnn_up4conv_gn_head" else "None"
        logits = on_rois(lambda x, of: maskrcnn_upxconv_head(
            x, of, num_convs, self.cfg.MRCNN.HEAD_DIM, self.num_classes - 1, norm), features, tf.gather(labels, order))
        return in_order_of_boxes(logits, order)

    def roi_losses(self, pyramid, proposals, proposal_scores, image_sizes, seeds, gt_boxes, gt_labels, gt_masks):
        """Returns: list of the losses of each box head, and of the mask head if there is one"""
        cfg = self.cfg.FRCNN
        with tf.name_scope("sample_rois"):
            rois, image_index, labels, gt_index = sample_rois(
                proposals, proposal_scores > float("-inf"), gt_boxes, gt_labels,
                cfg.BATCH_PER_IM, cfg.FG_RATIO, self.box_stages[0].fg_thresh, _stream(seeds, 2))
        features, order = self.roi_features(pyramid, rois, image_index, self.box_roi_size)
        losses = self.box_losses(
            pyramid, features, order, rois, image_index, labels, gt_index, image_sizes, gt_boxes, gt_labels)
        if not self.cfg.MODE_MASK:
            return losses

        foreground = tf.reshape(tf.where(labels > 0), [-1])
        rois, image_index, labels, gt_index = (tf.gather(x, foreground) for x in (rois, image_index, labels, gt_index))
        if self.cfg.MODE_FPN:
            features, order = self.roi_features(pyramid, rois, image_index, self.mask_roi_size)
        else:
            # what conv5 gave the box head, from one level in the order of the boxes
            features, order = tf.gather(features, foreground), tf.range(tf.size(foreground))
        mask_logits = self.mask_head(features, order, labels)
        with tf.name_scope("maskrcnn_losses"):
            resolution = self.cfg.MRCNN.GT_RESOLUTION
            targets = mask_targets(rois, gt_index, tf.reshape(gt_boxes, [-1, 4]),
                                   tf.reshape(gt_masks, [-1, resolution, resolution]), self.mask_size)
            return [*losses, maskrcnn_loss(mask_logits, targets, image_shares(image_index, tf.shape(image_sizes)[0]))]

    def box_losses(
            self, pyramid, features, order, boxes, image_index, labels, gt_index, image_sizes, gt_boxes, gt_labels):
        """Returns: list of the losses of each box head; from the second on they are of the boxes of the one before"""
        losses, before, deltas = [], None, None
        shares = image_shares(image_index, tf.shape(image_sizes)[0])
        for stage in self.box_stages:
            if before:
                boxes = tf.stop_gradient(self.refine(before, deltas, boxes, image_index, image_sizes)[:, 0])
                labels, gt_index = match_boxes(boxes, image_index, gt_boxes, gt_labels, stage.fg_thresh)
                features, order = self.roi_features(pyramid, boxes, image_index, self.box_roi_size)
            # all stages together weigh on the backbone as one does
            logits, deltas = self.box_head(stage, scale_gradient(features, 1.0 / len(self.box_stages)), order)
            with tf.name_scope(f"{stage.name}_losses"):
                targets = tf.gather(tf.reshape(gt_boxes, [-1, 4]), gt_index)
                label_loss, box_loss = fastrcnn_losses(
                    logits, deltas, boxes, labels, targets, shares, stage.reg_weights, self.max_log_scale,
                    stage.loss_type)
                losses += [label_loss, box_loss * self.cfg.FRCNN.LOSS_BBOX_WEIGHT]
            before = stage
        return losses

    def refine(self, stage, deltas, boxes, image_index, image_sizes):
        """Returns: what a stage makes of the boxes (R, 4), clipped: (R, num_classes, 4), or (R, 1, 4)"""
        refined = box_ops.decode(deltas, boxes[:, None], stage.reg_weights, self.max_log_scale)
        return box_ops.clip(refined, tf.gather(image_sizes, image_index)[:, None])

    def detect(self, pyramid, proposals, proposal_scores, image_sizes):
        """
        Adds the outputs to the graph, flat lists of the detections of all images: output/boxes (D, 4), output/scores
        (D,), output/labels (D,) in 1.., output/image_index (D,), output/masks (D, mask_size, mask_size) in 0..1.
        """
        cfg = self.cfg.TEST
        valid = tf.where(proposal_scores > float("-inf"))
        image_index = tf.cast(valid[:, 0], tf.int32)
        rois = tf.gather_nd(proposals, valid, name="proposal_boxes")
        stage_scores = []
        for stage in self.box_stages:
            logits, deltas = self.box_head(stage, *self.roi_features(pyramid, rois, image_index, self.box_roi_size))
            stage_scores.append(tf.nn.softmax(logits))
            boxes = self.refine(stage, deltas, rois, image_index, image_sizes)
            rois = boxes[:, 0]
        scores = tf.divide(tf.add_n(stage_scores), len(stage_scores), name="fastrcnn_all_scores")
        boxes, scores, labels, image_index = fastrcnn_predictions(
            boxes, scores, image_index, tf.shape(image_sizes)[0],
            cfg.RESULT_SCORE_THRESH, cfg.FRCNN_NMS_THRESH, cfg.RESULTS_PER_IM)

        outputs = {"boxes": boxes, "scores": scores, "labels": labels, "image_index": image_index}
        if self.cfg.MODE_MASK:
            features, order = self.roi_features(pyramid, boxes, image_index, self.mask_roi_size)
            outputs["masks"] = tf.sigmoid(self.mask_head(features, order, labels))
        for name, tensor in outputs.items():
            tf.identity(tensor, name=f"output/{name}")

    def optimizer(self):
        """Momentum SGD on the mean over `total_batch` images times the accumulated steps."""
        cfg = self.cfg.TRAIN
        rate = tfv1.get_variable("learning_rate", initializer=cfg.WARMUP_INIT_LR, trainable=False)
        # tensorpack takes the suffix off; without it the name is the variable's
        tfv1.summary.scalar("learning_rate-summary", rate)
        steps = accumulated_steps(cfg)
        # gradients of accumulated steps are summed, here made a mean
        opt = tfv1.train.MomentumOptimizer(rate / steps, cfg.MOMENTUM)
        if cfg.GRADIENT_CLIP > 0:
            opt = optimizer.apply_grad_processors(opt, [GlobalNormClip(cfg.GRADIENT_CLIP * steps)])
        opt = AccumulatedOptimizer(opt, steps) if steps > 1 else opt
        return LossScaledOptimizer(opt) if cfg.PRECISION == "float16" else opt


def _box_stages(cfg):
    """Returns: list[BoxStage]"""
    if not cfg.FPN.CASCADE:
        outputs_scope = "fastrcnn/outputs" if cfg.MODE_FPN else "fastrcnn"
        return [BoxStage("fastrcnn", "fastrcnn", outputs_scope, cfg.FRCNN.FG_THRESH, cfg.FRCNN.BBOX_REG_WEIGHTS,
                         cfg.FRCNN.LOSS_TYPE)]
    scope = "cascade_rcnn_stage{}/{}".format
    return [BoxStage(f"cascade_stage{i}", scope(i, "head"), scope(i, "outputs"), fg_thresh, reg_weights,
                     cfg.CASCADE.LOSS_TYPE)
            for i, (fg_thresh, reg_weights) in enumerate(zip(cfg.CASCADE.IOUS, cfg.CASCADE.BBOX_REG_WEIGHTS), start=1)]


def _stream(seeds, index):
    """Returns: int64 (B, 2), seeds of the random choices number `index` and `index + 1` of each image"""
    return tf.stack([seeds, tf.fill(tf.shape(seeds), tf.constant(index, tf.int64))], axis=1)


def _join(levels):
    """Join levels of (anchors (A, 4), inside (B, A), logits (B, A), deltas (B, A, 4)) along A."""
    anchors, inside, logits, deltas = zip(*levels)
    return tf.concat(anchors, axis=0), tf.concat(inside, axis=1), tf.concat(logits, axis=1), tf.concat(deltas, axis=1)
