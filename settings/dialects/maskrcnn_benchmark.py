"""Configs of maskrcnn-benchmark."""
import re

from settings.dialects import maskrcnn_benchmark_keys as keys, shared


def translate(theirs):
    """Set our keys from a Theirs."""
    theirs.check(keys.ALWAYS_FIXED)
    theirs.ours.update({**shared.ALWAYS, "RPN.SMOOTH_L1_BETA": 1 / 9, "FRCNN.SMOOTH_L1_BETA": 1.0,
                        "RPN.LOSS_TYPE": "smooth_l1", "FRCNN.LOSS_TYPE": "smooth_l1", "FRCNN.POOL_SHIFTED": False})
    theirs.copy(keys.COPIED)
    _translate_body(theirs)
    _translate_box_head(theirs)
    _translate_other_heads(theirs)
    _translate_proposals(theirs)
    _translate_solver(theirs)
    _translate_data(theirs)
    theirs.note_ignored()
    theirs.note_default("MODEL.RPN.ASPECT_RATIOS", "the same, but sides of anchors are not rounded")


def _translate_body(theirs):
    ours, body = theirs.ours, theirs["MODEL.BACKBONE.CONV_BODY"]
    match = re.fullmatch(r"R-(50|101|152)-(C4|FPN)", body)
    if not match:
        raise theirs.lacks("MODEL.BACKBONE.CONV_BODY", "there are R-50, R-101 and R-152, with -C4 or -FPN")
    if any(theirs["MODEL.RESNETS.STAGE_WITH_DCN"]):
        raise theirs.lacks("MODEL.RESNETS.STAGE_WITH_DCN", "convolutions are not deformable; make all "
                             "False")
    ours.update({"MODE_FPN": match[2] == "FPN", "FPN.CASCADE": False, "FPN.P2_ONLY": False, "BACKBONE.NAME": "ResNet",
                 "BACKBONE.RESNET_NUM_BLOCKS": shared.BLOCKS[match[1]]})
    theirs.check(keys.PYRAMID_FIXED if ours["MODE_FPN"] else keys.C4_FIXED)
    functions = theirs["MODEL.RESNETS.TRANS_FUNC"], theirs["MODEL.RESNETS.STEM_FUNC"]
    norms = {("BottleneckWithFixedBatchNorm", "StemWithFixedBatchNorm"): "FreezeBN",
             ("BottleneckWithGN", "StemWithGN"): "GN"}
    if functions not in norms:
        raise theirs.lacks("MODEL.RESNETS.TRANS_FUNC", f"STEM_FUNC is {functions[1]}; a body has fixed norms or "
                             "GN throughout")
    shared.set_norm(theirs, "GN" if theirs["MODEL.BACKBONE.USE_GN"] else norms[functions])
    shared.set_freeze_at(theirs, "MODEL.BACKBONE.FREEZE_CONV_BODY_AT")
    ours["FPN.NORM"] = "GN" if theirs["MODEL.FPN.USE_GN"] else "None"
    # of which an earlier and a later version have one each
    key = "MODEL.RESNETS.BACKBONE_OUT_CHANNELS"
    channels = theirs[key if key in theirs.said else "MODEL.BACKBONE.OUT_CHANNELS"]
    ours["FPN.NUM_CHANNEL" if ours["MODE_FPN"] else "RPN.HEAD_DIM"] = channels


def _translate_box_head(theirs):
    ours, key = theirs.ours, "MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR"
    heads = {"FPN2MLPFeatureExtractor": "2fc", "FPNXconv1fcFeatureExtractor": "4conv1fc"} if ours["MODE_FPN"] \
        else {keys.C4_EXTRACTOR: ""}
    head, is_gn = theirs.choose(key, heads, "box heads"), theirs["MODEL.ROI_BOX_HEAD.USE_GN"]
    if is_gn and head != "4conv1fc":
        raise theirs.lacks("MODEL.ROI_BOX_HEAD.USE_GN", f"the head is {theirs[key]}; take "
                             "FPNXconv1fcFeatureExtractor")
    if head == "4conv1fc":
        theirs.want("MODEL.ROI_BOX_HEAD.NUM_STACKED_CONVS", (4,), "this head has four convolutions")
    if head:
        ours["FPN.FRCNN_HEAD_FUNC"] = f"fastrcnn_{head}_{'gn_' if is_gn else ''}head"
    ours["FPN.HEAD_NORM_FIRST"] = is_gn


def _translate_other_heads(theirs):
    ours, pooled = theirs.ours, ["MODEL.ROI_BOX_HEAD"]
    if ours["MODE_MASK"]:
        _translate_mask_head(theirs)
        pooled += ["MODEL.ROI_MASK_HEAD"] * (ours["MRCNN.HEAD"] != "v0upshare")
    else:
        theirs.note("MODEL.ROI_MASK_HEAD.", "MODEL.MASK_ON is not set")
    if ours["MODE_KEYPOINT"]:
        theirs.check(keys.KEYPOINT_FIXED)
        shared.set_keypoint_convs(theirs, "MODEL.ROI_KEYPOINT_HEAD.CONV_LAYERS")
        ours.update({"KRCNN.LOSS_WEIGHT": 1.0, "KRCNN.NORMALIZE_BY_VISIBLE": True})
        pooled.append("MODEL.ROI_KEYPOINT_HEAD")
    else:
        theirs.note("MODEL.ROI_KEYPOINT_HEAD.", "MODEL.KEYPOINT_ON is not set")
    ours["FRCNN.POOLING"] = "RoIAlign"
    ours["FRCNN.POOL_SAMPLES"] = theirs.same([f"{part}.POOLER_SAMPLING_RATIO" for part in pooled],
                                             "RoIs of all heads are pooled alike")


