"""The whole network: from a batch of images to losses in training, to detections in inference."""
import functools
import math
from typing import NamedTuple

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.tfutils.varreplace import custom_getter_scope

from config import gives_candidates
from modeling import box_head, boxes as box_ops, rpn
from modeling.anchors import AnchorThresholds, cell_anchors, grid_anchors, label_anchors
from modeling.architectures import make_architecture
from modeling.cascade import match_boxes, scale_gradient
from modeling.keypoint_head import ROI_SIZE, keypoint_head, keypoint_loss, rois_with_keypoints
from modeling.layers import HeadNorm, float32_variables, on_rois
from modeling.losses import BoxLoss, image_shares
from modeling.mask_head import mask_targets, maskrcnn_loss
from modeling.padding import Padding, round_up
from modeling.precision import layer_dtype
from modeling.roi_pool import make_pooling
from modeling.roi_pool.levels import pool_from_levels
from modeling.sampling import Sampling, sample_rois
from modeling.structures import Detections, Pyramid, RoIFeatures


class BoxStage(NamedTuple):
    """
    A box head.

    Attributes:
        name (str): the first part of its losses' names
        head_scope, outputs_scope (str): of its variables
        fg_thresh (float): IoU from which on an RoI is foreground
        loss (BoxLoss)
    """

    name: str
    head_scope: str
    outputs_scope: str
    fg_thresh: float
    loss: BoxLoss


