"""The config: every key with its default, and how the command line changes it.

`config` is one mutable tree of attributes, `config.TRAIN.BASE_LR = 0.02`. Entry points update it from `KEY=VALUE`
words, then `finalize_configs` checks it, derives what follows from other keys, and freezes it. The parts of the program
that are put together from it take it as an argument, so several configs can live in one process (`config.clone()`).
"""
import ast
import copy
import difflib
import json
import os

from common import UserError, whole_file


# the model zoo's: the longer ones keep the last two parts of a fixed length
LR_SCHEDULES = {"1x": (120000, 160000, 180000),
                **{f"{k}x": (180000 * k - 120000, 180000 * k - 40000, 180000 * k) for k in range(2, 10)}}

PRECISIONS = ("float32", "bfloat16", "float16")


class ConfigError(UserError):
    """A key or a value of the config that cannot be used; the message names both and the remedy."""


class AttrDict:
    """A tree of attributes. Keys can be added until it is frozen; afterwards nothing changes."""

    def __init__(self, tree=None):
        self.__dict__["_frozen"] = False
        for key, value in (tree or {}).items():
            setattr(self, key, AttrDict(value) if isinstance(value, dict) else value)

    def __setattr__(self, key, value):
        if self._frozen:
            raise ConfigError(f"config: {key}={value!r} comes too late, the config is frozen after finalize_configs; "
                              "change it before, or work on config.clone()")
        self.__dict__[key] = value

    def __getattr__(self, key):
        # only called for a key that is not there
        raise AttributeError(f"config has no key {key}; the keys here are {', '.join(self.keys())}")

    def keys(self):
        """Returns: list[str], the keys on this level"""
        return [k for k in self.__dict__ if k != "_frozen"]

    def flatten(self, prefix=""):
        """Returns: dict of "A.B.C" to value, in the order of definition"""
        flat = {}
        for key in self.keys():
            value = getattr(self, key)
            if isinstance(value, AttrDict):
                flat.update(value.flatten(f"{prefix}{key}."))
            else:
                flat[prefix + key] = value
        return flat

    def to_dict(self):
        """Returns: a nested dict, which `AttrDict` and json take"""
        values = {key: getattr(self, key) for key in self.keys()}
        return {key: v.to_dict() if isinstance(v, AttrDict) else v for key, v in values.items()}

    def clone(self):
        """Returns: an independent copy that is not frozen"""
        return AttrDict(copy.deepcopy(self.to_dict()))

    def freeze(self):
        self.__dict__["_frozen"] = True
        for value in self.__dict__.values():
            if isinstance(value, AttrDict):
                value.freeze()

    def set(self, key, value):
        """
        Set one key by its dotted name.

        Args:
            key (str): such as "TRAIN.BASE_LR"
            value: of the type of the value it replaces; an int may stand for a float, a list for a tuple, and "2x"
                for the steps of TRAIN.LR_SCHEDULE

        Raises:
            ConfigError: the key is not known, or the value is of another type
        """
        flat = self.flatten()
        if key not in flat:
            close = _closest_keys(key, flat)
            raise ConfigError(f"config: there is no key {key}; " + (
                f"did you mean {' or '.join(close)}?" if close else "config.py lists them all"))
        if key == "TRAIN.LR_SCHEDULE" and isinstance(value, str):
            value = LR_SCHEDULES.get(value, value)
        node = self
        *path, leaf = key.split(".")
        for name in path:
            node = getattr(node, name)
        setattr(node, leaf, _cast(key, value, flat[key]))

    def update_args(self, words, _files=()):
        """
        Apply the words of `--config`, left to right; the later wins.

        Args:
            words (list[str]): "KEY=VALUE", where VALUE is a Python literal or a bare string, or "@FILE" with such a
                word per line ("#" starts a comment line)

        Raises:
            ConfigError: a word cannot be used
        """
        for word in words:
            if word.startswith("@"):
                path = os.path.realpath(word[1:])
                if path in _files:
                    raise ConfigError(f"config: {word[1:]} includes itself; take the line {word} out")
                self.update_args(_words_of_file(word[1:]), (*_files, path))
                continue
            key, equals, text = word.partition("=")
            if not equals:
                raise ConfigError(f"config: {word!r} is not KEY=VALUE; write for example TRAIN.BASE_LR=0.01, "
                                  "or @configs/demo.cfg")
            self.set(key.strip(), _literal(text.strip()))


