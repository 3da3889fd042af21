"""Configs of Detectron, of Detectron.pytorch, and of its fork with IoU and GIoU losses (generalized-iou)."""
import math
import re

from settings.dialects import detectron_keys as keys, shared


def translate(theirs):
    """Set our keys from a Theirs."""
    theirs.check(keys.ALWAYS_FIXED)
    theirs.ours.update({**shared.ALWAYS, "RPN.SMOOTH_L1_BETA": 1 / 9, "FRCNN.SMOOTH_L1_BETA": 1.0,
                        "FRCNN.POOL_SHIFTED": False,
                        "FRCNN.MAX_BOX_GROWTH": round(math.exp(min(theirs["BBOX_XFORM_CLIP"], 100)), 6)})
    theirs.copy(keys.COPIED)
    for key, part in {"MODEL.LOSS_TYPE": "FRCNN", "MODEL.RPN_LOSS_TYPE": "RPN"}.items():
        theirs.ours[f"{part}.LOSS_TYPE"] = theirs.choose(key, shared.LOSSES, "losses of boxes")
    _translate_body(theirs)
    _translate_box_head(theirs)
    _translate_other_heads(theirs)
    _translate_pooling(theirs)
    _translate_proposals(theirs)
    _translate_solver(theirs)
    _translate_data(theirs)
    theirs.note_ignored()
    theirs.note_default("RPN.ASPECT_RATIOS" if not theirs.ours["MODE_FPN"] else "FPN.RPN_ASPECT_RATIOS",
                        "the same, but sides of anchors are not rounded")


def _translate_body(theirs):
    body, ours = theirs["MODEL.CONV_BODY"], theirs.ours
    match = re.fullmatch(r"(?:FPN\.(?:add_)?fpn_ResNet(?P<fpn>50|101|152)_conv5_(?P<p2>P2only_)?body"
                         r"|ResNet\.(?:add_)?ResNet(?P<c4>50|101|152)_conv4_body"
                         r"|VGG16\.(?:add_)?(?P<vgg>VGG16)_conv5_body)", body)
    if not match:
        raise theirs.lacks("MODEL.CONV_BODY", "there are FPN.fpn_ResNet50_conv5_body, …_P2only_body and "
                           "ResNet.ResNet50_conv4_body, of 50, 101 or 152, and VGG16.VGG16_conv5_body")
    ours["MODE_FPN"], ours["FPN.P2_ONLY"] = match["fpn"] is not None, match["p2"] is not None
    ours["BACKBONE.NAME"] = "VGG16" if match["vgg"] else "ResNet"
    ours["FPN.CASCADE"] = False
    if not match["vgg"]:
        ours["BACKBONE.RESNET_NUM_BLOCKS"] = shared.BLOCKS[match["fpn"] or match["c4"]]
    _translate_norms(theirs)
    shared.set_freeze_at(theirs, "RESNETS.FREEZE_AT" if "RESNETS.FREEZE_AT" in theirs.said else "TRAIN.FREEZE_AT")
    is_pyramid = ours["MODE_FPN"] and not match["p2"]
    if match["fpn"]:
        theirs.check(keys.PYRAMID_FIXED)
    for key in ("FPN.MULTILEVEL_ROIS", "FPN.MULTILEVEL_RPN"):
        if match["fpn"] and theirs[key] != is_pyramid:
            raise theirs.lacks(key, f"the body is {body}; make it {is_pyramid}")
    _translate_anchors(theirs, is_pyramid)


def _translate_norms(theirs):
    parts = ("TRANS_FUNC", "STEM_FUNC", "SHORTCUT_FUNC")
    names = {theirs[f"RESNETS.{part}"] for part in parts}
    with_bn = {keys.DEFAULTS[f"RESNETS.{part}"] for part in parts}
    with_gn = {"bottleneck_gn_transformation", "basic_gn_stem", "basic_gn_shortcut"}
    if names not in (with_bn, with_gn):
        raise theirs.lacks("RESNETS.TRANS_FUNC", f"a body has fixed norms or GN, not {', '.join(sorted(names))}")
    shared.set_norm(theirs, "GN" if names == with_gn or theirs["RESNETS.USE_GN"] else "FreezeBN")
    theirs.ours["FPN.NORM"] = "GN" if theirs["FPN.USE_GN"] else "None"


