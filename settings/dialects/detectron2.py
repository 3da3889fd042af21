"""Configs of Detectron2."""
from settings.dialects import detectron2_keys as keys, shared


def translate(theirs):
    """Set our keys from a Theirs."""
    theirs.check(keys.ALWAYS_FIXED)
    theirs.ours.update(shared.ALWAYS)
    theirs.copy(keys.COPIED)
    _translate_body(theirs)
    _translate_anchors(theirs)
    _translate_box_head(theirs)
    _translate_other_heads(theirs)
    _translate_proposals(theirs)
    _translate_solver(theirs)
    _translate_images(theirs)
    shared.set_datasets(theirs, "DATASETS.TRAIN", "DATASETS.TEST")
    shared.set_weights(theirs, "MODEL.WEIGHTS")
    theirs.copy_said({"DATALOADER.NUM_WORKERS": "DATA.NUM_WORKERS"})
    if theirs["SEED"] >= 0:
        theirs.copy_said({"SEED": "TRAIN.SEED"})
    theirs.note_ignored()


def _translate_body(theirs):
    ours, kind = theirs.ours, theirs.choose("MODEL.ROI_HEADS.NAME", keys.HEADS, "kinds of heads")
    ours.update({"MODE_FPN": kind != "C4", "FPN.CASCADE": kind == "cascade", "FPN.P2_ONLY": False,
    "BACKBONE.NAME": "ResNet"})
    theirs.check(keys.PYRAMID_FIXED if ours["MODE_FPN"] else keys.C4_FIXED)
    depths = {int(depth): blocks for depth, blocks in shared.BLOCKS.items()}
    ours["BACKBONE.RESNET_NUM_BLOCKS"] = theirs.choose("MODEL.RESNETS.DEPTH", depths, "depths of a ResNet")
    if any(theirs["MODEL.RESNETS.DEFORM_ON_PER_STAGE"]):
        raise theirs.lacks("MODEL.RESNETS.DEFORM_ON_PER_STAGE", "convolutions are not deformable; make "
                             "all False")
    # the statistics of "BN" are of each GPU's images alone
    norm = theirs.choose("MODEL.RESNETS.NORM", {"FrozenBN": "FreezeBN", **keys.NORMS}, "norms")
    shared.set_norm(theirs, norm)
    shared.set_freeze_at(theirs, "MODEL.BACKBONE.FREEZE_AT")
    ours["FPN.NORM"] = theirs.choose("MODEL.FPN.NORM", keys.NORMS, "norms")


def _translate_anchors(theirs):
    ours = theirs.ours
    sizes, ratios = theirs["MODEL.ANCHOR_GENERATOR.SIZES"], set(theirs["MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"])
    if ours["MODE_FPN"]:
        if len(sizes) != 5 or not all(isinstance(of_level, tuple) and len(of_level) == 1 for of_level in sizes):
            raise theirs.lacks("MODEL.ANCHOR_GENERATOR.SIZES", "each of the five levels has one size")
        ours["RPN.ANCHOR_SIZES"] = tuple(size for (size,) in sizes)
    else:
        ours["RPN.ANCHOR_SIZES"] = theirs.numbers("MODEL.ANCHOR_GENERATOR.SIZES")
    if len(ratios) != 1:
        raise theirs.lacks("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", "all levels have one list of ratios")
    ours["RPN.ANCHOR_RATIOS"] = ratios.pop()
    negative, positive = theirs.numbers("MODEL.RPN.IOU_THRESHOLDS", 2)
    ours.update({"RPN.NEGATIVE_ANCHOR_THRESH": negative, "RPN.POSITIVE_ANCHOR_THRESH": positive})
    if theirs["MODEL.ANCHOR_GENERATOR.OFFSET"] != 0:
        theirs.note("MODEL.ANCHOR_GENERATOR.OFFSET", "the first anchors are centred at the image's corner")
    channels, width = theirs.numbers("MODEL.RPN.CONV_DIMS"), ours["FPN.NUM_CHANNEL"] if ours["MODE_FPN"] else 1024
    if set(channels) - {-1, width}:
        raise theirs.lacks("MODEL.RPN.CONV_DIMS", f"hidden layers have {width} channels, or -1")
    ours["RPN.NUM_CONVS"] = len(channels)
    if not ours["MODE_FPN"]:
        ours["RPN.HEAD_DIM"] = width


