"""What a config must be like, so that a network can be built and trained from it."""
import math

from settings import ConfigError

PRECISIONS = ("float32", "bfloat16", "float16")


def check_config(cfg, is_training):
    """
    Args:
        cfg (AttrDict): complete
        is_training (bool): also check what only training needs

    Raises:
        ConfigError: naming the key, its value and the remedy
    """
    flat = cfg.flatten()
    _check(cfg.DATA.NUM_CATEGORY > 0,
           "DATA.CLASS_NAMES=() is empty; it is filled from DATA.TRAIN or DATA.VAL, or from a run's config.json")
    _check_length(flat, "DATA.CATEGORY_IDS", cfg.DATA.NUM_CATEGORY, "one for each of DATA.CLASS_NAMES")
    _check_network(flat)
    _check_losses(flat)
    _check_images(flat, is_training)
    if is_training:
        _check_training(flat)


def _check(condition, message):
    if not condition:
        raise ConfigError("config: " + message)


def _check_choice(flat, key, choices):
    _check(flat[key] in choices, f"{key}={flat[key]!r} is not one of {', '.join(map(repr, choices))}")


def _check_range(flat, keys, low, high=float("inf")):
    for key in keys.split():
        wanted = f"in {low}..{high}" if high < float("inf") else f"{low} or more"
        _check(low <= flat[key] <= high, f"{key}={flat[key]} must be {wanted}")


def _check_length(flat, key, length, what):
    _check(len(flat[key]) == length, f"{key}={flat[key]} must be {length} numbers, {what}")