def _closest_keys(key, keys):
    """Returns: list of at most three of `keys`, those like `key` as a whole, or else in their last part"""
    wanted = key.upper()
    close = difflib.get_close_matches(wanted, keys, n=3, cutoff=0.5)
    if not close:
        last_part = {k: k.rsplit(".", 1)[-1] for k in keys}
        best = difflib.get_close_matches(wanted.rsplit(".", 1)[-1], last_part.values(), n=1, cutoff=0.5)
        close = [k for k in keys if last_part[k] in best]
    return close[:3]


def _words_of_file(path):
    try:
        with open(path, encoding="utf-8") as f:
            lines = [line.strip() for line in f]
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"config: cannot read {path} ({getattr(e, 'strerror', None) or 'not a text file'}); "
                          "@FILE names a file of KEY=VALUE lines, such as @configs/demo.cfg") from None
    return [line for line in lines if line and not line.startswith("#")]


class _Bare(str):
    """A VALUE that is no Python literal."""

    __slots__ = ()


def _literal(text):
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _Bare(text)
    if not isinstance(value, str):
        # a key that holds a string wants the text, whatever it looks like
        value = _WithText(value, text)
    return value


class _WithText:
    """A Python literal and the text it was read from."""

    def __init__(self, value, text):
        self.value, self.text = value, text


def _type_name(default):
    if isinstance(default, (tuple, list)):
        return f"a tuple of {type(default[0]).__name__}" if len(default) else "a tuple"
    return {bool: "True or False", int: "an int", float: "a float", str: "a string"}[type(default)]


def _cast(key, value, default):
    text = value.text if isinstance(value, _WithText) else value
    literal = value.value if isinstance(value, _WithText) else value

    def wrong():
        kind = "a string" if isinstance(literal, str) else f"of type {type(literal).__name__}"
        return ConfigError(f"config: {key}={text} is {kind}, but {key} takes {_type_name(default)}, "
                           f"such as {default!r}")

    if isinstance(default, str):
        if not isinstance(text, str):
            raise wrong()
        return str(text)
    value = literal
    if isinstance(default, (tuple, list)):
        if isinstance(value, str) and (not len(default) or isinstance(default[0], str)):
            value = tuple(str(v) for v in value.split(",")) if isinstance(value, _Bare) else (value,)
        if not isinstance(value, (tuple, list)):
            raise wrong()
        try:
            return tuple(_cast(key, v, default[0]) if len(default) else v for v in value)
        except ConfigError:
            raise wrong() from None
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise wrong() from None
    if type(value) is not type(default):
        raise wrong()
    return value


config = AttrDict({
    k: {} for k in ("DATA", "BACKBONE", "TRAIN", "PREPROC", "RPN", "FRCNN", "FPN", "MRCNN", "CASCADE", "TEST")})
_C = config

# mode -------------------------------------------------------------------------------------------------------------
_C.TRAINER = "replicated"     # "replicated": one process, all its GPUs or the CPU; "horovod": a process for each GPU
_C.MODE_MASK = True           # Mask R-CNN, or Faster R-CNN
_C.MODE_FPN = True            # feature pyramid, or a single C4 level

# data sets --------------------------------------------------------------------------------------------------------
_C.DATA.BASEDIR = "datasets/coco"      # folder with annotations/instances_NAME.json and the images in NAME/
_C.DATA.TRAIN = ("train2017",)         # data sets to train on, joined
_C.DATA.VAL = ("val2017",)             # data sets to evaluate, each by itself
_C.DATA.NUM_WORKERS = 4                # processes that prepare training images; 0: in this process
_C.DATA.FILTER_EMPTY = True            # train only on images with at least one object that is no crowd
_C.DATA.CLASS_NAMES = ()               # filled from the data set, without the background
_C.DATA.CATEGORY_IDS = ()              # filled from the data set: the id in its files of each of CLASS_NAMES
_C.DATA.NUM_CATEGORY = 0               # filled from the data set: how many classes, without the background

