"""Checks of a config: what cannot work is refused with key, value and remedy."""
import re

import pytest

from config import finalize_configs, new_config
from tiny import message_of


def test_finalize_wants_class_names():
    assert "DATA.CLASS_NAMES" in message_of(finalize_configs, new_config(), False)


def test_finalize_wants_an_id_for_every_class(cfg):
    cfg.DATA.CATEGORY_IDS = (3,)
    message = message_of(finalize_configs, cfg, False)
    assert "DATA.CATEGORY_IDS=(3,)" in message and "2 numbers" in message


@pytest.mark.parametrize("words, remedy", [
    ("MRCNN.HEAD=v0up", "MRCNN.HEAD='v0up' stands behind conv5 of each RoI; set MODE_FPN=False"),
    ("MODE_FPN=False MRCNN.HEAD=v1up FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head MRCNN.HEAD_DIM=33",
     "MRCNN.HEAD_DIM=33 does not split"),
    ("FRCNN.POOLING=RoICrop FRCNN.POOL_SAMPLES=0", "FRCNN.POOL_SAMPLES=0 must be 1 or more"),
    ("MODE_FPN=False RPN.ANCHOR_STRIDE=32", "RPN.ANCHOR_STRIDE=32 must be 16"),
    ("MODE_FPN=False RPN.ANCHOR_SIZES=()", "RPN.ANCHOR_SIZES=() must be positive numbers, at least one"),
    ("FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6)", "CASCADE.IOUS=(0.5, 0.6) must be two or more IoUs"),
    ("FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6, 70)", "CASCADE.IOUS=(0.5, 0.6, 70.0) must be two or more IoUs in 0..1"),
    ("FPN.CASCADE=True CASCADE.BBOX_REG_WEIGHTS=((1,),(1,),(1,))", "with 4 numbers for each of them"),
    ("FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head FPN.FRCNN_CONV_HEAD_DIM=33", "CONV_HEAD_DIM=33 does not split"),
    ("FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head MRCNN.HEAD_DIM=33", "MRCNN.HEAD_DIM=33 does not split"),
])
def test_parts_that_do_not_go_together_are_refused_with_the_remedy(cfg, words, remedy):
    cfg.update_args(re.split(r" (?=[A-Z])", words))
    assert remedy in message_of(finalize_configs, cfg, True)


@pytest.mark.parametrize("words", [
    "MODE_FPN=False RPN.ANCHOR_SIZES=(32, 64)", "FPN.P2_ONLY=True RPN.ANCHOR_SIZES=(32, 64)",
    "MODE_FPN=False FPN.CASCADE=True", "FPN.CASCADE=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_head",
    "FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6) CASCADE.BBOX_REG_WEIGHTS=((10, 10, 5, 5), (20, 20, 10, 10))"])
def test_parts_that_go_together_are_taken(cfg, words):
    cfg.update_args(re.split(r" (?=[A-Z])", words))
    finalize_configs(cfg, True)


