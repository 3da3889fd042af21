"""The config: every key with its default.

`config` is one mutable tree of attributes, `config.TRAIN.BASE_LR = 0.02`. Entry points update it from `KEY=VALUE`
words, then `finalize_configs` checks it, derives what follows from other keys, and freezes it. The parts of the program
that are put together from it take it as an argument, so several configs can live in one process (`new_config()`).
"""
import json

from common import warn, whole_file

from settings import ConfigError
from settings.checks import check_config
from settings.tree import AttrDict

_C = AttrDict({part: {} for part in (
    "DATA", "BACKBONE", "TRAIN", "PREPROC", "RPN", "FRCNN", "FPN", "MRCNN", "KRCNN", "CASCADE", "TEST")})

# mode -------------------------------------------------------------------------------------------------------------
_C.TRAINER = "replicated"     # "replicated": one process, all its GPUs or the CPU; "horovod": a process for each GPU
_C.MODE_MASK = True           # Mask R-CNN, or Faster R-CNN
_C.MODE_KEYPOINT = False      # Keypoint R-CNN, also together with masks
_C.MODE_FPN = True            # feature pyramid, or a single C4 level

# data sets --------------------------------------------------------------------------------------------------------
_C.DATA.BASEDIR = "datasets/coco"      # folder with annotations/instances_NAME.json and the images in NAME/
_C.DATA.TRAIN = ("train2017",)         # data sets to train on, joined; FOLDER/NAME is NAME in another folder
_C.DATA.VAL = ("val2017",)             # data sets to evaluate, each by itself
_C.DATA.NUM_WORKERS = 4                # processes that prepare training images; 0: in this process
_C.DATA.FILTER_EMPTY = True            # train only on images with at least one object that is no crowd
_C.DATA.USE_DIFFICULT = False          # train also on objects that PASCAL VOC marks as difficult
_C.DATA.VG_VOCABULARY = ""             # Visual Genome's classes: a file with name and synonyms of one a line, or
_C.DATA.VG_NUM_CLASSES = 2500          # without it so many of the most frequent names
_C.DATA.CLASS_NAMES = ()               # filled from the data set, without the background
_C.DATA.CATEGORY_IDS = ()              # filled from the data set: the id in its files of each of CLASS_NAMES
_C.DATA.NUM_CATEGORY = 0               # filled from the data set: how many classes, without the background
_C.DATA.KEYPOINT_NAMES = ()            # filled from the data set with MODE_KEYPOINT, of all classes together
_C.DATA.KEYPOINT_EDGES = ()            # likewise: pairs of numbers of KEYPOINT_NAMES, from 0 on, that lines join
_C.DATA.KEYPOINTS_OF_CLASS = ()        # likewise: such numbers for each of CLASS_NAMES; (): each has all

# backbone ---------------------------------------------------------------------------------------------------------
_C.BACKBONE.WEIGHTS = ""               # weights to start a training from
_C.BACKBONE.NAME = "ResNet"            # "ResNet" or "VGG16", which needs MODE_FPN=False
_C.BACKBONE.RESNET_NUM_BLOCKS = (3, 4, 6, 3)    # R50; R101 is (3, 4, 23, 3), R152 is (3, 8, 36, 3)
_C.BACKBONE.RESNEXT_GROUPS = 1         # groups of channels in the 3x3 convolutions; ResNeXt has 32 or 64
_C.BACKBONE.RESNEXT_WIDTH = 64         # channels of such a group in the first stage, if WIDTH is 64: 8 for 32x8d
_C.BACKBONE.WIDTH = 64                 # channels of the stem; the stages have 4, 8, 16 and 32 times as many
                                       # VGG16: of conv1; conv2 to conv5 have 2, 4, 8 and 8 times as many, fc6 and 7 64
_C.BACKBONE.NORM = "FreezeBN"          # "FreezeBN", "SyncBN" (statistics of all GPUs' batches), "GN" or "None"
_C.BACKBONE.NORM_EPSILON = 1e-5        # added to variances that are fixed; 0 for torchvision's COCO_V1 weights
_C.BACKBONE.FREEZE_AFFINE = False      # do not train gamma and beta of the norms
_C.BACKBONE.FREEZE_AT = 2              # 0: train all; 1: freeze the stem; 2: and the first stage
_C.BACKBONE.TF_PAD_MODE = False        # pad strided convolutions as TensorFlow's "SAME" does
_C.BACKBONE.STRIDE_1X1 = False         # stride in the first 1x1 of a bottleneck (MSRA weights), not in its 3x3