# backbone ---------------------------------------------------------------------------------------------------------
_C.BACKBONE.WEIGHTS = ""               # weights to start a training from
_C.BACKBONE.RESNET_NUM_BLOCKS = (3, 4, 6, 3)    # R50; R101 is (3, 4, 23, 3), R152 is (3, 8, 36, 3)
_C.BACKBONE.WIDTH = 64                 # channels of the stem; the stages have 4, 8, 16 and 32 times as many
_C.BACKBONE.NORM = "FreezeBN"          # "FreezeBN", "SyncBN" (statistics of all GPUs' batches), "GN" or "None"
_C.BACKBONE.FREEZE_AFFINE = False      # do not train gamma and beta of the norms
_C.BACKBONE.FREEZE_AT = 2              # 0: train all; 1: freeze the stem; 2: and the first stage
_C.BACKBONE.TF_PAD_MODE = False        # pad strided convolutions as TensorFlow's "SAME" does
_C.BACKBONE.STRIDE_1X1 = False         # stride in the first 1x1 of a bottleneck (MSRA weights), not in its 3x3

# training: schedule and learning rate are for 8 images a step and scaled to the real number --------------------------
_C.TRAIN.IMS_PER_GPU = 1               # images a step on each GPU, or on the CPU
_C.TRAIN.NUM_GPUS = 0                  # 0: all visible GPUs, or the CPU when there is none
_C.TRAIN.BASE_LR = 1e-2
_C.TRAIN.WARMUP = 1000                 # steps of linear warm-up
_C.TRAIN.WARMUP_INIT_LR = 1e-5         # learning rate at step 0
_C.TRAIN.LR_SCHEDULE = (120000, 160000, 180000)    # steps: falls tenfold at all but the last, the end; or "1x" to "9x"
_C.TRAIN.STEPS_PER_EPOCH = 500         # an epoch is a number of steps, not a pass over the data
_C.TRAIN.MOMENTUM = 0.9
_C.TRAIN.WEIGHT_DECAY = 1e-4
_C.TRAIN.GRADIENT_CLIP = 0.0           # largest norm of the whole gradient; 0: no clipping
_C.TRAIN.EVAL_PERIOD = 50              # epochs between evaluations; there is one at the end too
_C.TRAIN.CHECKPOINT_PERIOD = 5         # epochs between checkpoints; there is one at the end too
_C.TRAIN.MAX_TO_KEEP = 5               # checkpoints that are kept
_C.TRAIN.PRECISION = "float32"         # of the layers: "float32", "bfloat16" or "float16"; variables are float32
_C.TRAIN.COMPRESSION = "none"          # with TRAINER=horovod, "fp16" sends gradients as float16
_C.TRAIN.SEED = 0                      # of the initial weights, the order of the data and the sampling

# images -----------------------------------------------------------------------------------------------------------
_C.PREPROC.TRAIN_SHORT_EDGE_SIZE = (800, 800)      # shortest and longest short edge, drawn uniformly
_C.PREPROC.TEST_SHORT_EDGE_SIZE = 800
_C.PREPROC.MAX_SIZE = 1333             # longest long edge, in training and in inference
_C.PREPROC.PIXEL_MEAN = (123.675, 116.28, 103.53)  # in RGB order, as published
_C.PREPROC.PIXEL_STD = (58.395, 57.12, 57.375)

# anchors ----------------------------------------------------------------------------------------------------------
_C.RPN.ANCHOR_STRIDE = 16                          # C4 only
_C.RPN.ANCHOR_SIZES = (32, 64, 128, 256, 512)      # square roots of the areas; FPN has one on each level
_C.RPN.ANCHOR_RATIOS = (0.5, 1.0, 2.0)             # height / width
_C.RPN.POSITIVE_ANCHOR_THRESH = 0.7
_C.RPN.NEGATIVE_ANCHOR_THRESH = 0.3

# region proposal network ------------------------------------------------------------------------------------------
_C.RPN.FG_RATIO = 0.5                  # largest share of foreground among the sampled anchors
_C.RPN.BATCH_PER_IM = 256              # anchors sampled in an image, over all levels
_C.RPN.MIN_SIZE = 0.0                  # proposals with a shorter edge are dropped
_C.RPN.LOSS_TYPE = "smooth_l1"         # of the boxes: "smooth_l1" (or "sl1"), "iou", "giou", "diou" or "ciou"
_C.RPN.LOSS_BBOX_WEIGHT = 1.0          # of the loss of the boxes
_C.RPN.PROPOSAL_NMS_THRESH = 0.7
_C.RPN.CROWD_OVERLAP_THRESH = 0.7      # anchors with this share inside a crowd region are ignored
_C.RPN.HEAD_DIM = 1024                 # C4 only
_C.RPN.TRAIN_PRE_NMS_TOPK = 12000      # these four: C4 and PROPOSAL_MODE "Joint"
_C.RPN.TRAIN_POST_NMS_TOPK = 2000
_C.RPN.TEST_PRE_NMS_TOPK = 6000
_C.RPN.TEST_POST_NMS_TOPK = 1000
_C.RPN.TRAIN_PER_LEVEL_NMS_TOPK = 2000    # FPN: proposals of a level before and after NMS, and of all levels together
_C.RPN.TEST_PER_LEVEL_NMS_TOPK = 1000