def _translate_anchors(theirs, is_pyramid):
    ours = theirs.ours
    if is_pyramid:
        ours["RPN.ANCHOR_SIZES"] = tuple(theirs["FPN.RPN_ANCHOR_START_SIZE"] * 2 ** i for i in range(5))
        ours["RPN.ANCHOR_RATIOS"] = theirs.numbers("FPN.RPN_ASPECT_RATIOS")
        return
    stride = 4 if ours["MODE_FPN"] else 16
    if theirs["RPN.STRIDE"] != stride:
        raise theirs.lacks("RPN.STRIDE", f"the body is {theirs['MODEL.CONV_BODY']}; make it {stride}")
    ours["RPN.ANCHOR_SIZES"] = theirs.numbers("RPN.SIZES")
    ours["RPN.ANCHOR_RATIOS"] = theirs.numbers("RPN.ASPECT_RATIOS")
    if ours["MODE_FPN"]:
        return
    channels = 512 if ours["BACKBONE.NAME"] == "VGG16" else 1024
    ours["RPN.HEAD_DIM"] = channels if theirs["RPN.OUT_DIM_AS_IN_DIM"] else theirs["RPN.OUT_DIM"]


def _translate_box_head(theirs):
    ours, head = theirs.ours, re.sub(r"^.*?\.(add_)?", "", theirs["FAST_RCNN.ROI_BOX_HEAD"])
    if ours["MODE_FPN"]:
        wanted = (*keys.BOX_HEADS,)
    else:
        wanted = ("VGG16_roi_fc_head",) if ours["BACKBONE.NAME"] == "VGG16" else ("ResNet_roi_conv5_head",)
    if head not in wanted:
        raise theirs.lacks("FAST_RCNN.ROI_BOX_HEAD", f"the body is {theirs['MODEL.CONV_BODY']}; take "
                             f"{' or '.join(wanted)}")
    resolution = 7 if head != "ResNet_roi_conv5_head" else 14
    theirs.want("FAST_RCNN.ROI_XFORM_RESOLUTION", (resolution,), "this head takes so many bins")
    if head == "VGG16_roi_fc_head":
        theirs.note_default("FAST_RCNN.ROI_BOX_HEAD", "the same, but half of its outputs are dropped in training")
    if head in keys.BOX_HEADS:
        ours["FPN.FRCNN_HEAD_FUNC"] = keys.BOX_HEADS[head]
        ours["FPN.HEAD_NORM_FIRST"] = "gn" in head
    if "Xconv" in head:
        theirs.want("FAST_RCNN.NUM_STACKED_CONVS", (4,), "this head has four convolutions")


def _translate_other_heads(theirs):
    ours = theirs.ours
    if ours["MODE_MASK"]:
        _translate_mask_head(theirs)
    else:
        theirs.note("MRCNN.", "MODEL.MASK_ON is not set")
    if ours["MODE_KEYPOINT"]:
        theirs.check(keys.KEYPOINT_FIXED)
        theirs.copy({"KRCNN.NUM_STACKED_CONVS": "KRCNN.NUM_CONVS", "KRCNN.CONV_HEAD_DIM": "KRCNN.HEAD_DIM",
                     "KRCNN.LOSS_WEIGHT": "KRCNN.LOSS_WEIGHT",
                     "KRCNN.NORMALIZE_BY_VISIBLE_KEYPOINTS": "KRCNN.NORMALIZE_BY_VISIBLE"})
    else:
        theirs.note("KRCNN.", "MODEL.KEYPOINTS_ON is not set")