# training: schedule and learning rate are for 8 images a step and scaled to the real number --------------------------
_C.TRAIN.IMS_PER_GPU = 1               # images a step on each GPU, or on the CPU
_C.TRAIN.NUM_GPUS = 0                  # 0: all visible GPUs, or the CPU when there is none
_C.TRAIN.BASE_LR = 1e-2                # behind the warm-up, before the first drop
_C.TRAIN.WARMUP = 1000                 # steps of linear warm-up
_C.TRAIN.WARMUP_INIT_LR = 1e-5         # learning rate at step 0
_C.TRAIN.LR_SCHEDULE = (120000, 160000, 180000)    # steps: falls tenfold at all but the last, the end; or "1x" to "9x"
_C.TRAIN.STEPS_PER_EPOCH = 500         # an epoch is a number of steps, not a pass over the data
_C.TRAIN.MOMENTUM = 0.9                # of SGD
_C.TRAIN.WEIGHT_DECAY = 1e-4           # of the kernels that are trained, not of biases and norms
_C.TRAIN.WEIGHT_DECAY_BIAS = 0.0       # of the biases
_C.TRAIN.BIAS_LR_FACTOR = 1.0          # of the learning rate of biases
_C.TRAIN.GRADIENT_CLIP = 0.0           # largest norm of the whole gradient; 0: no clipping
_C.TRAIN.EVAL_PERIOD = 50              # epochs between evaluations; there is one at the end too
_C.TRAIN.CHECKPOINT_PERIOD = 5         # epochs between checkpoints; there is one at the end too
_C.TRAIN.CHECKPOINT_MINUTES = 15.0     # after which there is one in between, so that a kill costs no more; 0: never
_C.TRAIN.MAX_TO_KEEP = 5               # checkpoints that are kept
_C.TRAIN.PRECISION = "float32"         # of the layers: "float32", "bfloat16" or "float16"; variables are float32
_C.TRAIN.COMPRESSION = "none"          # with TRAINER=horovod, "fp16" sends gradients as float16
_C.TRAIN.SEED = 0                      # of the initial weights, the order of the data and the sampling

# images -----------------------------------------------------------------------------------------------------------
_C.PREPROC.TRAIN_SHORT_EDGE_SIZE = (800, 800)      # shortest and longest short edge, drawn uniformly
_C.PREPROC.TEST_SHORT_EDGE_SIZE = 800    # short edge in inference
_C.PREPROC.MAX_SIZE = 1333             # longest long edge, in training and in inference
_C.PREPROC.PIXEL_MEAN = (123.675, 116.28, 103.53)  # in RGB order, as published
_C.PREPROC.PIXEL_STD = (58.395, 57.12, 57.375)     # likewise

# augmentation of training images; what is off draws nothing ---------------------------------------------------------
_C.PREPROC.FLIP = 0.5                  # probability that left and right are swapped
_C.PREPROC.FLIP_UP_DOWN = 0.0          # likewise up and down, for images from above
_C.PREPROC.TRAIN_SHORT_EDGES = ()      # one of these is the short edge in place of TRAIN_SHORT_EDGE_SIZE's
_C.PREPROC.ASPECT_CROPPING = False     # crop images whose width / height is beyond ASPECT_LIMITS
_C.PREPROC.ASPECT_LIMITS = (0.5, 2.0)  # smallest and largest width / height
_C.PREPROC.RANDOM_CROP = ()            # (shortest, longest) side of a crop that keeps an object, in shares or pixels
_C.PREPROC.RANDOM_CROP_PROBABILITY = 1.0    # that an image is cropped so
_C.PREPROC.JITTER_SIZE = 0             # large-scale jitter: side of the square that an image is cropped to; 0: off
_C.PREPROC.JITTER_SCALE = (0.1, 2.0)   # smallest and largest size; at 1 the image just fits the square
_C.PREPROC.COPY_PASTE = 0.0            # probability that objects of another image are pasted
_C.PREPROC.COPY_PASTE_SCALE = (0.1, 2.0)    # smallest and largest size of theirs; at 1 it just fits the image
_C.PREPROC.BRIGHTNESS = 0.0            # largest change, in 0..1
_C.PREPROC.CONTRAST = 0.0              # likewise
_C.PREPROC.SATURATION = 0.0            # likewise, less than 1
_C.PREPROC.HUE = 0.0                   # degrees of the colour circle, at most 180
_C.PREPROC.GREY = 0.0                  # probability that an image loses its colours