# box head ---------------------------------------------------------------------------------------------------------
_C.FRCNN.BATCH_PER_IM = 512            # RoIs sampled in an image
_C.FRCNN.BBOX_REG_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_C.FRCNN.FG_THRESH = 0.5
_C.FRCNN.FG_RATIO = 0.25               # largest share of foreground among the sampled RoIs
_C.FRCNN.LOSS_TYPE = "smooth_l1"       # as RPN.LOSS_TYPE
_C.FRCNN.LOSS_BBOX_WEIGHT = 1.0        # of the loss of the boxes, in each stage of a cascade too

# feature pyramid --------------------------------------------------------------------------------------------------
_C.FPN.ANCHOR_STRIDES = (4, 8, 16, 32, 64)    # of P2 to P6
_C.FPN.PROPOSAL_MODE = "Level"         # NMS of each level by itself; "Joint": of all together
_C.FPN.NUM_CHANNEL = 256
_C.FPN.NORM = "None"                   # "None" or "GN"
_C.FPN.FRCNN_HEAD_FUNC = "fastrcnn_2fc_head"
_C.FPN.FRCNN_CONV_HEAD_DIM = 256
_C.FPN.FRCNN_FC_HEAD_DIM = 1024
_C.FPN.MRCNN_HEAD_FUNC = "maskrcnn_up4conv_head"
_C.FPN.CASCADE = False

# mask head --------------------------------------------------------------------------------------------------------
_C.MRCNN.HEAD_DIM = 256
_C.MRCNN.GT_RESOLUTION = 112           # ground-truth masks travel as this many pixels squared inside their box

# cascade ----------------------------------------------------------------------------------------------------------
_C.CASCADE.IOUS = (0.5, 0.6, 0.7)
_C.CASCADE.LOSS_TYPE = ""              # as RPN.LOSS_TYPE; "": that of FRCNN.LOSS_TYPE
_C.CASCADE.BBOX_REG_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))

