"""What of Detectron's configs, and of Detectron.pytorch's, cannot be had here."""
import pytest

from config import new_config
from tiny import message_of
from yaml_configs import D_C4, D_FPN, D_KEYPOINT, D_MASK, D_VGG, DP_FPN, write_yaml

MASK, KEYPOINT = {**D_FPN, **D_MASK}, {**D_FPN, **D_KEYPOINT}
REFUSED = [
    (D_FPN, "MODEL.TYPE", "retinanet"), (D_FPN, "MODEL.RPN_ONLY", True), (D_FPN, "RETINANET.RETINANET_ON", True),
    (D_FPN, "MODEL.FASTER_RCNN", False), (D_FPN, "TRAIN.PROPOSAL_FILES", ("a.pkl",)),
    (D_FPN, "MODEL.CLS_AGNOSTIC_BBOX_REG", True), (D_FPN, "MODEL.CONV_BODY", "ResNet.add_ResNet50_conv5_body"),
    (D_FPN, "MODEL.CONV_BODY", "FPN.add_fpn_ResNet18_conv5_body"), (D_FPN, "MODEL.CONV_BODY", ""),
    (D_FPN, "FPN.FPN_ON", False), (D_FPN, "FPN.MULTILEVEL_RPN", False), (D_FPN, "FPN.RPN_MAX_LEVEL", 5),
    (D_FPN, "FPN.EXTRA_CONV_LEVELS", True), (D_FPN, "RESNETS.RES5_DILATION", 2),
    (D_FPN, "RESNETS.TRANS_FUNC", "bottleneck_gn_transformation"), (D_FPN, "GROUP_NORM.NUM_GROUPS", 16),
    (D_FPN, "TRAIN.FREEZE_AT", 3), (D_FPN, "TRAIN.FREEZE_CONV_BODY", True),
    (D_FPN, "FAST_RCNN.ROI_BOX_HEAD", "ResNet.add_ResNet_roi_conv5_head"),
    (D_FPN, "FAST_RCNN.ROI_XFORM_RESOLUTION", 14),
    (D_FPN, "FAST_RCNN.ROI_XFORM_METHOD", "PSRoIPool"), (D_FPN, "TRAIN.BG_THRESH_HI", 0.4),
    (D_FPN, "TRAIN.BG_THRESH_LO", 0.1),
    (D_FPN, "TRAIN.RPN_MIN_SIZE", 16), (D_FPN, "TRAIN.GT_MIN_AREA", 100), (D_FPN, "TEST.RPN_NMS_THRESH", 0.5),
    (D_FPN, "SOLVER.LR_POLICY", "cosine"), (D_FPN, "SOLVER.GAMMA", 0.5), (D_FPN, "SOLVER.STEPS", (60000, 80000)),
    (D_FPN, "SOLVER.WARM_UP_METHOD", "constant"), (D_FPN, "SOLVER.WEIGHT_DECAY_GN", 1e-4),
    (D_FPN, "SOLVER.MAX_ITER", 0), (D_FPN, "SOLVER.MAX_ITER", "many"), (D_FPN, "SOLVER.BASE_LR", None),
    (D_FPN, "SOLVER.BASE_LR", float("inf")), (D_FPN, "NUM_GPUS", 10 ** 400), (D_FPN, "SOLVER.SCALE_MOMENTUM", False),
    (D_FPN, "TRAIN.SCALES", ("a",)), (D_FPN, "PIXEL_MEANS", (1, 2)), (D_FPN, "FPN.FPN_ON", "yes"),
    (DP_FPN, "SOLVER.TYPE", "Adam"), (DP_FPN, "MODEL.LOSS_TYPE", "l2"), (DP_FPN, "MODEL.UNSUPERVISED_POSE", True),
    (DP_FPN, "RPN.CLS_ACTIVATION", "softmax"), (DP_FPN, "RESNETS.FREEZE_AT", 5),
    (MASK, "MRCNN.DILATION", 2), (MASK, "MRCNN.ROI_MASK_HEAD", "mask_rcnn_heads.mask_rcnn_fcn_head_v0upshare"),
    (MASK, "MRCNN.RESOLUTION", 14), (MASK, "MRCNN.ROI_XFORM_SAMPLING_RATIO", 0), (MASK, "MRCNN.USE_FC_OUTPUT", True),
    (MASK, "MRCNN.WEIGHT_LOSS_MASK", 2.0), (KEYPOINT, "KRCNN.ROI_KEYPOINTS_HEAD", "head_builder.add_other_head"),
    (KEYPOINT, "KRCNN.USE_DECONV", True), (KEYPOINT, "KRCNN.HEATMAP_SIZE", 112), (D_C4, "RPN.STRIDE", 8),
    (D_C4, "FAST_RCNN.ROI_BOX_HEAD", "fast_rcnn_heads.add_roi_2mlp_head"), (D_VGG, "SOLVER.STEP_SIZE", 1)]


@pytest.mark.parametrize("said, key, value", REFUSED, ids=[f"{key} {str(value)[:20]}" for _, key, value in REFUSED])
def test_what_would_train_something_else_is_refused(tmp_path, said, key, value):
    word = write_yaml(tmp_path / "their.yaml", {**said, key: list(value) if isinstance(value, tuple) else value})
    message = message_of(new_config().update_args, [word])
    assert f"their.yaml: {key}=" in message
    assert str(value)[:20] in message


def test_a_default_that_cannot_be_had_is_refused_too(tmp_path):
    said = {key: value for key, value in MASK.items() if key != "MRCNN.DILATION"}
    message = message_of(new_config().update_args, [write_yaml(tmp_path / "their.yaml", said)])
    assert ("MRCNN.DILATION=2 (the default of Detectron) cannot be had here: convolutions are not dilated; it can be 1"
            in message)


def test_rates_for_each_step_may_be_what_the_rate_falls_to(tmp_path):
    cfg, said = new_config(), {**D_FPN, "SOLVER.LR_POLICY": "steps_with_lrs"}
    cfg.update_args([write_yaml(tmp_path / "their.yaml", {**said, "SOLVER.LRS": [0.02, 0.002, 0.0002]})])
    assert cfg.TRAIN.LR_SCHEDULE == (120000, 160000, 180000)
    word = write_yaml(tmp_path / "their.yaml", {**said, "SOLVER.LRS": [0.02, 0.01, 0.001]})
    assert "SOLVER.LRS=" in message_of(cfg.update_args, [word])


def test_steps_behind_the_last_one_do_not_count(tmp_path):
    cfg = new_config()
    cfg.update_args([write_yaml(tmp_path / "their.yaml", {**D_FPN, "SOLVER.MAX_ITER": 70000})])
    assert cfg.TRAIN.LR_SCHEDULE == (120000, 140000)