# anchors ----------------------------------------------------------------------------------------------------------
_C.RPN.ANCHOR_STRIDE = 16                          # C4 only
_C.RPN.ANCHOR_SIZES = (32, 64, 128, 256, 512)      # square roots of the areas; FPN has one on each level
_C.RPN.ANCHOR_RATIOS = (0.5, 1.0, 2.0)             # height / width
_C.RPN.ANCHOR_ROUNDED = False          # their corners to whole pixels, as in torchvision
_C.RPN.ANCHOR_STEP_BY_SIZE = False     # between cells, by the sizes of batch and feature map, as in torchvision
_C.RPN.POSITIVE_ANCHOR_THRESH = 0.7    # an anchor with this IoU with an object is foreground
_C.RPN.NEGATIVE_ANCHOR_THRESH = 0.3    # one with less IoU with all objects is background
_C.RPN.STRADDLE_THRESH = 0.0           # pixels by which an anchor that is trained may leave the image; -1: any number

# region proposal network ------------------------------------------------------------------------------------------
_C.RPN.FG_RATIO = 0.5                  # largest share of foreground among the sampled anchors
_C.RPN.BATCH_PER_IM = 256              # anchors sampled in an image, over all levels
_C.RPN.MIN_SIZE = 0.0                  # proposals with a shorter edge are dropped
_C.RPN.LOSS_TYPE = "smooth_l1"         # of the boxes: "smooth_l1" (or "sl1"), "iou", "giou", "diou" or "ciou"
_C.RPN.SMOOTH_L1_BETA = 1.0 / 9        # up to which smooth L1 is quadratic; 0: L1
_C.RPN.LOSS_BBOX_WEIGHT = 1.0          # of the loss of the boxes
_C.RPN.PROPOSAL_NMS_THRESH = 0.7       # IoU beyond which the better proposal suppresses the other
_C.RPN.CROWD_OVERLAP_THRESH = 0.7      # anchors with this share inside a crowd region are ignored
_C.RPN.HEAD_DIM = 1024                 # C4 only
_C.RPN.NUM_CONVS = 1                   # hidden layers; 2 in torchvision's later models
# C4, P2_ONLY and PROPOSAL_MODE "Joint": proposals before and behind NMS
_C.RPN.TRAIN_PRE_NMS_TOPK = 12000
_C.RPN.TRAIN_POST_NMS_TOPK = 2000
_C.RPN.TEST_PRE_NMS_TOPK = 6000
_C.RPN.TEST_POST_NMS_TOPK = 1000
# FPN: proposals of a level before and behind NMS, and of all levels together
_C.RPN.TRAIN_PER_LEVEL_NMS_TOPK = 2000
_C.RPN.TEST_PER_LEVEL_NMS_TOPK = 1000
# FPN: of all levels together behind NMS; 0: as many as of one
_C.RPN.TRAIN_ALL_LEVELS_TOPK = 0
_C.RPN.TEST_ALL_LEVELS_TOPK = 0

# box head ---------------------------------------------------------------------------------------------------------
_C.FRCNN.BATCH_PER_IM = 512            # RoIs sampled in an image
_C.FRCNN.BBOX_REG_WEIGHTS = (10.0, 10.0, 5.0, 5.0)    # factors of the regression targets x, y, width, height
_C.FRCNN.FG_THRESH = 0.5               # an RoI with this IoU with an object is foreground
_C.FRCNN.FG_RATIO = 0.25               # largest share of foreground among the sampled RoIs
_C.FRCNN.LOSS_TYPE = "smooth_l1"       # as RPN.LOSS_TYPE
_C.FRCNN.SMOOTH_L1_BETA = 0.0          # as RPN.SMOOTH_L1_BETA
_C.FRCNN.LOSS_BBOX_WEIGHT = 1.0        # of the loss of the boxes, in each stage of a cascade too
_C.FRCNN.MAX_BOX_GROWTH = 0.0          # largest factor from anchor or RoI to box; 0: PREPROC.MAX_SIZE / 16
# pooling of RoIs, of all heads
_C.FRCNN.POOLING = "RoIAlign"          # "RoIAlign", "RoIPool" or "RoICrop"
_C.FRCNN.POOL_SAMPLES = 2              # of a bin in each direction; RoIAlign, 0: as many as the box asks
_C.FRCNN.POOL_SHIFTED = True           # RoIAlign: pixels stand at their centres; False: as in Detectron and torchvision