# inference --------------------------------------------------------------------------------------------------------
_C.TEST.IMS_PER_BATCH = 1              # images that go through the network together
_C.TEST.FRCNN_NMS_THRESH = 0.5
_C.TEST.RESULT_SCORE_THRESH = 0.05     # detections below this score are dropped
_C.TEST.RESULT_SCORE_THRESH_VIS = 0.5  # detections below this score are not drawn
_C.TEST.RESULTS_PER_IM = 100
_C.TEST.PRECISION = "float32"          # of the layers: "float32", "bfloat16" (new CPUs and GPUs) or "float16" (GPUs)
_C.TEST.CACHE_GRAPH = False            # keep the frozen network beside its weights, so that it loads faster


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
    _check_choice(flat, "BACKBONE.NORM", ["FreezeBN", "SyncBN", "GN", "None"])
    _check_choice(flat, "BACKBONE.FREEZE_AT", [0, 1, 2])
    _check_choice(flat, "FPN.PROPOSAL_MODE", ["Level", "Joint"])
    _check_choice(flat, "FPN.NORM", ["None", "GN"])
    _check_choice(flat, "FPN.FRCNN_HEAD_FUNC",
                  ["fastrcnn_2fc_head", "fastrcnn_4conv1fc_head", "fastrcnn_4conv1fc_gn_head"])
    _check_choice(flat, "FPN.MRCNN_HEAD_FUNC", ["maskrcnn_up4conv_head", "maskrcnn_up4conv_gn_head"])

    _check_length(flat, "BACKBONE.RESNET_NUM_BLOCKS", 4, "R50 is (3, 4, 6, 3)")
    _check(min(flat["BACKBONE.RESNET_NUM_BLOCKS"]) > 0,
           f"BACKBONE.RESNET_NUM_BLOCKS={flat['BACKBONE.RESNET_NUM_BLOCKS']} must be positive, R50 is (3, 4, 6, 3)")
    _check_range(flat, "BACKBONE.WIDTH RPN.HEAD_DIM FPN.NUM_CHANNEL FPN.FRCNN_CONV_HEAD_DIM FPN.FRCNN_FC_HEAD_DIM "
                       "MRCNN.HEAD_DIM", 1)
    if flat["BACKBONE.NORM"] == "GN":
        _check_groups(flat, "BACKBONE.WIDTH", [flat["BACKBONE.WIDTH"] * 2 ** i for i in range(6)])
    if flat["MODE_FPN"]:
        _check_pyramid(flat)
    else:
        _check(not flat["FPN.CASCADE"], "FPN.CASCADE=True needs the pyramid; set MODE_FPN=True, or FPN.CASCADE=False")
        _check(flat["RPN.ANCHOR_STRIDE"] == 16, f"RPN.ANCHOR_STRIDE={flat['RPN.ANCHOR_STRIDE']} must be 16, C4's")
    sizes = flat["RPN.ANCHOR_SIZES"]
    _check(len(sizes) > 0 and min(sizes) > 0, f"RPN.ANCHOR_SIZES={sizes} must be positive numbers, at least one")
    _check(len(flat["RPN.ANCHOR_RATIOS"]) > 0 and min(flat["RPN.ANCHOR_RATIOS"]) > 0,
           f"RPN.ANCHOR_RATIOS={flat['RPN.ANCHOR_RATIOS']} must be positive numbers, at least one")
    _check_length(flat, "FRCNN.BBOX_REG_WEIGHTS", 4, "for x, y, width and height")

    _check_range(flat, "TEST.IMS_PER_BATCH TEST.RESULTS_PER_IM RPN.BATCH_PER_IM FRCNN.BATCH_PER_IM "
                       "RPN.TRAIN_PRE_NMS_TOPK RPN.TRAIN_POST_NMS_TOPK RPN.TEST_PRE_NMS_TOPK RPN.TEST_POST_NMS_TOPK "
                       "RPN.TRAIN_PER_LEVEL_NMS_TOPK RPN.TEST_PER_LEVEL_NMS_TOPK", 1)
    _check_range(flat, "RPN.POSITIVE_ANCHOR_THRESH RPN.NEGATIVE_ANCHOR_THRESH RPN.FG_RATIO RPN.PROPOSAL_NMS_THRESH "
                       "FRCNN.FG_THRESH FRCNN.FG_RATIO TEST.FRCNN_NMS_THRESH TEST.RESULT_SCORE_THRESH", 0, 1)
    _check_choice(flat, "TEST.PRECISION", PRECISIONS)
    # with fewer, rounding decides about the outermost of the mask head's 28 bins
    _check_range(flat, "MRCNN.GT_RESOLUTION", 56)


def _check_pyramid(flat):
    norms = {"FPN.NUM_CHANNEL": flat["FPN.NORM"], "FPN.FRCNN_CONV_HEAD_DIM": flat["FPN.FRCNN_HEAD_FUNC"],
             "MRCNN.HEAD_DIM": flat["FPN.MRCNN_HEAD_FUNC"]}
    for key, norm in norms.items():
        if norm == "GN" or norm.endswith("_gn_head"):
            _check_groups(flat, key, [flat[key]])
    _check(tuple(flat["FPN.ANCHOR_STRIDES"]) == (4, 8, 16, 32, 64),
           f"FPN.ANCHOR_STRIDES={flat['FPN.ANCHOR_STRIDES']} must be (4, 8, 16, 32, 64), the strides of P2 to P6")
    _check_length(flat, "RPN.ANCHOR_SIZES", 5, "one for each of FPN.ANCHOR_STRIDES")
    if flat["FPN.CASCADE"]:
        ious, weights = flat["CASCADE.IOUS"], flat["CASCADE.BBOX_REG_WEIGHTS"]
        _check(len(ious) == len(weights) > 1 and all(len(w) == 4 for w in weights) and all(0 <= i <= 1 for i in ious),
               f"CASCADE.IOUS={ious} must be two or more IoUs in 0..1, with 4 numbers for each of them in "
               f"CASCADE.BBOX_REG_WEIGHTS={weights}")


def _check_losses(flat):
    for key in ("RPN.LOSS_TYPE", "FRCNN.LOSS_TYPE", "CASCADE.LOSS_TYPE"):
        _check_choice(flat, key, ["smooth_l1", "sl1", "iou", "giou", "diou", "ciou"])
    _check_range(flat, "RPN.LOSS_BBOX_WEIGHT FRCNN.LOSS_BBOX_WEIGHT", 0)