def _translate_box_head(theirs):
    ours, part = theirs.ours, "MODEL.ROI_BOX_HEAD"
    for ours_part, key in (("RPN", "MODEL.RPN"), ("FRCNN", part)):
        ours[f"{ours_part}.LOSS_TYPE"] = theirs.choose(f"{key}.BBOX_REG_LOSS_TYPE", keys.LOSSES, "losses of boxes")
    (fg_thresh,) = theirs.numbers("MODEL.ROI_HEADS.IOU_THRESHOLDS", 1)
    ours["FRCNN.FG_THRESH"] = fg_thresh
    if theirs[f"{part}.CLS_AGNOSTIC_BBOX_REG"] != ours["FPN.CASCADE"]:
        raise theirs.lacks(f"{part}.CLS_AGNOSTIC_BBOX_REG", "boxes are of each class, but in a "
                             f"cascade; make it {ours['FPN.CASCADE']}")
    if ours["FPN.CASCADE"]:
        ours["CASCADE.IOUS"] = theirs.numbers("MODEL.ROI_BOX_CASCADE_HEAD.IOUS")
        ours["CASCADE.BBOX_REG_WEIGHTS"] = theirs["MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS"]
        ours["CASCADE.LOSS_TYPE"] = ""
        if ours["CASCADE.IOUS"][0] != fg_thresh:
            raise theirs.refusal("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "must begin with MODEL.ROI_HEADS.IOU_THRESHOLDS, "
                                 f"{fg_thresh}")
    ours["FPN.HEAD_NORM_FIRST"] = False
    if ours["MODE_FPN"]:
        layers = theirs[f"{part}.NUM_CONV"], theirs[f"{part}.NUM_FC"]
        norm = theirs.choose(f"{part}.NORM", keys.HEAD_NORMS, "norms of heads")
        if layers not in ((0, 2), (4, 1)):
            raise theirs.lacks(f"{part}.NUM_CONV", f"NUM_FC is {layers[1]}; take NUM_CONV 0 and "
                                 "NUM_FC 2, or NUM_CONV 4 and NUM_FC 1")
        ours["FPN.FRCNN_HEAD_FUNC"] = "fastrcnn_2fc_head" if layers[1] == 2 else f"fastrcnn_4conv1fc_{norm}head"
        ours["FPN.HEAD_NORM_FIRST"] = layers[1] == 1 and norm == "gn_"


