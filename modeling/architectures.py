"""
The ways to put a network together: on a pyramid (`FPN`) or on one feature map (`C4`, `C5`), which is a pyramid of one
level, with all sizes of anchors on it. C4 has conv5 between the pooling of RoIs and the heads.

All have

    strides, anchor_sizes: of each level of the RPN
    roi_strides: of the levels that RoIs are pooled from
    size_multiple: that heights and widths of images are rounded up to
    rpn_channels: of the RPN's hidden layer
    has_joint_proposals: NMS and limits of proposals are for all levels together, not for each
    outputs_scope: of the variables of a plain box head's outputs
    box_roi_size, mask_roi_size: bins of an RoI in each direction
    mask_size: pixels of a predicted mask in each direction
    shares_roi_features: the mask head is trained on what the layers in front of the box head made of the same RoIs
"""
import tensorflow as tf
from tensorpack import tfv1

from modeling.backbones import make_backbone
from modeling.box_head import fastrcnn_2fc_head, fastrcnn_4conv1fc_head
from modeling.fpn import fpn
from modeling.layers import HeadNorm, on_rois
from modeling.mask_head import maskrcnn_upxconv_head
from modeling.padding import NoPadding

BOX_HEADS = {
    "fastrcnn_2fc_head": lambda x, cfg, norm: fastrcnn_2fc_head(x, cfg.FRCNN_FC_HEAD_DIM),
    "fastrcnn_4conv1fc_head": lambda x, cfg, norm: fastrcnn_4conv1fc_head(
        x, cfg.FRCNN_CONV_HEAD_DIM, cfg.FRCNN_FC_HEAD_DIM, norm)}


# Detectron's names; of v0 stands behind conv5, v0up's is its own
NUM_MASK_CONVS = {"v1up4convs": 4, "v1up": 2, "v0up": 0, "v0upshare": 0}


def split_norm(head_func, norm_first):
    """
    Args:
        head_func (str): a head's name in the config, such as "fastrcnn_4conv1fc_gn_head"
        norm_first (bool): see `HeadNorm`; a batch norm always is

    Returns:
        (str, HeadNorm): the name without the norm, and the norm that it says
    """
    for part, kind in (("_gn_head", "GN"), ("_bn_head", "SyncBN")):
        if head_func.endswith(part):
            return head_func.replace(part, "_head"), HeadNorm(kind, norm_first or kind == "SyncBN")
    return head_func, HeadNorm()


def mask_logits(features, labels, cfg, num_convs):
    """
    Args:
        features: (R, s, s, C)
        labels: int32 (R,), in 1..
        cfg (AttrDict): a finalized config
        num_convs (int): in front of the transposed convolution

    Returns:
        logits (R, 2 s, 2 s), of the class of each RoI or of all classes
    """
    _, norm = split_norm(cfg.FPN.MRCNN_HEAD_FUNC, cfg.FPN.HEAD_NORM_FIRST)
    num_categories = cfg.DATA.NUM_CATEGORY
    if cfg.MRCNN.CLASS_AGNOSTIC:
        labels, num_categories = tf.ones_like(labels), 1
    return maskrcnn_upxconv_head(features, labels, num_convs, cfg.MRCNN.HEAD_DIM, num_categories, norm)


class FPN:
    """
    A feature pyramid P2..P6: one size of anchors on each level, RoIs pooled from the level of their size. With P2_ONLY
    the other levels only feed P2, which has all anchors and RoIs.

    Args:
        cfg (AttrDict): a finalized config
    """

    outputs_scope = "fastrcnn/outputs"
    box_roi_size, mask_roi_size, mask_size = 7, 14, 28
    shares_roi_features = False

    def __init__(self, cfg):
        self.cfg = cfg
        p2_only, sizes = cfg.FPN.P2_ONLY, cfg.RPN.ANCHOR_SIZES
        self.strides = cfg.FPN.ANCHOR_STRIDES[:1] if p2_only else cfg.FPN.ANCHOR_STRIDES
        self.roi_strides = self.strides[:4]
        self.anchor_sizes = [sizes] if p2_only else [[size] for size in sizes]
        self.size_multiple = cfg.FPN.ANCHOR_STRIDES[3]
        self.rpn_channels = cfg.FPN.NUM_CHANNEL
        self.has_joint_proposals = p2_only or cfg.FPN.PROPOSAL_MODE == "Joint"

    def features(self, images, padding):
        """Args: images (B, H, W, 3); padding (Padding). Returns: list, (B, H / s, W / s, C) of each s of `strides`"""
        levels = make_backbone(self.cfg.BACKBONE, padding).levels(images, num_stages=4)
        cfg = self.cfg.FPN
        return fpn(levels, cfg.NUM_CHANNEL, cfg.NORM, padding, cfg.P2_ONLY)

    def box_roi_layers(self, features):
        """Returns: (R, s, s, C), what is between the pooling and the box head"""
        return features

    def mask_roi_layers(self, features):
        """Returns: (R, s, s, C), what is between the pooling and the mask head"""
        return features

    def box_layers(self, features, seeds=None):
        """Args: features (R, 7, 7, C). Returns: (R, dim), which the box head's outputs are made of"""
        head, norm = split_norm(self.cfg.FPN.FRCNN_HEAD_FUNC, self.cfg.FPN.HEAD_NORM_FIRST)
        return BOX_HEADS[head](features, self.cfg.FPN, norm)

    def mask_layers(self, features, labels):
        """Args: features (R, 14, 14, C); labels int32 (R,). Returns: logits (R, 28, 28)"""
        return mask_logits(features, labels, self.cfg, NUM_MASK_CONVS[self.cfg.MRCNN.HEAD or "v1up4convs"])