# feature pyramid --------------------------------------------------------------------------------------------------
_C.FPN.ANCHOR_STRIDES = (4, 8, 16, 32, 64)    # of P2 to P6
_C.FPN.PROPOSAL_MODE = "Level"         # NMS of each level by itself; "Joint": of all together
_C.FPN.P2_ONLY = False                 # all anchors and RoIs on P2, which the other levels only feed
_C.FPN.NUM_CHANNEL = 256               # of every level
_C.FPN.NORM = "None"                   # "None", "GN", or "SyncBN" or "FreezeBN" as BACKBONE.NORM
_C.FPN.FRCNN_HEAD_FUNC = "fastrcnn_2fc_head"    # or "fastrcnn_4conv1fc_head", "…_4conv1fc_gn_head", "…_bn_head"
_C.FPN.FRCNN_CONV_HEAD_DIM = 256       # channels of its four convolutions
_C.FPN.FRCNN_FC_HEAD_DIM = 1024        # outputs of its fully connected layers
_C.FPN.MRCNN_HEAD_FUNC = "maskrcnn_up4conv_head"    # or "maskrcnn_up4conv_gn_head", "…_bn_head"
_C.FPN.HEAD_NORM_FIRST = False         # GN of heads before their ReLUs, as in Detectron; False: behind, as in the zoo
_C.FPN.CASCADE = False                 # Cascade R-CNN: a box head for each of CASCADE.IOUS

# mask head --------------------------------------------------------------------------------------------------------
# Detectron's "v1up4convs" or "v1up" (4 or 2 convolutions), C4: "v0upshare" or "v0up" (conv5 of the box head or its own)
_C.MRCNN.HEAD = ""                     # "": "v1up4convs", with the norm in FPN.MRCNN_HEAD_FUNC; C4: "v0upshare"
_C.MRCNN.CLASS_AGNOSTIC = False        # one mask for all classes
_C.MRCNN.HEAD_DIM = 256                # channels of its hidden layers
_C.MRCNN.GT_RESOLUTION = 112           # ground-truth masks travel as this many pixels squared inside their box

# keypoint head ----------------------------------------------------------------------------------------------------
_C.KRCNN.NUM_CONVS = 8                 # hidden layers
_C.KRCNN.HEAD_DIM = 512                # channels of each
_C.KRCNN.NORM = "None"                 # or "GN" behind each, to train from scratch
_C.KRCNN.LOSS_WEIGHT = 1.0             # of the loss of the keypoints
_C.KRCNN.NORMALIZE_BY_VISIBLE = True   # mean over an image's labelled keypoints; False: their sum over those of all its
                                       # foreground RoIs at most, for which Detectron has a LOSS_WEIGHT of 4

# cascade ----------------------------------------------------------------------------------------------------------
_C.CASCADE.IOUS = (0.5, 0.6, 0.7)      # FRCNN.FG_THRESH of each stage
_C.CASCADE.LOSS_TYPE = ""              # as RPN.LOSS_TYPE; "": that of FRCNN.LOSS_TYPE
# FRCNN.BBOX_REG_WEIGHTS of each stage
_C.CASCADE.BBOX_REG_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))