def _translate_other_heads(theirs):
    ours, pooled = theirs.ours, ["MODEL.ROI_BOX_HEAD"]
    if ours["MODE_MASK"]:
        theirs.check(keys.MASK_FIXED)
        shared.set_mask_convs(theirs, "MODEL.ROI_MASK_HEAD.NUM_CONV", theirs["MODEL.ROI_MASK_HEAD.NUM_CONV"])
        norm = theirs.choose("MODEL.ROI_MASK_HEAD.NORM", keys.HEAD_NORMS, "norms of heads")
        ours["FPN.MRCNN_HEAD_FUNC"] = f"maskrcnn_up4conv_{norm}head"
        ours["FPN.HEAD_NORM_FIRST"] |= norm == "gn_"
        pooled += ["MODEL.ROI_MASK_HEAD"] * ours["MODE_FPN"]
    else:
        theirs.note("MODEL.ROI_MASK_HEAD.", "MODEL.MASK_ON is not set")
    if ours["MODE_KEYPOINT"]:
        theirs.check(keys.KEYPOINT_FIXED)
        shared.set_keypoint_convs(theirs, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS")
        pooled.append("MODEL.ROI_KEYPOINT_HEAD")
    else:
        theirs.note("MODEL.ROI_KEYPOINT_HEAD.", "MODEL.KEYPOINT_ON is not set")
    _translate_pooling(theirs, pooled)


def _translate_pooling(theirs, parts):
    kinds = {"ROIAlignV2": ("RoIAlign", True), "ROIAlign": ("RoIAlign", False), "ROIPool": ("RoIPool", True)}
    theirs.choose("MODEL.ROI_BOX_HEAD.POOLER_TYPE", kinds, "ways to pool RoIs")
    alike = "RoIs of all heads are pooled alike"
    kind = theirs.same([f"{part}.POOLER_TYPE" for part in parts], alike)
    theirs.ours["FRCNN.POOLING"], theirs.ours["FRCNN.POOL_SHIFTED"] = kinds[kind]
    theirs.ours["FRCNN.POOL_SAMPLES"] = theirs.same([f"{part}.POOLER_SAMPLING_RATIO" for part in parts], alike)


def _translate_proposals(theirs):
    set_limits = shared.set_pyramid_proposals if theirs.ours["MODE_FPN"] else shared.set_joint_proposals
    for phase in ("TRAIN", "TEST"):
        set_limits(theirs, phase, *(theirs[f"MODEL.RPN.{limit}_NMS_TOPK_{phase}"] for limit in ("PRE", "POST")))


def _translate_solver(theirs):
    ours, batch = theirs.ours, theirs.positive("SOLVER.IMS_PER_BATCH")
    drops = theirs.numbers("SOLVER.STEPS", kinds=(int,)) if theirs["SOLVER.STEPS"] else ()
    shared.set_schedule(theirs, batch, drops, theirs.positive("SOLVER.MAX_ITER"))
    shared.set_warm_up(theirs, "SOLVER.WARMUP_ITERS", "SOLVER.WARMUP_FACTOR")
    ours["TRAIN.IMS_PER_GPU"] = shared.images_per_gpu(batch, max(theirs["SOLVER.REFERENCE_WORLD_SIZE"], 0) or 8)
    theirs.note("SOLVER.REFERENCE_WORLD_SIZE", shared.FROM_BATCH)
    decay = theirs["SOLVER.WEIGHT_DECAY_BIAS"]
    ours["TRAIN.WEIGHT_DECAY_BIAS"] = theirs["SOLVER.WEIGHT_DECAY"] if decay is None else decay
    ours["TRAIN.PRECISION"] = "float16" if theirs["SOLVER.AMP.ENABLED"] else "float32"
    ours["TRAIN.GRADIENT_CLIP"] = 0.0
    if theirs["SOLVER.CLIP_GRADIENTS.ENABLED"]:
        theirs.choose("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", {"full_model": None}, "ways to clip gradients")
        if theirs["SOLVER.CLIP_GRADIENTS.NORM_TYPE"] != 2:
            raise theirs.lacks("SOLVER.CLIP_GRADIENTS.NORM_TYPE", "the norm is 2")
        ours["TRAIN.GRADIENT_CLIP"] = theirs["SOLVER.CLIP_GRADIENTS.CLIP_VALUE"]
    shared.periods(theirs, {"SOLVER.CHECKPOINT_PERIOD": "TRAIN.CHECKPOINT_PERIOD",
    "TEST.EVAL_PERIOD": "TRAIN.EVAL_PERIOD"})


def _translate_images(theirs):
    ours, edges = theirs.ours, theirs.numbers("INPUT.MIN_SIZE_TRAIN", kinds=(int,))
    is_range = theirs.choose("INPUT.MIN_SIZE_TRAIN_SAMPLING", {"choice": False, "range": True}, "ways to draw sizes")
    shared.set_short_edges(theirs, edges, is_range)
    shared.set_max_size(theirs, "INPUT.MAX_SIZE_TRAIN", "INPUT.MAX_SIZE_TEST")
    ours["PREPROC.TEST_SHORT_EDGE_SIZE"] = theirs.positive("INPUT.MIN_SIZE_TEST")
    flips = {"horizontal": (0.5, 0.0), "vertical": (0.0, 0.5), "none": (0.0, 0.0)}
    ours["PREPROC.FLIP"], ours["PREPROC.FLIP_UP_DOWN"] = theirs.choose("INPUT.RANDOM_FLIP", flips, "flips")
    ours["PREPROC.RANDOM_CROP"] = _crop_sides(theirs) if theirs["INPUT.CROP.ENABLED"] else ()
    mean, std = theirs.numbers("MODEL.PIXEL_MEAN", 3), theirs.numbers("MODEL.PIXEL_STD", 3)
    order = theirs.choose("INPUT.FORMAT", {"BGR": 1, "RGB": -1}, "orders of colours")
    shared.set_pixels(theirs, mean[::order], std[::order])
    if order < 0:
        theirs.note("INPUT.FORMAT", "images are BGR; mean and deviation are turned, and weights of torchvision as well")


def _crop_sides(theirs):
    """Returns: (shortest, longest) side of a crop, in shares of the image's, or in pixels"""
    height, width = theirs.numbers("INPUT.CROP.SIZE", 2)
    sides = {"relative_range": (height, 1.0), "relative": (height, height), "absolute": (height, height),
             "absolute_range": (height, width)}
    kind = theirs["INPUT.CROP.TYPE"]
    found = theirs.choose("INPUT.CROP.TYPE", sides, "kinds of crops")
    if kind != "absolute_range" and height != width:
        raise theirs.lacks("INPUT.CROP.SIZE", "both sides are drawn from one range; make them equal")
    return found