class GeneralizedRCNN:
    """
    Faster, Mask, Keypoint or Cascade R-CNN, on a feature pyramid or on one feature map (`architectures`). A plain box
    head is a cascade of one stage.

    Args:
        cfg (AttrDict): a finalized config

    Attributes:
        has_two_calls (bool): what is behind the boxes can be had for boxes that are given, see `detect`
    """

    input_names = ("images", "image_sizes")    # of what `detect` takes

    def __init__(self, cfg):
        self.cfg, self.has_two_calls = cfg, gives_candidates(cfg)
        self.architecture = make_architecture(cfg)
        self.pooling = make_pooling(cfg.FRCNN)
        self.num_classes = cfg.DATA.NUM_CATEGORY + 1
        # by default, no box grows beyond what makes the largest image of 16 pixels
        max_log_scale = math.log(cfg.FRCNN.MAX_BOX_GROWTH or cfg.PREPROC.MAX_SIZE / 16.0)
        self.rpn_loss = BoxLoss(cfg.RPN.LOSS_TYPE, box_ops.BoxCoder(max_log_scale=max_log_scale),
                                cfg.RPN.SMOOTH_L1_BETA, cfg.RPN.LOSS_BBOX_WEIGHT)
        self.box_stages = _box_stages(cfg, self.architecture.outputs_scope, max_log_scale)

    def losses(self, images, image_sizes, seeds, gt):
        """
        Args:
            images: uint8 (B, H, W, 3), BGR, padded with zeros at the right and bottom; B static
            image_sizes: int32 (B, 2), true heights and widths
            seeds: int64 (B,), of each image's random choices
            gt (GroundTruth)

        Returns:
            dict of scalars, as `loss_names` has them
        """
        cfg = self.cfg
        with custom_getter_scope(float32_variables):
            dtype = layer_dtype(cfg.TRAIN.PRECISION, "TRAIN.PRECISION")
            features, padding = self.features(images, image_sizes, dtype)
            levels = self.rpn(features, padding)
            proposals = self.proposals(levels, image_sizes, *_proposal_limits(cfg.RPN, "TRAIN"))
            losses = self.rpn_losses(levels, image_sizes, seeds, gt)
            pyramid = self.pyramid(features, padding)
            with tf.name_scope("sample_rois"):
                rois = sample_rois(proposals, gt, Sampling(cfg.FRCNN.BATCH_PER_IM, cfg.FRCNN.FG_RATIO),
                                   self.box_stages[0].fg_thresh, _stream(seeds, 2))
            roi_features = self.box_features(pyramid, rois)
            losses.update(self.box_losses(pyramid, rois, roi_features, image_sizes, gt, seeds))
            if cfg.MODE_MASK:
                losses["maskrcnn_loss"] = self.mask_loss(pyramid, rois, roi_features, gt)
            if cfg.MODE_KEYPOINT:
                losses["keypointrcnn_loss"] = self.keypoint_loss(pyramid, rois, gt)
            return losses

    def detect(self, images, image_sizes):
        """
        Args:
            images, image_sizes: as of `losses`, of any B

        Returns:
            dict of name to tensor, flat lists of the detections of all images: boxes (D, 4), scores (D,), labels (D,)
            in 1.., image_index (D,) and, with MODE_MASK, masks (D, mask_size, mask_size) in 0..1, with MODE_KEYPOINT
            keypoints (D, 56, 56, K), logits of places in the boxes. In the graph they are `output_names`.

            With `has_two_calls` boxes, scores and labels are those before NMS, in no order. Another run of the graph
            may be given others in their place, and the feature maps that it would make again, as `given_names`.
        """
        with custom_getter_scope(float32_variables):
            dtype = layer_dtype(self.cfg.TEST.PRECISION, "TEST.PRECISION")
            features, padding = self.features(images, image_sizes, dtype)
            if self.has_two_calls:
                features = _given(features, self.given_names())
            proposals = self.proposals(
                self.rpn(features, padding), image_sizes, *_proposal_limits(self.cfg.RPN, "TEST"))
            pyramid = self.pyramid(features, padding)
            detections = self.detect_boxes(pyramid, proposals, image_sizes)
            outputs = detections._asdict()
            if self.has_two_calls:
                detections = Detections(*_given(detections, self.given_names()[len(features):]))
            if self.cfg.MODE_MASK:
                outputs["masks"] = self.detect_masks(pyramid, detections)
            if self.cfg.MODE_KEYPOINT:
                outputs["keypoints"] = self.keypoint_logits(pyramid, detections.as_rois())
            return {name: tf.identity(tensor, name=f"output/{name}") for name, tensor in outputs.items()}

    def loss_names(self):
        """Returns: list[str], of the losses"""
        heads = ["rpn", *(stage.name for stage in self.box_stages)]
        names = [f"{head}_{loss}" for head in heads for loss in ("label_loss", "box_loss")]
        names += ["maskrcnn_loss"] if self.cfg.MODE_MASK else []
        return names + (["keypointrcnn_loss"] if self.cfg.MODE_KEYPOINT else [])

    def output_names(self):
        """Returns: list[str], of the outputs of `detect` in the graph"""
        names = ["boxes", "scores", "labels", "image_index"] + (["masks"] if self.cfg.MODE_MASK else [])
        names += ["keypoints"] if self.cfg.MODE_KEYPOINT else []
        return [f"output/{name}" for name in names]

    def given_names(self):
        """Returns: list[str], of what the graph may be given: the feature maps, then Detections; see `detect`"""
        features = [f"features{i}" for i in range(len(self.architecture.strides))]
        return [f"given/{name}" for name in (*features, *Detections._fields)] if self.has_two_calls else []

    def features(self, images, image_sizes, dtype):
        """
        Args:
            dtype (str): of the layers

        Returns:
            list of feature maps (B, H / s, W / s, C), of the architecture's strides s; and the batch's Padding
        """
        images, padding = self.preprocess(images, image_sizes)
        return self.architecture.features(tf.cast(images, tf.as_dtype(dtype)), padding), padding

    def preprocess(self, images, image_sizes):
        """
        Returns:
            float32 (B, H', W', 3), normalized, zero beyond each image, with H' and W' as `padding.round_up` makes them;
            and the batch's Padding
        """
        multiple = self.architecture.size_multiple
        with tf.name_scope("preprocess"):
            batch_shape = tf.shape(images)[1:3]
            padded_shape = round_up(batch_shape, multiple)
            mean, std = (tf.constant(v[::-1]) for v in (self.cfg.PREPROC.PIXEL_MEAN, self.cfg.PREPROC.PIXEL_STD))
            images = (tf.cast(images, tf.float32) - mean) / std
            rows = tf.range(batch_shape[0])[None] < image_sizes[:, :1]
            columns = tf.range(batch_shape[1])[None] < image_sizes[:, 1:]
            images *= tf.cast(rows[:, :, None, None] & columns[:, None, :, None], tf.float32)
            below, right = tf.unstack(padded_shape - batch_shape)
            images = tf.pad(images, [[0, 0], [0, below], [0, right], [0, 0]])
            return images, Padding(image_sizes, padded_shape, multiple)

    def pyramid(self, features, padding):
        """Returns: Pyramid, of the feature maps that RoIs are pooled from"""
        strides = self.architecture.roi_strides
        levels = [self.pooling.surround(x, padding, stride) for x, stride in zip(features, strides)]
        return Pyramid(levels, strides, features[0].dtype)

    def rpn(self, features, padding):
        """Returns: list[rpn.Level], of each feature map"""
        cfg, levels = self.cfg.RPN, []
        for x, stride, sizes in zip(features, self.architecture.strides, self.architecture.anchor_sizes):
            height, width = tf.shape(x)[1], tf.shape(x)[2]
            cell = cell_anchors(sizes, cfg.ANCHOR_RATIOS, cfg.ANCHOR_ROUNDED)
            logits, deltas = rpn.rpn_head(x, self.architecture.rpn_channels, len(cell), cfg.NUM_CONVS,
                                          functools.partial(padding.zero, stride=stride))
            inside = tf.reshape(padding.inside(stride, height, width), [-1, height * width])
            inside = tf.repeat(inside, len(cell), axis=1)
            steps = padding.batch_shape // tf.shape(x)[1:3] if cfg.ANCHOR_STEP_BY_SIZE else (stride, stride)
            levels.append(rpn.Level(grid_anchors(height, width, steps, cell), inside, logits, deltas))
        return levels

    def proposals(self, levels, image_sizes, joint_limits, level_limits):
        """
        Args:
            joint_limits, level_limits (ProposalLimits): of all levels together, of each

        Returns:
            Proposals
        """
        with tf.name_scope("proposals"):
            if self.architecture.has_joint_proposals:
                levels, level_limits = [rpn.join_levels(levels)], joint_limits
            return rpn.generate_proposals(levels, image_sizes, level_limits, self.rpn_loss.coder)

    def rpn_losses(self, levels, image_sizes, seeds, gt):
        """Returns: dict of scalars"""
        cfg = self.cfg.RPN
        with tf.name_scope("rpn_losses"):
            level = rpn.join_levels(levels)
            thresholds = AnchorThresholds(
                cfg.POSITIVE_ANCHOR_THRESH, cfg.NEGATIVE_ANCHOR_THRESH, cfg.CROWD_OVERLAP_THRESH,
                cfg.STRADDLE_THRESH)
            anchor_labels = label_anchors(level.anchors, level.inside, gt, image_sizes, thresholds)
            return rpn.rpn_losses(level, anchor_labels, gt, _stream(seeds, 0),
                                  Sampling(cfg.BATCH_PER_IM, cfg.FG_RATIO), self.rpn_loss)

    def box_features(self, pyramid, rois):
        """Returns: RoIFeatures, which a box head takes"""
        architecture = self.architecture
        return self._roi_features(pyramid, rois, architecture.box_roi_size, architecture.box_roi_layers)

    def mask_features(self, pyramid, rois):
        """Returns: RoIFeatures, which the mask head takes"""
        architecture = self.architecture
        return self._roi_features(pyramid, rois, architecture.mask_roi_size, architecture.mask_roi_layers)

    def _roi_features(self, pyramid, rois, size, layers):
        pooled = pool_from_levels(self.pooling, pyramid.levels, pyramid.strides, rois, size)
        return RoIFeatures(layers(tf.cast(pooled.values, pyramid.dtype)), pooled.order)

    def box_head(self, stage, roi_features, seeds=None):
        """
        Args:
            seeds: int64 (B,), of each image's random choices in training

        Returns:
            in the order of the boxes: logits (R, num_classes), deltas (R, num_classes, 4), or in a cascade (R, 1, 4)
        """
        def head(x):
            with tfv1.variable_scope(stage.head_scope):
                x = self.architecture.box_layers(x, seeds)
            with tfv1.variable_scope(stage.outputs_scope):
                return box_head.fastrcnn_outputs(x, self.num_classes, class_agnostic=len(self.box_stages) > 1)
        return [roi_features.in_order_of_boxes(x) for x in on_rois(head, roi_features.values)]

    def mask_head(self, roi_features, labels):
        """
        Args:
            labels: int32 (R,), of the boxes

        Returns:
            logits (R, mask_size, mask_size), of the class of each box, in the order of the boxes
        """
        logits = on_rois(
            self.architecture.mask_layers, roi_features.values, tf.gather(labels, roi_features.order))
        return roi_features.in_order_of_boxes(logits)

    def box_losses(self, pyramid, rois, roi_features, image_sizes, gt, seeds=None):
        """Returns: dict of the losses of each box head; from the second on they are of the boxes of the one before"""
        losses, before, deltas = {}, None, None
        shares = image_shares(rois.image_index, tf.shape(image_sizes)[0])
        for stage in self.box_stages:
            if before:
                boxes = tf.stop_gradient(self.refine(before, deltas, rois, image_sizes)[:, 0])
                rois = match_boxes(boxes, rois.image_index, gt, stage.fg_thresh)
                roi_features = self.box_features(pyramid, rois)
            # all stages together weigh on the backbone as one does
            values = scale_gradient(roi_features.values, 1.0 / len(self.box_stages))
            logits, deltas = self.box_head(stage, RoIFeatures(values, roi_features.order), seeds)
            with tf.name_scope(f"{stage.name}_losses"):
                label_loss, box_loss = box_head.fastrcnn_losses(
                    logits, deltas, rois, gt.boxes_at(rois.gt_index), shares, stage.loss)
                losses.update({f"{stage.name}_label_loss": label_loss, f"{stage.name}_box_loss": box_loss})
            before = stage
        return losses

    def mask_loss(self, pyramid, rois, roi_features, gt):
        """
        Args:
            roi_features (RoIFeatures): of the box head

        Returns:
            scalar
        """
        foreground = rois.foreground()
        rois = rois.select(foreground)
        if self.architecture.shares_roi_features:
            roi_features = roi_features.select(foreground)
        else:
            roi_features = self.mask_features(pyramid, rois)
        mask_logits = self.mask_head(roi_features, rois.labels)
        with tf.name_scope("maskrcnn_losses"):
            targets = mask_targets(rois, gt, self.architecture.mask_size)
            return maskrcnn_loss(mask_logits, targets, image_shares(rois.image_index, tf.shape(gt.boxes)[0]))

    def keypoint_logits(self, pyramid, rois):
        """Returns: (R, 56, 56, K), of the places of each keypoint in the RoIs, in the order of the boxes"""
        cfg = self.cfg.KRCNN
        norm = HeadNorm(cfg.NORM, self.cfg.FPN.HEAD_NORM_FIRST)

        def head(x):
            return keypoint_head(x, cfg.NUM_CONVS, cfg.HEAD_DIM, len(self.cfg.DATA.KEYPOINT_NAMES), norm)

        roi_features = self._roi_features(pyramid, rois, ROI_SIZE, tf.identity)
        return roi_features.in_order_of_boxes(on_rois(head, roi_features.values))

    def keypoint_loss(self, pyramid, rois, gt):
        """Returns: scalar"""
        cfg = self.cfg
        rois = rois_with_keypoints(rois, gt)
        logits = self.keypoint_logits(pyramid, rois)
        max_rois = None if cfg.KRCNN.NORMALIZE_BY_VISIBLE else cfg.FRCNN.BATCH_PER_IM * cfg.FRCNN.FG_RATIO
        with tf.name_scope("keypointrcnn_losses"):
            return keypoint_loss(logits, rois, gt, max_rois) * cfg.KRCNN.LOSS_WEIGHT

    def refine(self, stage, deltas, rois, image_sizes):
        """Returns: what a stage makes of the RoIs, clipped: (R, num_classes, 4), or (R, 1, 4)"""
        refined = stage.loss.coder.decode(deltas, rois.boxes[:, None])
        return box_ops.clip(refined, tf.gather(image_sizes, rois.image_index)[:, None])

    def detect_boxes(self, pyramid, proposals, image_sizes):
        """Returns: Detections"""
        cfg = self.cfg.TEST
        rois = proposals.as_rois()
        stage_scores = []
        for stage in self.box_stages:
            logits, deltas = self.box_head(stage, self.box_features(pyramid, rois))
            stage_scores.append(tf.nn.softmax(logits))
            boxes = self.refine(stage, deltas, rois, image_sizes)
            rois = rois._replace(boxes=boxes[:, 0])
        scores = tf.divide(tf.add_n(stage_scores), len(stage_scores), name="fastrcnn_all_scores")
        boxes = tf.identity(boxes, name="fastrcnn_all_boxes")
        if self.has_two_calls:
            return box_head.fastrcnn_candidates(boxes, scores, rois.image_index, cfg.RESULT_SCORE_THRESH)
        return box_head.fastrcnn_predictions(
            boxes, scores, rois.image_index, tf.shape(image_sizes)[0],
            box_head.DetectionLimits(cfg.RESULT_SCORE_THRESH, cfg.FRCNN_NMS_THRESH, cfg.RESULTS_PER_IM))

    def detect_masks(self, pyramid, detections):
        """Returns: (D, mask_size, mask_size) in 0..1, of the class of each detection"""
        roi_features = self.mask_features(pyramid, detections.as_rois())
        return tf.sigmoid(self.mask_head(roi_features, detections.labels))