@pytest.mark.parametrize("word", [
    "TRAINER=horses", "BACKBONE.NORM=BN", "BACKBONE.FREEZE_AT=3", "BACKBONE.FREEZE_AT=-1", "FPN.PROPOSAL_MODE=level",
    "FPN.NORM=BN", "BACKBONE.NORM_EPSILON=-1.0", "RPN.NUM_CONVS=0", "FRCNN.MAX_BOX_GROWTH=-1.0",
    "FRCNN.POOLING=roialign", "FRCNN.POOL_SAMPLES=-1", "MRCNN.HEAD=v1",
    "FPN.FRCNN_HEAD_FUNC=x", "FPN.MRCNN_HEAD_FUNC=x", "RPN.HEAD_DIM=0", "FPN.FRCNN_CONV_HEAD_DIM=0",
    "RPN.ANCHOR_SIZES=(0, 1, 2, 3, 4)", "RPN.LOSS_TYPE=GIoU", "FRCNN.LOSS_TYPE=l2", "CASCADE.LOSS_TYPE=none",
    "RPN.LOSS_BBOX_WEIGHT=-1", "FRCNN.LOSS_BBOX_WEIGHT=-0.5",
    "BACKBONE.RESNET_NUM_BLOCKS=(3, 4, 6)", "BACKBONE.RESNET_NUM_BLOCKS=(3, 4, 6, 0)", "BACKBONE.RESNET_NUM_BLOCKS=()",
    "FPN.ANCHOR_STRIDES=(8, 16, 32, 64, 128)", "FPN.ANCHOR_STRIDES=(4, 8, 16, 32, 65)",
    "RPN.ANCHOR_SIZES=(32, 64, 128, 256)", "PREPROC.TRAIN_SHORT_EDGE_SIZE=(800, 640)",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(800,)",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(0, 800)", "PREPROC.TEST_SHORT_EDGE_SIZE=0",
    "PREPROC.TEST_SHORT_EDGE_SIZE=1400", "PREPROC.MAX_SIZE=700",
    "TEST.SOFT_NMS=hard", "TEST.SOFT_NMS_SIGMA=0.0", "TEST.BBOX_VOTE_THRESH=1.5", "TEST.AUG.SCALES=(0,)",
    "TEST.AUG.SCALES=(400, 'x')", "TEST.AUG.SCALES=(2001,)", "TEST.AUG.SCALES=(1.5,)",
    "TEST.IMS_PER_BATCH=0", "TEST.RESULTS_PER_IM=0", "TRAIN.IMS_PER_GPU=0", "TRAIN.STEPS_PER_EPOCH=0",
    "RPN.BATCH_PER_IM=0",
    "FRCNN.BATCH_PER_IM=-1", "TRAIN.EVAL_PERIOD=0", "TRAIN.CHECKPOINT_PERIOD=0", "TRAIN.MAX_TO_KEEP=0",
    "MRCNN.GT_RESOLUTION=0",
    "RPN.POSITIVE_ANCHOR_THRESH=1.5", "RPN.NEGATIVE_ANCHOR_THRESH=-0.1", "RPN.FG_RATIO=2", "RPN.PROPOSAL_NMS_THRESH=70",
    "FRCNN.FG_THRESH=1.1", "FRCNN.FG_RATIO=-1", "TEST.FRCNN_NMS_THRESH=2", "TEST.RESULT_SCORE_THRESH=5",
    "TRAIN.LR_SCHEDULE=()", "TRAIN.LR_SCHEDULE=(100, 50)", "TRAIN.LR_SCHEDULE=(100, 100)",
    "TRAIN.LR_SCHEDULE=(0, 100)", "DATA.NUM_WORKERS=-1",
    "PREPROC.FLIP=1.5", "PREPROC.FLIP_UP_DOWN=-0.1", "PREPROC.COPY_PASTE=2", "PREPROC.GREY=-1",
    "PREPROC.BRIGHTNESS=1.1", "PREPROC.CONTRAST=-0.5", "PREPROC.SATURATION=1.0", "PREPROC.HUE=200",
    "PREPROC.RANDOM_CROP_PROBABILITY=3",
    "PREPROC.JITTER_SIZE=-1", "PREPROC.JITTER_SCALE=(2.0, 0.1)", "PREPROC.JITTER_SCALE=(0, 1)",
    "PREPROC.COPY_PASTE_SCALE=(1,)", "PREPROC.ASPECT_LIMITS=(2.0, 0.5)", "PREPROC.TRAIN_SHORT_EDGES=(640, 1400)",
    "PREPROC.TRAIN_SHORT_EDGES=(640, 'x')", "PREPROC.TRAIN_SHORT_EDGES=(0,)", "PREPROC.RANDOM_CROP=(0.5,)",
    "PREPROC.RANDOM_CROP=(0.5, 600)", "PREPROC.RANDOM_CROP=(600, 384)", "PREPROC.RANDOM_CROP=(0, 1)",
    "PREPROC.RANDOM_CROP=('a', 'b')", "PREPROC.RANDOM_CROP=0.5,True",
    "BACKBONE.RESNEXT_GROUPS=0", "BACKBONE.RESNEXT_WIDTH=0",
])
def test_a_value_that_cannot_work_is_refused_with_key_and_value(cfg, word):
    cfg.update_args([word])
    message = message_of(finalize_configs, cfg, True)
    key, _, value = word.partition("=")
    assert f"{key}=" in message
    assert value in message or f"{key}={cfg.flatten()[key]}" in message


@pytest.mark.parametrize("word", [
    "PREPROC.RANDOM_CROP=(0.3, 1)", "PREPROC.RANDOM_CROP=(384, 600)", "PREPROC.RANDOM_CROP=(1, 1)",
    "PREPROC.TRAIN_SHORT_EDGES=(640, 800)", "PREPROC.JITTER_SIZE=1024", "PREPROC.ASPECT_CROPPING=True"])
def test_augmentation_that_can_work_is_taken(cfg, word):
    cfg.update_args([word])
    finalize_configs(cfg, True)


def test_a_short_edge_beyond_the_longest_edge_is_refused(cfg):
    cfg.update_args(["PREPROC.TRAIN_SHORT_EDGE_SIZE=(800, 2000)"])
    message = message_of(finalize_configs, cfg, True)
    assert "PREPROC.TRAIN_SHORT_EDGE_SIZE=2000" in message and "PREPROC.MAX_SIZE=1333" in message


@pytest.mark.parametrize("word", [
    "BACKBONE.WIDTH=0", "BACKBONE.WIDTH=40", "BACKBONE.RESNEXT_WIDTH=5", "FPN.NUM_CHANNEL=0", "FPN.NUM_CHANNEL=100",
    "PREPROC.PIXEL_MEAN=(1.0, 2.0)",
    "PREPROC.PIXEL_STD=(0.0, 1.0, 1.0)", "FRCNN.BBOX_REG_WEIGHTS=(10.0, 5.0)", "RPN.ANCHOR_RATIOS=()",
    "RPN.TEST_PER_LEVEL_NMS_TOPK=0",
    "TRAIN.NUM_GPUS=-1",
])
def test_a_value_that_no_network_with_group_norm_can_be_built_with_is_refused(cfg, word):
    cfg.update_args(["BACKBONE.NORM=GN", "FPN.NORM=GN", word])
    assert word.partition("=")[0] in message_of(finalize_configs, cfg, True)


def test_a_group_of_channels_is_a_whole_number_of_them_at_any_width(cfg):
    cfg.update_args(["BACKBONE.WIDTH=32", "BACKBONE.RESNEXT_WIDTH=5"])
    assert message_of(finalize_configs, cfg, False).endswith(
        "BACKBONE.RESNEXT_WIDTH=5 is no whole number of channels at BACKBONE.WIDTH=32; take a multiple of 2")


def test_the_schedule_does_not_matter_without_training(cfg):
    cfg.TRAIN.LR_SCHEDULE = ()
    finalize_configs(cfg, is_training=False)
