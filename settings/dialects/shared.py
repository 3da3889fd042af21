"""What the other projects say in like words: schedules, images, data sets, weights, proposals."""
import os
import re
from fractions import Fraction

UPDATE_BATCH = 8    # images that our rate and steps are for, whatever the real number
BLOCKS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
# what all of them have without a key: the largest growth of a box, negative anchors in crowds, NMS of each level
ALWAYS = {"FRCNN.MAX_BOX_GROWTH": 62.5, "RPN.CROWD_OVERLAP_THRESH": 9.99, "FPN.PROPOSAL_MODE": "Level",
          "BACKBONE.WIDTH": 64, "BACKBONE.TF_PAD_MODE": False, "RPN.ANCHOR_STRIDE": 16}
LOSSES = {**{kind: kind for kind in ("smooth_l1", "iou", "giou", "diou", "ciou")}, "sl1": "smooth_l1"}
FROM_BATCH = "all visible GPUs are used; rate and steps follow from the images of a step"
SPLITS = "train|valminusminival|val|minival|test-dev|test"


# schedule -----------------------------------------------------------------------------------------------------------
def set_schedule(theirs, batch, drops, end):
    """
    Rates and steps of theirs are for their number of images a step, ours for 8.

    Args:
        batch (int): images a step on all their GPUs
        drops: their steps at which the rate falls
        end (int): their last step
    """
    steps = [step for step in drops if step < end] + [end]
    theirs.ours["TRAIN.LR_SCHEDULE"] = tuple(round(Fraction(step * batch, UPDATE_BATCH)) for step in steps)
    theirs.ours["TRAIN.BASE_LR"] = theirs["SOLVER.BASE_LR"] * UPDATE_BATCH / batch


def set_warm_up(theirs, steps_key, factor_key):
    """A warm-up is of steps and rates as they are, also here; it is theirs where a step has as many images."""
    theirs.ours["TRAIN.WARMUP"] = theirs[steps_key]
    theirs.ours["TRAIN.WARMUP_INIT_LR"] = theirs["SOLVER.BASE_LR"] * theirs[factor_key]


def images_per_gpu(batch, num_gpus=8):
    """Returns: int, images on each GPU where a config only has those of all; the zoos' are for 8 GPUs"""
    return batch // num_gpus if batch % num_gpus == 0 else 1


def periods(theirs, keys):
    """Args: keys (dict): key of theirs, a number of steps, to key of ours, a number of epochs of 500 steps"""
    for key, ours in keys.items():
        if key in theirs.said and theirs[key] > 0:
            theirs.ours[ours] = max(1, (theirs[key] + 250) // 500)


# images -------------------------------------------------------------------------------------------------------------
def set_max_size(theirs, training, testing):
    """Args: training, testing (str): keys of the longest long edge"""
    theirs.ours["PREPROC.MAX_SIZE"] = theirs[training]
    if theirs[testing] != theirs[training]:
        theirs.note_default(testing, f"PREPROC.MAX_SIZE is for both; it is {training}'s")


def set_short_edges(theirs, edges, is_range=False):
    """Args: edges (tuple of int); is_range (bool): they are the lowest and the highest of a range"""
    theirs.ours["PREPROC.TRAIN_SHORT_EDGE_SIZE"] = (min(edges), max(edges))
    theirs.ours["PREPROC.TRAIN_SHORT_EDGES"] = () if is_range or len(set(edges)) == 1 else edges


def set_pixels(theirs, mean, std):
    """Args: mean, std: three numbers in BGR order; ours are in RGB order"""
    theirs.ours["PREPROC.PIXEL_MEAN"], theirs.ours["PREPROC.PIXEL_STD"] = mean[::-1], std[::-1]


# data sets and weights ----------------------------------------------------------------------------------------------
def set_datasets(theirs, training, testing):
    """Args: training, testing (str): keys of their names; a file that has none leaves ours"""
    for key, ours in {training: "DATA.TRAIN", testing: "DATA.VAL"}.items():
        if not all(isinstance(name, str) for name in theirs[key]):
            raise theirs.refusal(key, "must be names of data sets")
        if theirs[key]:
            theirs.ours[ours] = tuple(dataset_name(name) for name in theirs[key])


def dataset_name(name):
    """
    Returns:
        str, our name of a data set; one that is no known one of COCO or VOC stays as it is

    >>> dataset_name("coco_2014_valminusminival"), dataset_name("keypoints_coco_2017_val")
    ('valminusminival2014', 'person_keypoints_val2017')
    """
    match = re.fullmatch(rf"(keypoints_)?coco_(\d{{4}})_({SPLITS})(_100)?", name)
    if match:
        keypoints, year, split, small = match.groups("")
        return f"{'person_keypoints_' if keypoints else ''}{split}{year}{small}"
    return re.sub(r"^(voc_\d{4}_[a-z]+)_cocostyle$", r"\1", name)


def set_weights(theirs, key):
    """What is on this machine is what a training starts from; what would have to be fetched is not."""
    path = theirs[key]
    if "://" in path:
        theirs.note(key, "is not fetched; download it and give BACKBONE.WEIGHTS")
    elif path:
        theirs.ours["BACKBONE.WEIGHTS"] = os.path.expanduser(path)


# network ------------------------------------------------------------------------------------------------------------
def set_norm(theirs, norm):
    """Fixed norms of theirs have no gradient, so their scale and shift are not trained."""
    theirs.ours.update({"BACKBONE.NORM": norm, "BACKBONE.FREEZE_AFFINE": norm == "FreezeBN"})


def set_freeze_at(theirs, key):
    if theirs[key] not in (0, 1, 2):
        raise theirs.lacks(key, "0 (nothing), 1 (the stem) or 2 (and the first stage) can be frozen")
    theirs.ours["BACKBONE.FREEZE_AT"] = theirs[key]


def set_pyramid_proposals(theirs, phase, before, after):
    """
    Args:
        phase (str): "TRAIN" or "TEST"
        before, after (int): proposals of a level before NMS, of all levels of an image behind it
    """
    theirs.ours[f"RPN.{phase}_PER_LEVEL_NMS_TOPK"] = before
    theirs.ours[f"RPN.{phase}_ALL_LEVELS_TOPK"] = after


def set_joint_proposals(theirs, phase, before, after):
    """As `set_pyramid_proposals`, of a single level."""
    theirs.ours[f"RPN.{phase}_PRE_NMS_TOPK"] = before
    theirs.ours[f"RPN.{phase}_POST_NMS_TOPK"] = after


def set_mask_convs(theirs, key, count, is_shared=True):
    """
    Args:
        key (str): named in messages
        count (int): convolutions before the transposed one
        is_shared (bool): on C4, conv5 is the box head's
    """
    on_c4 = {0: "v0upshare" if is_shared else "v0up"}
    heads = {4: "v1up4convs", 2: "v1up"} if theirs.ours["MODE_FPN"] else on_c4
    if count not in heads:
        raise theirs.lacks(key, f"a mask head has {' or '.join(map(str, heads))} convolutions "
                             "before the transposed one")
    theirs.ours["MRCNN.HEAD"] = heads[count]


def set_keypoint_convs(theirs, key):
    """Args: key (str): of the channels of each convolution"""
    channels = theirs.numbers(key)
    if len(set(channels)) > 1:
        raise theirs.lacks(key, "all convolutions of a keypoint head are alike")
    theirs.ours.update({"KRCNN.NUM_CONVS": len(channels), "KRCNN.HEAD_DIM": channels[0]})