def _given(tensors, names):
    """Returns: list, the tensors, in whose place a run of the graph may be given others by their names"""
    return [tfv1.placeholder_with_default(x, x.shape, name) for x, name in zip(tensors, names)]


def _box_stages(cfg, outputs_scope, max_log_scale):
    """Returns: list[BoxStage]"""
    def loss(kind, reg_weights):
        return BoxLoss(kind, box_ops.BoxCoder(reg_weights, max_log_scale), cfg.FRCNN.SMOOTH_L1_BETA,
                       cfg.FRCNN.LOSS_BBOX_WEIGHT)

    if not cfg.FPN.CASCADE:
        return [BoxStage("fastrcnn", "fastrcnn", outputs_scope, cfg.FRCNN.FG_THRESH,
                         loss(cfg.FRCNN.LOSS_TYPE, cfg.FRCNN.BBOX_REG_WEIGHTS))]
    scope = "cascade_rcnn_stage{}/{}".format
    return [BoxStage(f"cascade_stage{i}", scope(i, "head"), scope(i, "outputs"), fg_thresh,
                     loss(cfg.CASCADE.LOSS_TYPE, reg_weights))
            for i, (fg_thresh, reg_weights) in enumerate(zip(cfg.CASCADE.IOUS, cfg.CASCADE.BBOX_REG_WEIGHTS), start=1)]


def _proposal_limits(cfg, phase):
    """
    Args:
        cfg (AttrDict): the RPN part of a config
        phase (str): "TRAIN" or "TEST"

    Returns:
        ProposalLimits of all levels together, and of each
    """
    def topk(limit):
        return getattr(cfg, f"{phase}_{limit}_TOPK")

    def limits(pre_nms, post_nms):
        return rpn.ProposalLimits(pre_nms, post_nms, cfg.PROPOSAL_NMS_THRESH, cfg.MIN_SIZE)

    level = topk("PER_LEVEL_NMS")
    return limits(topk("PRE_NMS"), topk("POST_NMS")), limits(level, topk("ALL_LEVELS") or level)


def _stream(seeds, index):
    """Returns: int64 (B, 2), seeds of the random choices number `index` and `index + 1` of each image"""
    return tf.stack([seeds, tf.fill(tf.shape(seeds), tf.constant(index, tf.int64))], axis=1)