def _check_groups(flat, key, channels):
    """Group normalization needs channels that its groups divide; see `layers.GroupNorm`."""
    _check(all(c % min(32, c // 2) == 0 for c in channels),
           f"{key}={flat[key]} does not split into groups for GN; take 8, 16, 32 or a multiple of 32")


def _check_network(flat):
    _check_backbone(flat)
    _check_choice(flat, "FPN.PROPOSAL_MODE", ["Level", "Joint"])
    _check_choice(flat, "FPN.NORM", ["None", "GN", "SyncBN", "FreezeBN"])
    _check_choice(flat, "FPN.FRCNN_HEAD_FUNC",
                  ["fastrcnn_2fc_head", "fastrcnn_4conv1fc_head", "fastrcnn_4conv1fc_gn_head",
                   "fastrcnn_4conv1fc_bn_head"])
    _check_choice(flat, "FPN.MRCNN_HEAD_FUNC",
                  ["maskrcnn_up4conv_head", "maskrcnn_up4conv_gn_head", "maskrcnn_up4conv_bn_head"])

    _check_range(flat, "RPN.HEAD_DIM FPN.NUM_CHANNEL FPN.FRCNN_CONV_HEAD_DIM FPN.FRCNN_FC_HEAD_DIM MRCNN.HEAD_DIM", 1)
    if flat["MODE_FPN"]:
        _check_pyramid(flat)
    else:
        _check(flat["RPN.ANCHOR_STRIDE"] == 16, f"RPN.ANCHOR_STRIDE={flat['RPN.ANCHOR_STRIDE']} must be 16, C4's")
    _check_heads(flat)
    sizes = flat["RPN.ANCHOR_SIZES"]
    _check(len(sizes) > 0 and min(sizes) > 0, f"RPN.ANCHOR_SIZES={sizes} must be positive numbers, at least one")
    _check(len(flat["RPN.ANCHOR_RATIOS"]) > 0 and min(flat["RPN.ANCHOR_RATIOS"]) > 0,
           f"RPN.ANCHOR_RATIOS={flat['RPN.ANCHOR_RATIOS']} must be positive numbers, at least one")
    _check_range(flat, "RPN.NUM_CONVS", 1)
    _check_range(flat, "FRCNN.MAX_BOX_GROWTH BACKBONE.NORM_EPSILON RPN.TRAIN_ALL_LEVELS_TOPK "
                       "RPN.TEST_ALL_LEVELS_TOPK TEST.TRACK_LOST", 0)

    _check_range(flat, "TEST.IMS_PER_BATCH TEST.RESULTS_PER_IM RPN.BATCH_PER_IM FRCNN.BATCH_PER_IM "
                       "RPN.TRAIN_PRE_NMS_TOPK RPN.TRAIN_POST_NMS_TOPK RPN.TEST_PRE_NMS_TOPK RPN.TEST_POST_NMS_TOPK "
                       "RPN.TRAIN_PER_LEVEL_NMS_TOPK RPN.TEST_PER_LEVEL_NMS_TOPK", 1)
    _check_range(flat, "RPN.POSITIVE_ANCHOR_THRESH RPN.NEGATIVE_ANCHOR_THRESH RPN.FG_RATIO RPN.PROPOSAL_NMS_THRESH "
                       "FRCNN.FG_THRESH FRCNN.FG_RATIO TEST.FRCNN_NMS_THRESH TEST.RESULT_SCORE_THRESH "
                       "TEST.OBJECTNESS_THRESH_VIS TEST.TRACK_IOU "
                       "TEST.KEYPOINT_SCORE_THRESH_VIS", 0, 1)
    _check_test(flat)


def _check_test(flat):
    _check_choice(flat, "TEST.PRECISION", PRECISIONS)
    _check_choice(flat, "TEST.SOFT_NMS", ["", "linear", "gaussian"])
    _check(flat["TEST.SOFT_NMS_SIGMA"] > 0, f"TEST.SOFT_NMS_SIGMA={flat['TEST.SOFT_NMS_SIGMA']} must be positive")
    _check_range(flat, "TEST.BBOX_VOTE_THRESH", 0, 1)
    edges, longest = flat["TEST.AUG.SCALES"], flat["TEST.AUG.MAX_SIZE"]
    _check(all(type(edge) is int and 0 < edge <= longest for edge in edges),
           f"TEST.AUG.SCALES={edges} must be whole numbers from 1 to TEST.AUG.MAX_SIZE={longest}")


def _check_backbone(flat):
    _check_choice(flat, "BACKBONE.NAME", ["ResNet", "VGG16"])
    _check(flat["BACKBONE.NAME"] == "ResNet" or not flat["MODE_FPN"],
           f"BACKBONE.NAME={flat['BACKBONE.NAME']!r} has no level of stride 32 for a pyramid; set MODE_FPN=False")
    _check(flat["BACKBONE.NAME"] == "ResNet" or not flat["MRCNN.HEAD"].startswith("v0"),
           f"MRCNN.HEAD={flat['MRCNN.HEAD']!r} stands behind a ResNet's conv5; take 'v1up' or 'v1up4convs'")
    _check_choice(flat, "BACKBONE.NORM", ["FreezeBN", "SyncBN", "GN", "None"])
    _check_choice(flat, "BACKBONE.FREEZE_AT", [0, 1, 2])
    _check_length(flat, "BACKBONE.RESNET_NUM_BLOCKS", 4, "R50 is (3, 4, 6, 3)")
    _check(min(flat["BACKBONE.RESNET_NUM_BLOCKS"]) > 0,
           f"BACKBONE.RESNET_NUM_BLOCKS={flat['BACKBONE.RESNET_NUM_BLOCKS']} must be positive, R50 is (3, 4, 6, 3)")
    _check_range(flat, "BACKBONE.WIDTH BACKBONE.RESNEXT_GROUPS BACKBONE.RESNEXT_WIDTH", 1)
    width, groups, group_width = (flat[f"BACKBONE.{key}"] for key in ("WIDTH", "RESNEXT_GROUPS", "RESNEXT_WIDTH"))
    _check(width * group_width % 64 == 0,
           f"BACKBONE.RESNEXT_WIDTH={group_width} is no whole number of channels at BACKBONE.WIDTH={width}; take a "
           f"multiple of {64 // math.gcd(64, width)}")
    if flat["BACKBONE.NORM"] == "GN":
        _check_groups(flat, "BACKBONE.WIDTH", [width * 2 ** i for i in range(6)])
        _check_groups(flat, "BACKBONE.RESNEXT_WIDTH", [width * group_width // 64 * groups * 2 ** i for i in range(4)])


def _check_pyramid(flat):
    norms = {"FPN.NUM_CHANNEL": flat["FPN.NORM"], "FPN.FRCNN_CONV_HEAD_DIM": flat["FPN.FRCNN_HEAD_FUNC"]}
    for key, norm in norms.items():
        if norm == "GN" or norm.endswith("_gn_head"):
            _check_groups(flat, key, [flat[key]])
    _check(tuple(flat["FPN.ANCHOR_STRIDES"]) == (4, 8, 16, 32, 64),
           f"FPN.ANCHOR_STRIDES={flat['FPN.ANCHOR_STRIDES']} must be (4, 8, 16, 32, 64), the strides of P2 to P6")
    if not flat["FPN.P2_ONLY"]:
        _check_length(flat, "RPN.ANCHOR_SIZES", 5, "one for each of FPN.ANCHOR_STRIDES")


def _check_heads(flat):
    _check_length(flat, "FRCNN.BBOX_REG_WEIGHTS", 4, "for x, y, width and height")
    _check_choice(flat, "FRCNN.POOLING", ["RoIAlign", "RoIPool", "RoICrop"])
    _check_range(flat, "FRCNN.POOL_SAMPLES", 1 if flat["FRCNN.POOLING"] == "RoICrop" else 0)
    if flat["FPN.CASCADE"]:
        ious, weights = flat["CASCADE.IOUS"], flat["CASCADE.BBOX_REG_WEIGHTS"]
        _check(len(ious) == len(weights) > 1 and all(len(w) == 4 for w in weights) and all(0 <= i <= 1 for i in ious),
               f"CASCADE.IOUS={ious} must be two or more IoUs in 0..1, with 4 numbers for each of them in "
               f"CASCADE.BBOX_REG_WEIGHTS={weights}")
    _check_mask_head(flat)
    _check_keypoint_head(flat)


def _check_mask_head(flat):
    head = flat["MRCNN.HEAD"]
    _check_choice(flat, "MRCNN.HEAD", ["", "v1up4convs", "v1up", "v0upshare", "v0up"])
    _check(not (flat["MODE_FPN"] and head.startswith("v0")),
           f"MRCNN.HEAD={head!r} stands behind conv5 of each RoI; set MODE_FPN=False, or take 'v1up4convs' or 'v1up'")
    has_convs = head.startswith("v1") or not head and flat["MODE_FPN"]
    if has_convs and flat["FPN.MRCNN_HEAD_FUNC"].endswith("_gn_head"):
        _check_groups(flat, "MRCNN.HEAD_DIM", [flat["MRCNN.HEAD_DIM"]])
    # with fewer, rounding decides about the outermost of the mask head's 28 bins
    _check_range(flat, "MRCNN.GT_RESOLUTION", 56)


def _check_keypoint_head(flat):
    _check_range(flat, "KRCNN.NUM_CONVS KRCNN.HEAD_DIM", 1)
    _check_range(flat, "KRCNN.LOSS_WEIGHT", 0)
    _check_choice(flat, "KRCNN.NORM", ["None", "GN"])
    if flat["KRCNN.NORM"] == "GN":
        _check_groups(flat, "KRCNN.HEAD_DIM", [flat["KRCNN.HEAD_DIM"]])
    if not flat["MODE_KEYPOINT"]:
        return
    names, of_class, sigmas = (
        flat[key] for key in ("DATA.KEYPOINT_NAMES", "DATA.KEYPOINTS_OF_CLASS", "TEST.OKS_SIGMAS"))
    _check(len(names) > 0, "DATA.KEYPOINT_NAMES=() is empty with MODE_KEYPOINT=True; it is filled from DATA.TRAIN or "
           "DATA.VAL, whose categories must have keypoints, or from a run's config.json")
    _check(all(len(edge) == 2 and 0 <= min(edge) and max(edge) < len(names) for edge in flat["DATA.KEYPOINT_EDGES"]),
           f"DATA.KEYPOINT_EDGES={flat['DATA.KEYPOINT_EDGES']} must be pairs of numbers in 0..{len(names) - 1}")
    _check(not of_class or len(of_class) == flat["DATA.NUM_CATEGORY"]
           and all(0 <= number < len(names) for numbers in of_class for number in numbers),
           f"DATA.KEYPOINTS_OF_CLASS={of_class} must be numbers in 0..{len(names) - 1} for each of DATA.CLASS_NAMES")
    _check(not sigmas or len(sigmas) == len(names) and min(sigmas) > 0,
           f"TEST.OKS_SIGMAS={sigmas} must be {len(names)} positive numbers, one for each of DATA.KEYPOINT_NAMES")


def _check_losses(flat):
    for key in ("RPN.LOSS_TYPE", "FRCNN.LOSS_TYPE", "CASCADE.LOSS_TYPE"):
        _check_choice(flat, key, ["smooth_l1", "sl1", "iou", "giou", "diou", "ciou"])
    _check_range(flat, "RPN.LOSS_BBOX_WEIGHT FRCNN.LOSS_BBOX_WEIGHT RPN.SMOOTH_L1_BETA FRCNN.SMOOTH_L1_BETA", 0)


def _check_images(flat, is_training):
    sizes = flat["PREPROC.TRAIN_SHORT_EDGE_SIZE"]
    short_edges = {"TEST": flat["PREPROC.TEST_SHORT_EDGE_SIZE"]}
    if is_training:
        _check(len(sizes) == 2 and 0 < sizes[0] <= sizes[1],
               f"PREPROC.TRAIN_SHORT_EDGE_SIZE={sizes} must be (shortest, longest)")
        short_edges["TRAIN"] = sizes[1]
        _check_augmentation(flat)
    for key, size in short_edges.items():
        _check(0 < size <= flat["PREPROC.MAX_SIZE"],
               f"PREPROC.{key}_SHORT_EDGE_SIZE={size} must be positive and at most "
               f"PREPROC.MAX_SIZE={flat['PREPROC.MAX_SIZE']}")
    for key in ("PREPROC.PIXEL_MEAN", "PREPROC.PIXEL_STD"):
        _check_length(flat, key, 3, "for red, green and blue")
    _check(min(flat["PREPROC.PIXEL_STD"]) > 0, f"PREPROC.PIXEL_STD={flat['PREPROC.PIXEL_STD']} must be positive")


def _check_augmentation(flat):
    _check_range(flat, "PREPROC.FLIP PREPROC.FLIP_UP_DOWN PREPROC.RANDOM_CROP_PROBABILITY PREPROC.COPY_PASTE "
                       "PREPROC.GREY PREPROC.BRIGHTNESS PREPROC.CONTRAST", 0, 1)
    _check_range(flat, "PREPROC.SATURATION", 0, 0.99)
    _check_range(flat, "PREPROC.HUE", 0, 180)
    _check_range(flat, "PREPROC.JITTER_SIZE", 0)
    edges, longest = flat["PREPROC.TRAIN_SHORT_EDGES"], flat["PREPROC.MAX_SIZE"]
    _check(all(type(edge) is int and 0 < edge <= longest for edge in edges),
           f"PREPROC.TRAIN_SHORT_EDGES={edges} must be whole numbers from 1 to PREPROC.MAX_SIZE={longest}")
    for key in ("PREPROC.ASPECT_LIMITS", "PREPROC.JITTER_SCALE", "PREPROC.COPY_PASTE_SCALE"):
        _check(len(flat[key]) == 2 and 0 < flat[key][0] <= flat[key][1],
               f"{key}={flat[key]} must be (smallest, largest), both positive")
    sides = flat["PREPROC.RANDOM_CROP"]
    _check(not sides or _are_sides(sides),
           f"PREPROC.RANDOM_CROP={sides} must be (shortest, longest), two shares of the image's sides in 0..1, such as "
           "(0.3, 1), or two numbers of pixels, such as (384, 600)")


def _are_sides(sides):
    """Whether they are two growing numbers, both in 0..1 or both above; 1 alone is a share."""
    if len(sides) != 2 or not all(type(side) in (int, float) for side in sides):
        return False
    return 0 < sides[0] <= sides[1] < float("inf") and (sides[1] <= 1 or sides[0] > 1)


def _check_training(flat):
    _check_choice(flat, "TRAINER", ["replicated", "horovod"])
    _check_choice(flat, "TRAIN.COMPRESSION", ["none", "fp16"])
    _check_choice(flat, "TRAIN.PRECISION", PRECISIONS)
    schedule = flat["TRAIN.LR_SCHEDULE"]
    _check(len(schedule) > 0 and list(schedule) == sorted(set(schedule)) and schedule[0] > 0,
           f"TRAIN.LR_SCHEDULE={schedule} must be growing numbers of steps, the last of which ends the training")
    _check_range(flat, "TRAIN.IMS_PER_GPU TRAIN.STEPS_PER_EPOCH TRAIN.EVAL_PERIOD TRAIN.CHECKPOINT_PERIOD "
                       "TRAIN.MAX_TO_KEEP DATA.VG_NUM_CLASSES", 1)
    _check_range(flat, "TRAIN.NUM_GPUS TRAIN.WARMUP TRAIN.CHECKPOINT_MINUTES TRAIN.SEED TRAIN.BIAS_LR_FACTOR "
                       "TRAIN.WEIGHT_DECAY TRAIN.WEIGHT_DECAY_BIAS DATA.NUM_WORKERS", 0)