def _check_images(flat, is_training):
    sizes = flat["PREPROC.TRAIN_SHORT_EDGE_SIZE"]
    short_edges = {"TEST": flat["PREPROC.TEST_SHORT_EDGE_SIZE"]}
    if is_training:
        _check(len(sizes) == 2 and 0 < sizes[0] <= sizes[1],
               f"PREPROC.TRAIN_SHORT_EDGE_SIZE={sizes} must be (shortest, longest)")
        short_edges["TRAIN"] = sizes[1]
    for key, size in short_edges.items():
        _check(0 < size <= flat["PREPROC.MAX_SIZE"],
               f"PREPROC.{key}_SHORT_EDGE_SIZE={size} must be positive and at most "
               f"PREPROC.MAX_SIZE={flat['PREPROC.MAX_SIZE']}")
    for key in ("PREPROC.PIXEL_MEAN", "PREPROC.PIXEL_STD"):
        _check_length(flat, key, 3, "for red, green and blue")
    _check(min(flat["PREPROC.PIXEL_STD"]) > 0, f"PREPROC.PIXEL_STD={flat['PREPROC.PIXEL_STD']} must be positive")


def _check_training(flat):
    _check_choice(flat, "TRAINER", ["replicated", "horovod"])
    _check_choice(flat, "TRAIN.COMPRESSION", ["none", "fp16"])
    _check_choice(flat, "TRAIN.PRECISION", PRECISIONS)
    schedule = flat["TRAIN.LR_SCHEDULE"]
    _check(len(schedule) > 0 and list(schedule) == sorted(set(schedule)) and schedule[0] > 0,
           f"TRAIN.LR_SCHEDULE={schedule} must be growing numbers of steps, the last of which ends the training")
    _check_range(flat, "TRAIN.IMS_PER_GPU TRAIN.STEPS_PER_EPOCH TRAIN.EVAL_PERIOD TRAIN.CHECKPOINT_PERIOD "
                       "TRAIN.MAX_TO_KEEP", 1)
    _check_range(flat, "TRAIN.NUM_GPUS TRAIN.WARMUP TRAIN.SEED DATA.NUM_WORKERS", 0)


def finalize_configs(cfg, is_training):
    """
    Check a config, fill what follows from other keys, and freeze it.

    Args:
        cfg (AttrDict): DATA.CLASS_NAMES and DATA.CATEGORY_IDS must be filled (`data.fill_categories` does)
        is_training (bool): also check what only training needs

    Raises:
        ConfigError: naming the key, its value and the remedy
    """
    cfg.DATA.BASEDIR = os.path.expanduser(cfg.DATA.BASEDIR)
    cfg.DATA.NUM_CATEGORY = len(cfg.DATA.CLASS_NAMES)
    cfg.CASCADE.LOSS_TYPE = cfg.CASCADE.LOSS_TYPE or cfg.FRCNN.LOSS_TYPE
    for part in (cfg.RPN, cfg.FRCNN, cfg.CASCADE):
        part.LOSS_TYPE = {"sl1": "smooth_l1"}.get(part.LOSS_TYPE, part.LOSS_TYPE)
    flat = cfg.flatten()
    _check(cfg.DATA.NUM_CATEGORY > 0,
           "DATA.CLASS_NAMES=() is empty; it is filled from DATA.TRAIN or DATA.VAL, or from a run's config.json")
    _check_length(flat, "DATA.CATEGORY_IDS", cfg.DATA.NUM_CATEGORY, "one for each of DATA.CLASS_NAMES")
    _check_network(flat)
    _check_losses(flat)
    _check_images(flat, is_training)
    if is_training:
        _check_training(flat)
    cfg.freeze()


def inference_settings(cfg):
    """Returns: dict of dotted key to value, of all that detections depend on besides weights and images"""
    return {key: value for key, value in cfg.flatten().items()
            if not key.startswith(("TRAIN", "DATA.")) and key != "TEST.CACHE_GRAPH"
            or key in ("DATA.CLASS_NAMES", "DATA.CATEGORY_IDS")}


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
    Set the keys of a `config.json` on `cfg`.

    Raises:
        ConfigError: the file cannot be read, or has a key that this version does not know
    """
    try:
        with open(path, encoding="utf-8") as f:
            saved = json.load(f)
        if not isinstance(saved, dict):
            raise ValueError("not a config")
    except (OSError, ValueError, RecursionError) as e:
        raise ConfigError(f"config: cannot read {path} ({e}); "
                          "--load takes a run's folder, a checkpoint or a weight file") from None
    for key, value in AttrDict(saved).flatten().items():
        cfg.set(key, value)
