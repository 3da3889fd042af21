"""Backbones: one file for each, and the line that chooses."""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

from modeling.backbones.resnet import ResNet
from modeling.backbones.vgg import VGG16


def make_backbone(cfg, padding):
    """
    Args:
        cfg (AttrDict): the BACKBONE part of a config
        padding (Padding): where the images end

    Returns:
        `VGG16`, or `ResNet`, which has `levels` and `stage`
    """
    if cfg.NAME == "VGG16":
        return VGG16(cfg.WIDTH, cfg.FREEZE_AT, padding)
    inner_width = cfg.WIDTH * cfg.RESNEXT_WIDTH // 64 * cfg.RESNEXT_GROUPS
    return ResNet(cfg.RESNET_NUM_BLOCKS, cfg.NORM, cfg.WIDTH, cfg.FREEZE_AT, cfg.FREEZE_AFFINE, cfg.STRIDE_1X1,
                  cfg.TF_PAD_MODE, padding, cfg.NORM_EPSILON, cfg.RESNEXT_GROUPS, inner_width)
