"""What of maskrcnn-benchmark's configs cannot be had here."""
import pytest

from config import new_config
from tiny import message_of
from yaml_configs import MB_C4_VOC, MB_FPN, MB_KEYPOINT, MB_MASK, write_yaml

MASK, KEYPOINT = {**MB_FPN, **MB_MASK}, {**MB_FPN, **MB_KEYPOINT}
REFUSED = [
    (MB_FPN, "MODEL.META_ARCHITECTURE", "RetinaNet"), (MB_FPN, "MODEL.RETINANET_ON", True),
    (MB_FPN, "MODEL.RPN_ONLY", True),
    (MB_FPN, "MODEL.BACKBONE.CONV_BODY", "FBNet"), (MB_FPN, "MODEL.BACKBONE.CONV_BODY", "R-50-FPN-RETINANET"),
    (MB_FPN, "MODEL.BACKBONE.CONV_BODY", "R-50-C4"), (MB_FPN, "MODEL.CLS_AGNOSTIC_BBOX_REG", True),
    (MB_FPN, "MODEL.RESNETS.STAGE_WITH_DCN", (False, True, True, True)), (MB_FPN, "MODEL.RPN.USE_FPN", False),
    (MB_FPN, "MODEL.RPN.ANCHOR_STRIDE", (8, 16, 32, 64, 128)), (MB_FPN, "MODEL.RESNETS.TRANS_FUNC", "BottleneckWithGN"),
    (MB_FPN, "MODEL.ROI_BOX_HEAD.USE_GN", True), (MB_FPN, "MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR", "Other"),
    (MB_FPN, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 14), (MB_FPN, "MODEL.BACKBONE.FREEZE_CONV_BODY_AT", 4),
    (MB_FPN, "MODEL.ROI_HEADS.BG_IOU_THRESHOLD", 0.4), (MB_FPN, "SOLVER.GAMMA", 0.2), (MB_FPN, "INPUT.HUE", 0.1),
    (MB_FPN, "SOLVER.WARMUP_METHOD", "constant"), (MB_FPN, "DTYPE", "bfloat16"), (MB_FPN, "SOLVER.IMS_PER_BATCH", 0),
    (MB_FPN, "INPUT.MIN_SIZE_TEST", 0), (MB_FPN, "DATASETS.TRAIN", (5,)),
    (MASK, "MODEL.ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR", True),
    (MASK, "MODEL.ROI_MASK_HEAD.CONV_LAYERS", (256, 128)),
    (MASK, "MODEL.ROI_MASK_HEAD.CONV_LAYERS", (256,) * 3), (MASK, "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO", 0),
    (MASK, "MODEL.ROI_MASK_HEAD.RESOLUTION", 14), (KEYPOINT, "MODEL.ROI_KEYPOINT_HEAD.CONV_LAYERS", (512, 256)),
    (KEYPOINT, "MODEL.ROI_KEYPOINT_HEAD.RESOLUTION", 28),
    (MB_C4_VOC, "MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR", "FPN2MLPFeatureExtractor")]


@pytest.mark.parametrize("said, key, value", REFUSED, ids=[f"{key} {str(value)[:20]}" for _, key, value in REFUSED])
def test_what_would_train_something_else_is_refused(tmp_path, said, key, value):
    word = write_yaml(tmp_path / "their.yaml", {**said, key: list(value) if isinstance(value, tuple) else value})
    message = message_of(new_config().update_args, [word])
    # of a body of the other kind what does not fit it is named
    assert f"their.yaml: {key}={value!r}" in message or value == "R-50-C4" and "MODEL.RPN.USE_FPN=True" in message


@pytest.mark.parametrize("layers, shared, expected", [((256, 256), False, "v1up"), ((128,) * 4, False, "v1up4convs")])
def test_a_mask_head_has_two_or_four_convolutions(tmp_path, layers, shared, expected):
    cfg = new_config()
    cfg.update_args([write_yaml(tmp_path / "their.yaml", {**MASK, "MODEL.ROI_MASK_HEAD.CONV_LAYERS": list(layers)})])
    assert (cfg.MRCNN.HEAD, cfg.MRCNN.HEAD_DIM) == (expected, layers[-1])


@pytest.mark.parametrize("is_shared, expected", [(True, "v0upshare"), (False, "v0up")])
def test_on_one_level_conv5_is_the_box_heads_or_the_mask_heads_own(tmp_path, is_shared, expected):
    cfg, part = new_config(), "MODEL.ROI_MASK_HEAD."
    cfg.update_args([write_yaml(tmp_path / "their.yaml", {
        **MB_C4_VOC, "MODEL.MASK_ON": True, part + "SHARE_BOX_FEATURE_EXTRACTOR": is_shared})])
    assert (cfg.MRCNN.HEAD, cfg.MRCNN.HEAD_DIM, cfg.MODE_MASK) == (expected, 256, True)


def test_a_limit_of_a_level_that_there_is_not_here_is_told(tmp_path, capsys):
    new_config().update_args([write_yaml(tmp_path / "their.yaml", {**MB_FPN, "MODEL.RPN.POST_NMS_TOP_N_TRAIN": 500})])
    assert "a level has no limit of its own behind NMS" in capsys.readouterr().err
