"""Whether weights fit a network, and loading them into its variables."""
import re

from common import UserError

from tensorpack import tfv1
from tensorpack.utils import logger

from weights import detectron

# layers whose shape follows from the number of classes or keypoints: of FPN and C4, of a cascade, of other heads
PER_CLASS = re.compile(
    r"(fastrcnn(/outputs)?|cascade_rcnn_stage\d/outputs)/(class|box)/|maskrcnn/conv/|keypointrcnn/deconv/")

# norms of a pyramid and of heads: parts that are taken as a whole, or not at all where they have other norms
PART_NORM = re.compile(r"(fpn|fastrcnn|cascade_rcnn_stage\d|maskrcnn)/(?!group3).*/gamma")
# GN of heads as with FPN.HEAD_NORM_FIRST=True, and as with False
NORM_FIRST, NORM_BEHIND = re.compile(r".*/(conv|fcn)\d/gn/gamma"), re.compile(r"(?!fpn/).*/gn\d/gamma")


def is_network(name):
    """False for the state of a training: the optimizer, the step, averages for summaries."""
    last = name.rsplit("/", 1)[-1].split(":")[0]
    return last in ("W", "b", "gamma", "beta", "EMA") and not name.startswith(("EMA/", "AccumGrad"))


def network_variables():
    """Returns: dict of name to variable, of the default graph's variables that belong to the network"""
    return {v.op.name: v for v in tfv1.global_variables() if is_network(v.op.name)}


def check_fit(path, weights, variables, partial=False):
    """
    Say what of a weight file the network takes, and refuse one that is of another network.

    Args:
        path (str): named in messages
        weights (dict): name to array, of which shapes and types are read
        variables (dict): name to variable, the network's
        partial (bool): variables that the file lacks, and classifiers for another number of classes, keep their
            initial values, as for a training that starts from a backbone; without it they are an error

    Returns:
        dict of name to array, of those that the network takes

    Raises:
        UserError: nothing fits, a shape differs, or, unless `partial`, a variable is missing
    """
    if partial:
        weights = _without_other_norms(path, {**_for_own_conv5(weights, variables), **weights}, variables)
    fitting = {name: value for name, value in weights.items() if name in variables}
    if not fitting:
        raise UserError(f"{path}: none of its {len(weights)} arrays belongs to this network; "
                        "is it the weight file of another kind of network?")
    _check_floats(path, fitting)
    fitting = _check_shapes(path, fitting, variables, partial)
    if not fitting:
        raise UserError(f"{path}: of its {len(weights)} arrays only classifiers belong to this network, and they are "
                        "for another number of classes")
    missing = [name for name in variables if name not in fitting]
    unused = [name for name in weights
              if name not in variables and (is_network(name) or detectron.is_detectron_name(name))]
    not_used = f"; {len(unused)} arrays not used, such as {unused[0]}" if unused else ""
    if missing and not partial:
        raise UserError(f"{path} is of another architecture: it lacks {len(missing)} of {len(variables)} variables, "
                        f"such as {missing[0]}{not_used}; {_remedy(unused, missing)}")
    logger.info(f"{path}: {len(fitting)} arrays loaded" + (
        f"; {len(missing)} variables keep their initial values, such as {missing[0]}" if missing else "") + not_used)
    return fitting


def _for_own_conv5(weights, variables):
    """Returns: dict, what a mask head's own conv5 starts from, as in Detectron: the conv5 of a file without it"""
    of_backbone = {name: name.removeprefix("maskrcnn/") for name in variables if name.startswith("maskrcnn/group3/")}
    return {name: weights[source] for name, source in of_backbone.items() if source in weights}


def _without_other_norms(path, weights, variables):
    """Returns: dict, the weights without pyramid and heads whose norms are others than the network's"""
    other = [name for name in weights if PART_NORM.fullmatch(name) and name not in variables]
    parts = sorted({PART_NORM.fullmatch(name)[1] for name in other})
    left_out = [name for name in weights if name.split("/")[0] in parts]
    if any(name in variables for name in left_out):
        logger.info(f"{path} has other norms: {len(left_out)} arrays of {', '.join(parts)} are left out, as there is "
                    f"no {other[0]} here; {_remedy(other, variables)}")
    return {name: value for name, value in weights.items() if name not in left_out}


def _remedy(found, wanted):
    """Args: found, wanted: names of variables, of those that only a file has, and that a network has"""
    for norm_first, theirs, ours in ((True, NORM_FIRST, NORM_BEHIND), (False, NORM_BEHIND, NORM_FIRST)):
        if any(map(theirs.fullmatch, found)) and any(map(ours.fullmatch, wanted)):
            return f"set FPN.HEAD_NORM_FIRST={norm_first}"
    return "set --config to the model that the weights were made with"


def _check_floats(path, weights):
    for name, value in weights.items():
        if value.dtype.kind != "f":
            raise UserError(f"{path}: {name} is of type {value.dtype}, but weights are floats; export it again")


def _check_shapes(path, weights, variables, partial):
    """Returns: dict, the weights without classifiers for another number of classes"""
    shapes = {name: tuple(variables[name].shape.as_list()) for name in weights}
    differing = [name for name in weights if weights[name].shape != shapes[name]]
    other_classes = [name for name in differing if partial and PER_CLASS.match(name)]
    wrong = [name for name in differing if name not in other_classes]
    if wrong:
        name = wrong[0]
        raise UserError(f"{path} is of another architecture: {name} is {weights[name].shape} there and {shapes[name]} "
                        f"here ({len(wrong)} such); set --config to the model that the weights were made with")
    if other_classes:
        name = other_classes[0]
        logger.info(f"{path} is for another number of classes: {len(other_classes)} arrays of classifiers keep their "
                    f"initial values, such as {name}, {weights[name].shape} there and {shapes[name]} here")
    return {name: value for name, value in weights.items() if name not in other_classes}
