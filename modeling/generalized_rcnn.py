"""The whole network: from a batch of images to losses in training, to detections in inference."""
import math

import tensorflow as tf
from tensorpack import ModelDesc, tfv1
from tensorpack.models import l2_regularizer, regularize_cost
from tensorpack.tfutils import optimizer
from tensorpack.tfutils.gradproc import FilterNoneGrad, GlobalNormClip
from tensorpack.tfutils.summary import add_moving_summary

from . import boxes as box_ops
from .anchors import grid_anchors, label_anchors
from .backbone import ResNet
from .box_head import fastrcnn_2fc_head, fastrcnn_losses, fastrcnn_outputs, fastrcnn_predictions
from .fpn import fpn
from .mask_head import mask_targets, maskrcnn_loss, maskrcnn_up4conv_head, select_class
from .padding import Padding
from .roi_pool import multilevel_roi_align
from .rpn import generate_proposals, rpn_head, rpn_losses
from .sampling import sample_rois

BOX_ROI_SIZE, MASK_ROI_SIZE = 7, 14    # bins of an RoI's features, in each direction


class GeneralizedRCNN(ModelDesc):
    """
    Faster R-CNN or Mask R-CNN as a tensorpack model.

    Args:
        cfg (AttrDict): a finalized config
    """

    def __init__(self, cfg):
        self.cfg = cfg
        self.num_classes = cfg.DATA.NUM_CATEGORY + 1
        self.strides = cfg.FPN.ANCHOR_STRIDES
        # no box grows beyond what makes the largest image of 16 pixels
        self.max_log_scale = math.log(cfg.PREPROC.MAX_SIZE / 16.0)

    def inputs(self):
        """
        images: uint8 (B, H, W, 3), BGR, padded with zeros at the right and bottom; image_sizes: int32 (B, 2), true
        heights and widths. Only in training: image_ids: int64 (B,); gt_boxes: float32 (B, G, 4), G >= 1;
        gt_labels: int32 (B, G), 1.. an object, 0 padding, -1 a crowd region; gt_masks: uint8 (B, G, M, M), see
        `mask_head.mask_targets`.
        """
        signature = [
            tf.TensorSpec((None, None, None, 3), tf.uint8, "images"),
            tf.TensorSpec((None, 2), tf.int32, "image_sizes"),
            tf.TensorSpec((None,), tf.int64, "image_ids"),
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
        names = ["rpn_label_loss", "rpn_box_loss", "fastrcnn_label_loss", "fastrcnn_box_loss"]
        return names + (["maskrcnn_loss"] if self.cfg.MODE_MASK else []) + ["wd_cost", "total_cost"]

    def build_graph(self, images, image_sizes, image_ids, gt_boxes, gt_labels, gt_masks=None):
        if self.training:
            for tensor in (images, image_sizes, gt_boxes, gt_labels):
                tensor.set_shape([self.cfg.TRAIN.IMS_PER_GPU] + [None] * (len(tensor.shape) - 1))

        images, padding = self.preprocess(images, image_sizes)
        features = self.backbone(images, padding)
        proposals, proposal_scores, losses = self.rpn(features, padding, image_sizes, gt_boxes, gt_labels)
        # boxes are cropped with samples half a pixel beyond the outermost pixel centres
        pyramid = [padding.repeat_border(x, stride) for x, stride in zip(features[:4], self.strides)]

        if not self.training:
            self.detect(pyramid, proposals, proposal_scores, image_sizes)
            return None
        losses += self.roi_losses(pyramid, proposals, proposal_scores, gt_boxes, gt_labels, gt_masks)
        losses.append(regularize_cost(".*/W", l2_regularizer(self.cfg.TRAIN.WEIGHT_DECAY), name="wd_cost"))
        named = [tf.identity(loss, name=name) for loss, name in zip(losses[:-1], self.loss_names())] + losses[-1:]
        total_cost = tf.add_n(named, name="total_cost")
        add_moving_summary(*named, total_cost)
        return total_cost

    def preprocess(self, images, image_sizes):
        """
        Returns:
            float32 (B, H', W', 3), normalized, zero beyond each image, H' and W' multiples of the largest backbone
            stride; and the batch's Padding
        """
        with tf.name_scope("preprocess"):
            multiple = self.strides[3]
            batch_shape = tf.shape(images)[1:3]
            padded_shape = -(-batch_shape // multiple) * multiple
            mean, std = (tf.constant(v[::-1]) for v in (self.cfg.PREPROC.PIXEL_MEAN, self.cfg.PREPROC.PIXEL_STD))
            images = (tf.cast(images, tf.float32) - mean) / std
            rows = tf.range(batch_shape[0])[None] < image_sizes[:, :1]
            columns = tf.range(batch_shape[1])[None] < image_sizes[:, 1:]
            images *= tf.cast(rows[:, :, None, None] & columns[:, None, :, None], tf.float32)
            below, right = tf.unstack(padded_shape - batch_shape)
            images = tf.pad(images, [[0, 0], [0, below], [0, right], [0, 0]])
            return images, Padding(image_sizes, padded_shape, multiple)

    def backbone(self, images, padding):
        """Returns: list of P2..P6, (B, H' / s, W' / s, C)"""
        cfg = self.cfg.BACKBONE
        resnet = ResNet(cfg.NORM, cfg.WIDTH, cfg.FREEZE_AT, cfg.FREEZE_AFFINE, cfg.STRIDE_1X1, cfg.TF_PAD_MODE, padding)
        features = [resnet.stem(images)]
        for index, num_blocks in enumerate(cfg.RESNET_NUM_BLOCKS):
            features.append(resnet.stage(features[-1], index, num_blocks, stride=1 if index == 0 else 2))
        return fpn(features[1:], self.cfg.FPN.NUM_CHANNEL, self.cfg.FPN.NORM, padding)

    def rpn(self, features, padding, image_sizes, gt_boxes, gt_labels):
        """
        Returns:
            proposals (B, R, 4); scores (B, R), -inf for padding; the list of losses, empty in inference
        """
        cfg = self.cfg.RPN
        num_anchors = len(cfg.ANCHOR_RATIOS)
        levels = []
        for x, stride, size in zip(features, self.strides, cfg.ANCHOR_SIZES):
            height, width = tf.shape(x)[1], tf.shape(x)[2]
            logits, deltas = rpn_head(padding.zero(x, stride), self.cfg.FPN.NUM_CHANNEL, num_anchors)
            inside = tf.reshape(padding.inside(stride, height, width), [-1, height * width])
            inside = tf.repeat(inside, num_anchors, axis=1)
            levels.append((grid_anchors(height, width, stride, [size], cfg.ANCHOR_RATIOS), inside, logits, deltas))

        with tf.name_scope("proposals"):
            topk = cfg.TRAIN_PER_LEVEL_NMS_TOPK if self.training else cfg.TEST_PER_LEVEL_NMS_TOPK
            pre_nms, post_nms, proposal_levels = topk, topk, levels
            if self.cfg.FPN.PROPOSAL_MODE == "Joint":
                pre_nms = cfg.TRAIN_PRE_NMS_TOPK if self.training else cfg.TEST_PRE_NMS_TOPK
                post_nms = cfg.TRAIN_POST_NMS_TOPK if self.training else cfg.TEST_POST_NMS_TOPK
                proposal_levels = [_join(levels)]
            proposals, scores = generate_proposals(
                proposal_levels, image_sizes, pre_nms, post_nms, cfg.PROPOSAL_NMS_THRESH, cfg.MIN_SIZE,
                self.max_log_scale)
        if not self.training:
            return proposals, scores, []

        with tf.name_scope("rpn_losses"):
            anchors, _, logits, deltas = _join(levels)
            labels, best_box = label_anchors(anchors, gt_boxes, gt_labels, image_sizes, cfg.POSITIVE_ANCHOR_THRESH,
                                             cfg.NEGATIVE_ANCHOR_THRESH, cfg.CROWD_OVERLAP_THRESH)
            losses = rpn_losses(logits, deltas, anchors, labels, best_box, gt_boxes, cfg.BATCH_PER_IM, cfg.FG_RATIO)
        return proposals, scores, list(losses)

    def box_head(self, pyramid, rois, image_index):
        """Returns: logits (R, num_classes), deltas (R, num_classes, 4)"""
        features = multilevel_roi_align(pyramid, self.strides[:4], rois, image_index, BOX_ROI_SIZE)
        return fastrcnn_outputs(fastrcnn_2fc_head(features, self.cfg.FPN.FRCNN_FC_HEAD_DIM), self.num_classes)

    def mask_head(self, pyramid, boxes, image_index, labels):
        """Returns: logits (R, 28, 28), of the class of each box"""
        features = multilevel_roi_align(pyramid, self.strides[:4], boxes, image_index, MASK_ROI_SIZE)
        # one more RoI, of zeros: on a CPU, TensorFlow gets the shape of a convolution of no RoIs wrong
        features = tf.pad(features, [[0, 1], [0, 0], [0, 0], [0, 0]])
        logits = maskrcnn_up4conv_head(features, self.cfg.MRCNN.HEAD_DIM, self.num_classes - 1)[:-1]
        return select_class(logits, labels)

    def roi_losses(self, pyramid, proposals, proposal_scores, gt_boxes, gt_labels, gt_masks):
        """Returns: list of the losses of the box head, and of the mask head if there is one"""
        cfg = self.cfg.FRCNN
        with tf.name_scope("sample_rois"):
            rois, image_index, labels, gt_index = sample_rois(
                proposals, proposal_scores > float("-inf"), gt_boxes, gt_labels,
                cfg.BATCH_PER_IM, cfg.FG_RATIO, cfg.FG_THRESH)
        gt_boxes = tf.reshape(gt_boxes, [-1, 4])

        logits, deltas = self.box_head(pyramid, rois, image_index)
        with tf.name_scope("fastrcnn_losses"):
            losses = list(fastrcnn_losses(
                logits, deltas, rois, labels, tf.gather(gt_boxes, gt_index), cfg.BBOX_REG_WEIGHTS))
        if not self.cfg.MODE_MASK:
            return losses

        foreground = tf.reshape(tf.where(labels > 0), [-1])
        rois, image_index, labels, gt_index = (tf.gather(x, foreground) for x in (rois, image_index, labels, gt_index))
        mask_logits = self.mask_head(pyramid, rois, image_index, labels)
        with tf.name_scope("maskrcnn_losses"):
            resolution = self.cfg.MRCNN.GT_RESOLUTION
            targets = mask_targets(rois, gt_index, gt_boxes, tf.reshape(gt_masks, [-1, resolution, resolution]),
                                   MASK_ROI_SIZE * 2)
            losses.append(maskrcnn_loss(mask_logits, targets))
        return losses

    def detect(self, pyramid, proposals, proposal_scores, image_sizes):
        """
        Adds the outputs to the graph, flat lists of the detections of all images: output/boxes (D, 4), output/scores
        (D,), output/labels (D,) in 1.., output/image_index (D,), output/masks (D, 28, 28) in 0..1.
        """
        cfg = self.cfg.TEST
        valid = tf.where(proposal_scores > float("-inf"))
        image_index = tf.cast(valid[:, 0], tf.int32)
        rois = tf.gather_nd(proposals, valid, name="proposal_boxes")
        logits, deltas = self.box_head(pyramid, rois, image_index)
        boxes = box_ops.decode(deltas, rois[:, None], self.cfg.FRCNN.BBOX_REG_WEIGHTS, self.max_log_scale)
        boxes = box_ops.clip(boxes, tf.gather(image_sizes, image_index)[:, None])
        scores = tf.nn.softmax(logits, name="fastrcnn_all_scores")
        boxes, scores, labels, image_index = fastrcnn_predictions(
            boxes, scores, image_index, tf.shape(image_sizes)[0],
            cfg.RESULT_SCORE_THRESH, cfg.FRCNN_NMS_THRESH, cfg.RESULTS_PER_IM)

        outputs = {"boxes": boxes, "scores": scores, "labels": labels, "image_index": image_index}
        if self.cfg.MODE_MASK:
            outputs["masks"] = tf.sigmoid(self.mask_head(pyramid, boxes, image_index, labels))
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
        return AccumulatedOptimizer(opt, steps) if steps > 1 else opt


class AccumulatedOptimizer(optimizer.AccumGradOptimizer):
    """
    Sums the gradients of some steps and applies them at the last of these.

    tensorpack's own reads its counter in no defined order with counting, so that some updates come a step late.
    """

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        grads, variables = zip(*FilterNoneGrad().process(grads_and_vars))
        with tf.control_dependencies(None):
            sums = self._create_accum_slots(variables)
            counter = tfv1.get_variable(f"{self._name}/counter", initializer=0, trainable=False)

        with tf.control_dependencies([total.assign_add(grad) for total, grad in zip(sums, grads)]):
            count = tf.identity(counter.assign_add(1))

        def update():
            totals = [total.read_value() for total in sums]
            with tf.control_dependencies([self._opt.apply_gradients(list(zip(totals, variables)))]):
                return tf.group(*[total.assign(tf.zeros_like(total)) for total in sums])

        return tf.cond(tf.equal(count % self._niter, 0), update, tf.no_op, name=name).op


def total_batch(cfg):
    """Args: cfg (AttrDict): the TRAIN part of a config. Returns: int, images in a step on all GPUs"""
    return max(cfg.NUM_GPUS, 1) * cfg.IMS_PER_GPU


def accumulated_steps(cfg):
    """Args: cfg (AttrDict): the TRAIN part of a config. Returns: int, steps whose gradients are applied together"""
    return max(8 // total_batch(cfg), 1)


def _join(levels):
    """Join levels of (anchors (A, 4), inside (B, A), logits (B, A), deltas (B, A, 4)) along A."""
    anchors, inside, logits, deltas = zip(*levels)
    return tf.concat(anchors, axis=0), tf.concat(inside, axis=1), tf.concat(logits, axis=1), tf.concat(deltas, axis=1)
