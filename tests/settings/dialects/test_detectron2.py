"""What of Detectron2's configs cannot be had here."""
import pytest

from config import new_config
from tiny import message_of
from yaml_configs import D2_C4_BASE, D2_FPN_BASE, D2_MASK, write_yaml

MASK, KEYPOINT = {**D2_FPN_BASE, **D2_MASK}, {**D2_FPN_BASE, "MODEL.KEYPOINT_ON": True}
CASCADE = {**D2_FPN_BASE, "MODEL.ROI_HEADS.NAME": "CascadeROIHeads"}
REFUSED = [
    (D2_FPN_BASE, "VERSION", 1), (D2_FPN_BASE, "MODEL.META_ARCHITECTURE", "PanopticFPN"),
    (D2_FPN_BASE, "MODEL.META_ARCHITECTURE", "RetinaNet"), (D2_FPN_BASE, "MODEL.META_ARCHITECTURE", "ProposalNetwork"),
    (D2_FPN_BASE, "MODEL.PROPOSAL_GENERATOR.NAME", "RRPN"), (D2_FPN_BASE, "MODEL.LOAD_PROPOSALS", True),
    (D2_FPN_BASE, "MODEL.ANCHOR_GENERATOR.NAME", "RotatedAnchorGenerator"),
    (D2_FPN_BASE, "MODEL.ROI_HEADS.NAME", "RROIHeads"), (D2_FPN_BASE, "MODEL.ROI_HEADS.NAME", "PointRendROIHeads"),
    (D2_FPN_BASE, "MODEL.BACKBONE.NAME", "build_retinanet_resnet_fpn_backbone"),
    (D2_FPN_BASE, "MODEL.RESNETS.DEPTH", 18),
    (D2_FPN_BASE, "MODEL.RESNETS.DEFORM_ON_PER_STAGE", (False, True, True, True)),
    (D2_FPN_BASE, "MODEL.RESNETS.RES5_DILATION", 2), (D2_FPN_BASE, "MODEL.RESNETS.NORM", "BN"),
    (D2_FPN_BASE, "MODEL.RPN.IN_FEATURES", ("res5",)), (D2_FPN_BASE, "MODEL.RPN.LOSS_WEIGHT", 2.0),
    (D2_FPN_BASE, "MODEL.RPN.BBOX_REG_WEIGHTS", (10, 10, 5, 5)), (D2_FPN_BASE, "MODEL.RPN.CONV_DIMS", (64, 64)),
    (D2_FPN_BASE, "MODEL.RPN.BBOX_REG_LOSS_TYPE", "iou"), (D2_FPN_BASE, "MODEL.FPN.FUSE_TYPE", "avg"),
    (D2_FPN_BASE, "MODEL.ANCHOR_GENERATOR.SIZES", ((32, 64),)),
    (D2_FPN_BASE, "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", ()),
    (D2_FPN_BASE, "MODEL.ROI_HEADS.IOU_THRESHOLDS", (0.4, 0.5)), (D2_FPN_BASE, "MODEL.ROI_BOX_HEAD.NUM_CONV", 2),
    (D2_FPN_BASE, "MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignRotated"),
    (D2_FPN_BASE, "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
    (CASCADE, "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", False),
    (D2_FPN_BASE, "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True), (D2_FPN_BASE, "MODEL.BACKBONE.FREEZE_AT", 5),
    (D2_FPN_BASE, "SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR"), (D2_FPN_BASE, "SOLVER.NESTEROV", True),
    (D2_FPN_BASE, "SOLVER.GAMMA", 0.05), (D2_FPN_BASE, "SOLVER.WEIGHT_DECAY_NORM", 1e-4),
    (D2_FPN_BASE, "DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler"),
    (D2_FPN_BASE, "INPUT.FORMAT", "YUV-BT.601"),
    (D2_FPN_BASE, "INPUT.MIN_SIZE_TEST", 0), (D2_FPN_BASE, "INPUT.RANDOM_FLIP", "both"),
    (MASK, "MODEL.ROI_MASK_HEAD.NAME", "CoarseMaskHead"), (MASK, "MODEL.ROI_MASK_HEAD.NUM_CONV", 8),
    (MASK, "MODEL.ROI_MASK_HEAD.POOLER_TYPE", "ROIAlign"), (MASK, "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 7),
    (KEYPOINT, "MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE", 5), (D2_C4_BASE, "MODEL.RPN.IN_FEATURES", ("res5",)),
    (D2_C4_BASE, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 7)]


@pytest.mark.parametrize("said, key, value", REFUSED, ids=[f"{key} {str(value)[:20]}" for _, key, value in REFUSED])
def test_what_would_train_something_else_is_refused(tmp_path, said, key, value):
    word = write_yaml(tmp_path / "their.yaml", {**said, key: list(value) if isinstance(value, tuple) else value})
    assert f"their.yaml: {key}={value!r}" in message_of(new_config().update_args, [word])


@pytest.mark.parametrize("said, part", [
    ({"SOLVER.CLIP_GRADIENTS.ENABLED": True}, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE='value' (the default of Detectron2)"),
    ({"INPUT.CROP.ENABLED": True, "INPUT.CROP.SIZE": [0.5, 0.7]}, "INPUT.CROP.SIZE=(0.5, 0.7)"),
    ({"MODEL.ROI_BOX_CASCADE_HEAD.IOUS": [0.6, 0.7, 0.8], "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
      "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True}, "MODEL.ROI_BOX_CASCADE_HEAD.IOUS=")])
def test_what_only_counts_with_another_key_is_refused_with_it(tmp_path, said, part):
    assert part in message_of(new_config().update_args, [write_yaml(tmp_path / "their.yaml", {**D2_FPN_BASE, **said})])


@pytest.mark.parametrize("said, key, expected", [
    ({"SOLVER.CLIP_GRADIENTS.ENABLED": True, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "full_model",
      "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 5.0}, "TRAIN.GRADIENT_CLIP", 5.0),
    ({"SOLVER.REFERENCE_WORLD_SIZE": 4}, "TRAIN.IMS_PER_GPU", 4),
    ({"SOLVER.IMS_PER_BATCH": 2}, "TRAIN.IMS_PER_GPU", 1),
    ({"SOLVER.IMS_PER_BATCH": 2}, "TRAIN.BASE_LR", 0.08),
    ({"SOLVER.STEPS": []}, "TRAIN.LR_SCHEDULE", (180000,)),
    ({"SOLVER.WEIGHT_DECAY_BIAS": 0.0}, "TRAIN.WEIGHT_DECAY_BIAS", 0.0),
    ({"SEED": 7}, "TRAIN.SEED", 7), ({"SEED": -1}, "TRAIN.SEED", 0),
    ({"INPUT.RANDOM_FLIP": "vertical"}, "PREPROC.FLIP_UP_DOWN", 0.5),
    ({"INPUT.CROP.ENABLED": True, "INPUT.CROP.TYPE": "absolute_range", "INPUT.CROP.SIZE": [384, 600]},
     "PREPROC.RANDOM_CROP", (384, 600)),
    ({"MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": "giou"}, "FRCNN.LOSS_TYPE", "giou"),
    ({"MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIPool"}, "FRCNN.POOLING", "RoIPool"),
    ({"MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign"}, "FRCNN.POOL_SHIFTED", False),
    ({"MODEL.WEIGHTS": "weights/model_final.pkl"}, "BACKBONE.WEIGHTS", "weights/model_final.pkl"),
    ({"SOLVER.CHECKPOINT_PERIOD": 5000}, "TRAIN.CHECKPOINT_PERIOD", 10),
    ({"INPUT.MAX_SIZE_TEST": 1000}, "PREPROC.MAX_SIZE", 1333)])
def test_a_key_sets_what_it_means(tmp_path, said, key, expected):
    cfg = new_config()
    cfg.update_args([write_yaml(tmp_path / "their.yaml", {**D2_FPN_BASE, **said})])
    assert cfg.flatten()[key] == expected