class C4:
    """
    One feature map of stride 16, and conv5 for each RoI.

    Args:
        cfg (AttrDict): a finalized config
    """

    has_joint_proposals = True
    outputs_scope = "fastrcnn"
    box_roi_size = mask_roi_size = 14
    size_multiple = 1

    def __init__(self, cfg):
        self.cfg = cfg
        self.strides = self.roi_strides = (cfg.RPN.ANCHOR_STRIDE,)
        self.anchor_sizes = [cfg.RPN.ANCHOR_SIZES]
        self.rpn_channels = cfg.RPN.HEAD_DIM
        self.mask_head = cfg.MRCNN.HEAD or "v0upshare"
        self.mask_size = 14 if self.mask_head.startswith("v0") else 28
        self.shares_roi_features = self.mask_head == "v0upshare"

    def features(self, images, padding):
        """Args: images (B, H, W, 3); padding (Padding). Returns: list of C4 alone, (B, H / 16, W / 16, C)"""
        return make_backbone(self.cfg.BACKBONE, padding).levels(images, num_stages=3)[-1:]

    def box_roi_layers(self, features):
        """Args: features (R, 14, 14, C). Returns: (R, 7, 7, 2 C), behind conv5"""
        backbone = make_backbone(self.cfg.BACKBONE, NoPadding())
        return on_rois(lambda x: backbone.stage(x, 3, stride=2), features)

    def mask_roi_layers(self, features):
        """Args: features (R, 14, 14, C). Returns: (R, 7, 7, 2 C), behind a conv5, in v0; in v1, the features"""
        if self.mask_head == "v0upshare":
            return self.box_roi_layers(features)
        if self.mask_head == "v0up":
            with tfv1.variable_scope("maskrcnn"):
                return self.box_roi_layers(features)
        return features

    def box_layers(self, features, seeds=None):
        """Args: features (R, 7, 7, C). Returns: (R, C), which the box head's outputs are made of"""
        return tf.reduce_mean(features, axis=[1, 2])

    def mask_layers(self, features, labels):
        """Args: features, of `mask_roi_layers`; labels int32 (R,). Returns: logits (R, mask_size, mask_size)"""
        return mask_logits(features, labels, self.cfg, NUM_MASK_CONVS[self.mask_head])


class C5(C4):
    """
    One feature map of stride 16, of VGG16's conv5, and its fc6 and fc7 for each RoI, as in Fast R-CNN.

    Args:
        cfg (AttrDict): a finalized config
    """

    box_roi_size = 7
    mask_size, shares_roi_features = 28, False

    def __init__(self, cfg):
        self.cfg = cfg
        self.strides = self.roi_strides = (cfg.RPN.ANCHOR_STRIDE,)
        self.anchor_sizes = [cfg.RPN.ANCHOR_SIZES]
        self.rpn_channels = cfg.RPN.HEAD_DIM
        self.mask_head = cfg.MRCNN.HEAD or "v1up4convs"

    def features(self, images, padding):
        """Args: images (B, H, W, 3); padding (Padding). Returns: list of C5 alone, (B, H // 16, W // 16, C)"""
        return [make_backbone(self.cfg.BACKBONE, padding).features(images)]

    def box_roi_layers(self, features):
        """Returns: (R, s, s, C), what is between the pooling and the box head"""
        return features

    def box_layers(self, features, seeds=None):
        """
        Args:
            features: (R, 7, 7, C)
            seeds: int64 (B,), of the images, in training

        Returns:
            (R, dim), which the box head's outputs are made of
        """
        # number 4 of the images' random choices, behind those of the sampling
        dropout_seed = None if seeds is None else tf.stack([seeds[0], 4])
        return fastrcnn_2fc_head(features, 64 * self.cfg.BACKBONE.WIDTH, dropout_seed)


def make_architecture(cfg):
    """Args: cfg (AttrDict): a finalized config. Returns: FPN, C4 or C5"""
    if cfg.MODE_FPN:
        return FPN(cfg)
    return (C5 if cfg.BACKBONE.NAME == "VGG16" else C4)(cfg)