def _translate_mask_head(theirs):
    theirs.check(keys.MASK_FIXED)
    ours = theirs.ours
    head = theirs["MRCNN.ROI_MASK_HEAD"].rsplit("_head_", 1)[-1]
    if head not in keys.MASK_HEADS or ours["MODE_FPN"] and head.startswith("v0"):
        raise theirs.lacks("MRCNN.ROI_MASK_HEAD", f"the body is {theirs['MODEL.CONV_BODY']}; take "
                           "mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs, …_v1up or …_v1up4convs_gn, or on one level "
                           "…_v0upshare or …_v0up")
    is_gn = head.endswith("_gn")
    ours["MRCNN.HEAD"] = head.removesuffix("_gn")
    ours["FPN.MRCNN_HEAD_FUNC"] = "maskrcnn_up4conv_gn_head" if is_gn else "maskrcnn_up4conv_head"
    ours["FPN.HEAD_NORM_FIRST"] = is_gn or ours.get("FPN.HEAD_NORM_FIRST", False)
    ours["MRCNN.HEAD_DIM"] = theirs["MRCNN.DIM_REDUCED"]
    ours["MRCNN.CLASS_AGNOSTIC"] = not theirs["MRCNN.CLS_SPECIFIC_MASK"]
    size = 14 if head.startswith("v0") else 28
    theirs.want("MRCNN.RESOLUTION", (size,), f"masks of {head} have {size} x {size} pixels")


def _translate_pooling(theirs):
    ours = theirs.ours
    parts = ["FAST_RCNN"] + ["MRCNN"] * (ours["MODE_MASK"] and ours["MRCNN.HEAD"] != "v0upshare") \
        + ["KRCNN"] * ours["MODE_KEYPOINT"]
    theirs.choose("FAST_RCNN.ROI_XFORM_METHOD", keys.POOLINGS, "ways to pool RoIs")
    method = theirs.same([f"{part}.ROI_XFORM_METHOD" for part in parts], "RoIs of all heads are pooled alike")
    ours["FRCNN.POOLING"] = keys.POOLINGS[method]
    if method == "RoIAlign":
        ours["FRCNN.POOL_SAMPLES"] = theirs.same(
            [f"{part}.ROI_XFORM_SAMPLING_RATIO" for part in parts], "RoIs of all heads are pooled alike")
    if method == "RoICrop":
        ours["FRCNN.POOL_SAMPLES"] = 2 if theirs["CROP_RESIZE_WITH_MAX_POOL"] else 1


