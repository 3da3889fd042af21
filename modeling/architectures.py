"""
The two ways to put a network together: on a pyramid (`FPN`) or on one feature map (`C4`). C4 is a pyramid of one level,
with all sizes of anchors on it and conv5 between RoIAlign and the heads.

Both have

    strides, anchor_sizes: of each level of the RPN
    roi_strides: of the levels that RoIs are pooled from
    size_multiple: that heights and widths of images are rounded up to
    rpn_channels: of the RPN's hidden layer
    has_joint_proposals: NMS and limits of proposals are for all levels together, not for each
    outputs_scope: of the variables of a plain box head's outputs
    box_roi_size, mask_roi_size: bins of RoIAlign in each direction
    mask_size: pixels of a predicted mask in each direction
"""
import tensorflow as tf

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


class FPN:
    """
    A feature pyramid P2..P6: one size of anchors on each level, RoIs pooled from the level of their size.

    Args:
        cfg (AttrDict): a finalized config
    """

    outputs_scope = "fastrcnn/outputs"
    box_roi_size, mask_roi_size, mask_size = 7, 14, 28

    def __init__(self, cfg):
        self.cfg = cfg
        self.strides = cfg.FPN.ANCHOR_STRIDES
        self.roi_strides = self.strides[:4]
        self.anchor_sizes = [[size] for size in cfg.RPN.ANCHOR_SIZES]
        self.size_multiple = self.strides[3]
        self.rpn_channels = cfg.FPN.NUM_CHANNEL
        self.has_joint_proposals = cfg.FPN.PROPOSAL_MODE == "Joint"

    def features(self, images, padding):
        """Args: images (B, H, W, 3); padding (Padding). Returns: list of P2..P6, (B, H / s, W / s, C)"""
        levels = make_backbone(self.cfg.BACKBONE, padding).levels(images, num_stages=4)
        return fpn(levels, self.cfg.FPN.NUM_CHANNEL, self.cfg.FPN.NORM, padding)

    def roi_layers(self, features):
        """Returns: (R, s, s, C), what is between RoIAlign and the heads"""
        return features

    def box_layers(self, features):
        """Args: features (R, 7, 7, C). Returns: (R, dim), which the box head's outputs are made of"""
        head, norm = split_norm(self.cfg.FPN.FRCNN_HEAD_FUNC, self.cfg.FPN.HEAD_NORM_FIRST)
        return BOX_HEADS[head](features, self.cfg.FPN, norm)

    def mask_layers(self, features, labels):
        """Args: features (R, 14, 14, C); labels int32 (R,). Returns: logits (R, 28, 28)"""
        _, norm = split_norm(self.cfg.FPN.MRCNN_HEAD_FUNC, self.cfg.FPN.HEAD_NORM_FIRST)
        return maskrcnn_upxconv_head(
            features, labels, 4, self.cfg.MRCNN.HEAD_DIM, self.cfg.DATA.NUM_CATEGORY, norm)


class C4:
    """
    One feature map of stride 16, and conv5 for each RoI.

    Args:
        cfg (AttrDict): a finalized config
    """

    has_joint_proposals = True
    outputs_scope = "fastrcnn"
    box_roi_size, mask_roi_size, mask_size = 14, 14, 14
    size_multiple = 1

    def __init__(self, cfg):
        self.cfg = cfg
        self.strides = self.roi_strides = (cfg.RPN.ANCHOR_STRIDE,)
        self.anchor_sizes = [cfg.RPN.ANCHOR_SIZES]
        self.rpn_channels = cfg.RPN.HEAD_DIM

    def features(self, images, padding):
        """Args: images (B, H, W, 3); padding (Padding). Returns: list of C4 alone, (B, H / 16, W / 16, C)"""
        return make_backbone(self.cfg.BACKBONE, padding).levels(images, num_stages=3)[-1:]

    def roi_layers(self, features):
        """Args: features (R, 14, 14, C). Returns: (R, 7, 7, 2 C), behind conv5"""
        backbone = make_backbone(self.cfg.BACKBONE, NoPadding())
        return on_rois(lambda x: backbone.stage(x, 3, stride=2), features)

    def box_layers(self, features):
        """Args: features (R, 7, 7, C). Returns: (R, C), which the box head's outputs are made of"""
        return tf.reduce_mean(features, axis=[1, 2])

    def mask_layers(self, features, labels):
        """Args: features (R, 7, 7, C); labels int32 (R,). Returns: logits (R, 14, 14)"""
        return maskrcnn_upxconv_head(
            features, labels, 0, self.cfg.MRCNN.HEAD_DIM, self.cfg.DATA.NUM_CATEGORY, HeadNorm())
