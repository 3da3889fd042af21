"""Configs for tests: complete ones, and tiny networks."""
import os

import pytest

from config import finalize_configs, new_config
from settings import ConfigError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TINY = (
    "BACKBONE.RESNET_NUM_BLOCKS=(1, 1, 1, 1)", "BACKBONE.WIDTH=8", "FPN.NUM_CHANNEL=16", "FPN.FRCNN_FC_HEAD_DIM=16",
    "MRCNN.HEAD_DIM=8", "MRCNN.GT_RESOLUTION=56", "RPN.ANCHOR_SIZES=(8, 16, 32, 64, 128)", "RPN.BATCH_PER_IM=32",
    "RPN.TRAIN_PER_LEVEL_NMS_TOPK=30", "RPN.TEST_PER_LEVEL_NMS_TOPK=30", "FRCNN.BATCH_PER_IM=16",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(64, 64)", "PREPROC.TEST_SHORT_EDGE_SIZE=64", "PREPROC.MAX_SIZE=128",
    "DATA.NUM_WORKERS=0", "TRAIN.NUM_GPUS=0")

KEYPOINT_NAMES = ("nose", "left_ear", "right_ear")


def complete_config():
    """The defaults with two classes and three keypoints, ready for finalize_configs."""
    cfg = new_config()
    cfg.DATA.KEYPOINT_NAMES = KEYPOINT_NAMES
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("cat", "dog"), (3, 7)
    return cfg


def finalized_config(*words, num_classes=3, tiny=True):
    """A finalized config of `num_classes` classes: a tiny model, or the default one, changed by KEY=VALUE words."""
    cfg = new_config()
    cfg.DATA.CLASS_NAMES = tuple(f"class{i}" for i in range(num_classes))
    cfg.DATA.CATEGORY_IDS = tuple(range(1, num_classes + 1))
    cfg.DATA.KEYPOINT_NAMES = KEYPOINT_NAMES
    cfg.update_args([*(TINY if tiny else ()), *words])
    finalize_configs(cfg, is_training=True)
    return cfg


def message_of(function, *args):
    """The message of the ConfigError that a call ends in. It is one line."""
    with pytest.raises(ConfigError) as error:
        function(*args)
    assert "\n" not in str(error.value)
    return str(error.value)