def _translate_proposals(theirs):
    ours = theirs.ours
    ours["RPN.PROPOSAL_NMS_THRESH"] = theirs.same(
        ["TRAIN.RPN_NMS_THRESH", "TEST.RPN_NMS_THRESH"], "NMS of proposals is the same in training and tests")
    ours["RPN.MIN_SIZE"] = 0.0
    is_pyramid = ours["MODE_FPN"] and not ours["FPN.P2_ONLY"]
    for phase in ("TRAIN", "TEST"):
        before, after = theirs[f"{phase}.RPN_PRE_NMS_TOP_N"], theirs[f"{phase}.RPN_POST_NMS_TOP_N"]
        if not is_pyramid:
            shared.set_joint_proposals(theirs, phase, before, after)
            continue
        images = theirs.positive("TRAIN.IMS_PER_BATCH") if phase == "TRAIN" else 1
        shared.set_pyramid_proposals(theirs, phase, before, max(after // images, 1))
        if images > 1:
            theirs.note_default(f"{phase}.RPN_POST_NMS_TOP_N",
                                f"of {images} images together there; here each has {after // images}")
    for key in ("TRAIN.BG_THRESH_HI", "TRAIN.BBOX_THRESH"):
        if theirs[key] != theirs["TRAIN.FG_THRESH"]:
            raise theirs.lacks(key, f"it must be TRAIN.FG_THRESH={theirs['TRAIN.FG_THRESH']}")


def _translate_solver(theirs):
    batch = theirs.positive("NUM_GPUS") * theirs.positive("TRAIN.IMS_PER_BATCH")
    shared.set_schedule(theirs, batch, _drops(theirs), theirs.positive("SOLVER.MAX_ITER"))
    shared.set_warm_up(theirs, "SOLVER.WARM_UP_ITERS", "SOLVER.WARM_UP_FACTOR")
    theirs.ours["TRAIN.BIAS_LR_FACTOR"] = 2.0 if theirs["SOLVER.BIAS_DOUBLE_LR"] else 1.0
    theirs.ours["TRAIN.WEIGHT_DECAY_BIAS"] = theirs["SOLVER.WEIGHT_DECAY"] * theirs["SOLVER.BIAS_WEIGHT_DECAY"]
    theirs.note("NUM_GPUS", shared.FROM_BATCH)
    shared.periods(theirs, {"TRAIN.SNAPSHOT_ITERS": "TRAIN.CHECKPOINT_PERIOD"})


def _drops(theirs):
    """Returns: list of the steps at which the rate falls tenfold"""
    policy, end = theirs["SOLVER.LR_POLICY"], theirs["SOLVER.MAX_ITER"]
    if policy == "steps_with_lrs":
        rates = theirs.numbers("SOLVER.LRS", len(theirs.numbers("SOLVER.STEPS", kinds=(int,))))
        expected = [theirs["SOLVER.BASE_LR"] / 10 ** i for i in range(len(rates))]
        if not all(math.isclose(rate, other) for rate, other in zip(rates, expected)):
            raise theirs.lacks("SOLVER.LRS", "the rate is SOLVER.BASE_LR and falls tenfold")
    elif theirs["SOLVER.GAMMA"] != 0.1:
        raise theirs.lacks("SOLVER.GAMMA", "the rate falls tenfold, by 0.1")
    if policy in ("steps_with_decay", "steps_with_lrs"):
        steps = theirs.numbers("SOLVER.STEPS", kinds=(int,))
        if steps[0] != 0:
            raise theirs.refusal("SOLVER.STEPS", "must begin with 0")
        return list(steps[1:])
    if policy == "step":
        size = theirs.positive("SOLVER.STEP_SIZE")
        if end > 100 * size:
            raise theirs.refusal("SOLVER.STEP_SIZE", "lets the rate fall a hundred times; take a larger one")
        return list(range(size, end, size))
    raise theirs.lacks("SOLVER.LR_POLICY", "there are steps_with_decay, steps_with_lrs and step")


def _translate_data(theirs):
    ours = theirs.ours
    shared.set_short_edges(theirs, theirs.numbers("TRAIN.SCALES", kinds=(int,)))
    shared.set_max_size(theirs, "TRAIN.MAX_SIZE", "TEST.MAX_SIZE")
    # which earlier versions have for TEST.SCALE
    scale = theirs.numbers("TEST.SCALES", 1, (int,))[0] if theirs["TEST.SCALES"] else theirs.positive("TEST.SCALE")
    ours["PREPROC.TEST_SHORT_EDGE_SIZE"] = scale
    shared.set_pixels(theirs, theirs.numbers("PIXEL_MEANS", 3), (1.0, 1.0, 1.0))
    ours["PREPROC.FLIP"], ours["PREPROC.FLIP_UP_DOWN"] = 0.5 if theirs["TRAIN.USE_FLIPPED"] else 0.0, 0.0
    ours["PREPROC.ASPECT_LIMITS"] = (theirs["TRAIN.ASPECT_LO"], theirs["TRAIN.ASPECT_HI"])
    shared.set_datasets(theirs, "TRAIN.DATASETS", "TEST.DATASETS")
    for key in ("RESNETS.IMAGENET_PRETRAINED_WEIGHTS", "TRAIN.WEIGHTS"):
        shared.set_weights(theirs, key)
    theirs.copy_said({"DATA_LOADER.NUM_THREADS": "DATA.NUM_WORKERS", "RNG_SEED": "TRAIN.SEED",
                      "VIS_TH": "TEST.RESULT_SCORE_THRESH_VIS"})