def _translate_mask_head(theirs):
    theirs.check(keys.MASK_FIXED)
    ours, part = theirs.ours, "MODEL.ROI_MASK_HEAD"
    is_pyramid, is_shared = ours["MODE_FPN"], theirs[f"{part}.SHARE_BOX_FEATURE_EXTRACTOR"]
    extractor = "MaskRCNNFPNFeatureExtractor" if is_pyramid else keys.C4_EXTRACTOR
    theirs.choose(f"{part}.FEATURE_EXTRACTOR", {extractor: None}, "mask heads on such a body")
    if is_pyramid and is_shared:
        raise theirs.refusal(f"{part}.SHARE_BOX_FEATURE_EXTRACTOR", "cannot be had here on a pyramid; make it False")
    channels, is_gn = theirs.numbers(f"{part}.CONV_LAYERS"), theirs[f"{part}.USE_GN"]
    if len(set(channels)) > 1:
        raise theirs.lacks(f"{part}.CONV_LAYERS", "all convolutions of a mask head are alike")
    shared.set_mask_convs(theirs, f"{part}.CONV_LAYERS", len(channels) if is_pyramid else 0, is_shared)
    ours.update({"MRCNN.HEAD_DIM": channels[-1], "MRCNN.CLASS_AGNOSTIC": False,
                 "FPN.MRCNN_HEAD_FUNC": f"maskrcnn_up4conv_{'gn_' if is_gn else ''}head",
                 "FPN.HEAD_NORM_FIRST": is_gn or ours["FPN.HEAD_NORM_FIRST"]})
    size = 28 if is_pyramid else 14
    theirs.want(f"{part}.RESOLUTION", (size,), f"masks have {size} x {size} pixels on such a body")


def _translate_proposals(theirs):
    images = shared.images_per_gpu(theirs.positive("SOLVER.IMS_PER_BATCH"))
    for phase in ("TRAIN", "TEST"):
        before, level, both = (theirs[f"MODEL.RPN.{limit}_TOP_N_{phase}"]
                               for limit in ("PRE_NMS", "POST_NMS", "FPN_POST_NMS"))
        if not theirs.ours["MODE_FPN"]:
            shared.set_joint_proposals(theirs, phase, before, level)
            continue
        together = images if phase == "TRAIN" and theirs["MODEL.RPN.FPN_POST_NMS_PER_BATCH"] else 1
        shared.set_pyramid_proposals(theirs, phase, before, max(both // together, 1))
        if together > 1:
            theirs.note_default(f"MODEL.RPN.FPN_POST_NMS_TOP_N_{phase}",
                                f"of {together} images together there; here each has {both // together}")
        if level < min(before, both // together):
            theirs.note_default(f"MODEL.RPN.POST_NMS_TOP_N_{phase}", "a level has no limit of its own behind NMS")
    if theirs["MODEL.ROI_HEADS.BG_IOU_THRESHOLD"] != theirs["MODEL.ROI_HEADS.FG_IOU_THRESHOLD"]:
        raise theirs.lacks("MODEL.ROI_HEADS.BG_IOU_THRESHOLD", "it must be FG_IOU_THRESHOLD")


def _translate_solver(theirs):
    ours, batch = theirs.ours, theirs.positive("SOLVER.IMS_PER_BATCH")
    drops = theirs.numbers("SOLVER.STEPS", kinds=(int,)) if theirs["SOLVER.STEPS"] else ()
    shared.set_schedule(theirs, batch, drops, theirs.positive("SOLVER.MAX_ITER"))
    shared.set_warm_up(theirs, "SOLVER.WARMUP_ITERS", "SOLVER.WARMUP_FACTOR")
    ours["TRAIN.IMS_PER_GPU"] = shared.images_per_gpu(batch)
    ours["TRAIN.PRECISION"] = theirs.choose("DTYPE", {"float32": "float32", "float16": "float16"}, "precisions")
    shared.periods(theirs, {"SOLVER.CHECKPOINT_PERIOD": "TRAIN.CHECKPOINT_PERIOD",
                            "SOLVER.TEST_PERIOD": "TRAIN.EVAL_PERIOD"})
    theirs.note("TEST.DETECTIONS_PER_IMG", "MODEL.ROI_HEADS.DETECTIONS_PER_IMG says it")


def _translate_data(theirs):
    ours, lowest, highest = theirs.ours, *theirs.numbers("INPUT.MIN_SIZE_RANGE_TRAIN", 2, (int,))
    if lowest > 0:
        shared.set_short_edges(theirs, (lowest, highest), is_range=True)
    else:
        shared.set_short_edges(theirs, theirs.numbers("INPUT.MIN_SIZE_TRAIN", kinds=(int,)))
    shared.set_max_size(theirs, "INPUT.MAX_SIZE_TRAIN", "INPUT.MAX_SIZE_TEST")
    ours["PREPROC.TEST_SHORT_EDGE_SIZE"] = theirs.positive("INPUT.MIN_SIZE_TEST")
    mean, std = theirs.numbers("INPUT.PIXEL_MEAN", 3), theirs.numbers("INPUT.PIXEL_STD", 3)
    if not theirs["INPUT.TO_BGR255"]:
        mean, std = (tuple(value * 255 for value in values[::-1]) for values in (mean, std))
        theirs.note("INPUT.TO_BGR255", "images are BGR in 0..255; mean and deviation are converted")
    shared.set_pixels(theirs, mean, std)
    shared.set_datasets(theirs, "DATASETS.TRAIN", "DATASETS.TEST")
    shared.set_weights(theirs, "MODEL.WEIGHT")
    theirs.copy_said({"DATALOADER.NUM_WORKERS": "DATA.NUM_WORKERS"})