# inference --------------------------------------------------------------------------------------------------------
_C.TEST.IMS_PER_BATCH = 1              # images that go through the network together
_C.TEST.FRCNN_NMS_THRESH = 0.5         # IoU beyond which the better detection of a class suppresses the other
_C.TEST.RESULT_SCORE_THRESH = 0.05     # detections below this score are dropped
_C.TEST.RESULT_SCORE_THRESH_VIS = 0.5  # detections below this score are not drawn
_C.TEST.KEYPOINT_SCORE_THRESH_VIS = 0.05    # keypoints of drawn detections below this score of their own are not drawn
_C.TEST.OBJECTNESS_THRESH_VIS = 0.5    # proposals below it are not drawn by --visualize
_C.TEST.RESULTS_PER_IM = 100           # detections that are kept of an image
_C.TEST.TRACK = False                  # in a video, each object keeps its number and its colour from frame to frame
_C.TEST.TRACK_IOU = 0.2                # with where an object is expected, from which on a detection is taken for it
_C.TEST.TRACK_LOST = 30                # frames that an object may be out of sight and still keep its number
_C.TEST.NMS_CLASS_AGNOSTIC = False     # NMS of all classes together, so that an object has one class
_C.TEST.SOFT_NMS = ""                  # "linear" or "gaussian": NMS lowers scores, and drops what falls below 1e-4
_C.TEST.SOFT_NMS_SIGMA = 0.5           # of "gaussian", whose factor is exp(-IoU^2 / sigma); smaller is stricter
_C.TEST.BBOX_VOTE_THRESH = 0.0         # a box becomes the mean of what overlaps it by this IoU, by score; 0: off
_C.TEST.OKS_SIGMAS = ()                # of OKS, one for each keypoint; (): COCO's for its 17, 0.05 for each of others
_C.TEST.PRECISION = "float32"          # of the layers: "float32", "bfloat16" (new CPUs and GPUs) or "float16" (GPUs)
_C.TEST.CACHE_GRAPH = False            # keep the frozen network in the user's cache folder, so that it loads faster
# test-time augmentation: what is found in several views of an image, joined
_C.TEST.AUG = AttrDict()
_C.TEST.AUG.SCALES = ()                # short edges of views besides PREPROC.TEST_SHORT_EDGE_SIZE, such as (600, 1000)
_C.TEST.AUG.MAX_SIZE = 2000            # longest long edge of these
_C.TEST.AUG.HFLIP = False              # each view also with left and right swapped


def new_config():
    """Returns: AttrDict, an independent copy of the defaults that is not frozen"""
    return _C.clone()


config = new_config()    # of this process, which the command line changes


def finalize_configs(cfg, is_training):
    """
    Check a config, fill what follows from other keys, and freeze it.

    Args:
        cfg (AttrDict): DATA.CLASS_NAMES and DATA.CATEGORY_IDS must be filled (`data.fill_categories` does)
        is_training (bool): also check what only training needs

    Raises:
        ConfigError: naming the key, its value and the remedy
    """
    cfg.DATA.NUM_CATEGORY = len(cfg.DATA.CLASS_NAMES)
    cfg.CASCADE.LOSS_TYPE = cfg.CASCADE.LOSS_TYPE or cfg.FRCNN.LOSS_TYPE
    for part in (cfg.RPN, cfg.FRCNN, cfg.CASCADE):
        part.LOSS_TYPE = {"sl1": "smooth_l1"}.get(part.LOSS_TYPE, part.LOSS_TYPE)
    check_config(cfg, is_training)
    cfg.freeze()


def gives_candidates(cfg):
    """Returns: bool, whether detections are made behind the network, of what it gives before NMS"""
    test = cfg.TEST
    return bool(test.AUG.SCALES or test.AUG.HFLIP or test.SOFT_NMS or test.BBOX_VOTE_THRESH
                or test.NMS_CLASS_AGNOSTIC)


def inference_settings(cfg):
    """Returns: dict of dotted key to value, of all that detections depend on besides weights and images"""
    return {key: value for key, value in cfg.flatten().items()
            if not key.startswith(("TRAIN", "DATA.")) and key != "TEST.CACHE_GRAPH"
            or key in ("DATA.CLASS_NAMES", "DATA.CATEGORY_IDS") or key.startswith("DATA.KEYPOINT")}


def save_config(cfg, path):
    """
    Write a config as json, for `load_config`, whole or not at all.

    Raises:
        UserError: it cannot be written
    """
    with whole_file(path, encoding="utf-8") as f:
        json.dump(cfg.to_dict(), f, indent=1)


def load_config(cfg, path):
    """
    Set the keys of a `config.json` on `cfg`. Keys that this version does not know are named in a warning.

    Raises:
        ConfigError: the file cannot be read, or a value is of another type
    """
    try:
        with open(path, encoding="utf-8") as f:
            saved = json.load(f)
        if not isinstance(saved, dict):
            raise ValueError("not a config")
    except (OSError, ValueError, RecursionError) as e:
        raise ConfigError(f"config: cannot read {path} ({e}); "
                          "--load takes a run's folder, a checkpoint or a weight file") from None
    # a part such as TRAIN is known too, but not as a value
    known = {*cfg.flatten(), *cfg.keys()}
    unknown = []
    for key, value in AttrDict(saved).flatten().items():
        if key in known:
            cfg.set(key, value)
        else:
            unknown.append(key)
    if unknown:
        warn(f"warning: {path} is of another version, and what it says of {', '.join(unknown)} has no effect here")
