"""Weights on disk: finding them, checking that they fit, and loading them."""
import os
import re
import zipfile
import zlib

import numpy as np
from tensorpack import tfv1
from tensorpack.tfutils.sessinit import SessionInit
from tensorpack.tfutils.varmanip import SessionUpdate
from tensorpack.utils import logger

from checkpoint import newest_whole_checkpoint
from common import UserError, whole_file

from . import detectron, safe_pickle

# layers whose shape follows from the number of classes: of FPN and C4, of a cascade, of the mask head
PER_CLASS = re.compile(r"(fastrcnn(/outputs)?|cascade_rcnn_stage\d/outputs)/(class|box)/|maskrcnn/conv/")


def find_run(load, option="--load"):
    """
    What `--load` stands for.

    Args:
        load (str): a run's folder, a checkpoint ("model-500", with or without ".index"), an ".npz" or a ".pkl" file
        option (str): where the user gave it, named in messages

    Returns:
        (str, str or None): the path of the weights, and that of the run's config.json if there is one

    Raises:
        UserError: there are no weights at `load`
    """
    if os.path.isdir(load):
        path = newest_whole_checkpoint(load, logger.warn) or tfv1.train.latest_checkpoint(load)
        if path is None:
            raise UserError(f"{option} {load}: this folder has no checkpoint; give the --logdir of a training run")
    else:
        path = load[:-len(".index")] if load.endswith(".index") else load
        if not (path.endswith((".npz", ".pkl")) and os.path.isfile(path)) and not os.path.isfile(path + ".index"):
            raise UserError(f"{option} {load}: there is no such folder, checkpoint, .npz or .pkl file")
    config_path = os.path.join(os.path.dirname(path), "config.json")
    return path, config_path if os.path.isfile(config_path) else None


def read_weights(path):
    """
    Args:
        path (str): an .npz file, a .pkl of Detectron or Detectron2, or a checkpoint

    Returns:
        dict of variable name (without ":0") to array; of a .pkl, what has no counterpart here keeps its name

    Raises:
        UserError: the file is broken or of another format
    """
    if path.endswith(".pkl"):
        return detectron.convert(path, safe_pickle.load(path))
    try:
        if path.endswith(".npz"):
            with zipfile.ZipFile(path):    # np.load takes other formats too
                arrays = np.load(path, allow_pickle=False)
            with arrays:
                weights = {name: arrays[name] for name in arrays.files}
        else:
            reader = tfv1.train.load_checkpoint(path)
            weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    # a damaged file fails in many ways
    except (OSError, ValueError, EOFError, IndexError, RuntimeError, zlib.error, zipfile.BadZipFile,
            tfv1.errors.OpError) as e:
        reason = (str(e).splitlines() or [type(e).__name__])[0]
        raise UserError(f"{path} cannot be read as weights ({reason}); fetch or export it again") from None
    return {name[:-2] if name.endswith(":0") else name: value for name, value in weights.items()}


def save_weights(path, weights):
    """
    Write what belongs to a network of a dict of variable name to array as .npz, whole or not at all.

    Raises:
        UserError: nothing does, or the file cannot be written
    """
    weights = {name: value for name, value in weights.items() if _is_network(name)}
    if not weights:
        raise UserError(f"{path} is not written: there are no weights of an R-CNN in the model")
    with whole_file(path, "wb") as f:
        np.savez(f, **weights)


def _is_network(name):
    """False for the state of a training: the optimizer, the step, averages for summaries."""
    last = name.rsplit("/", 1)[-1].split(":")[0]
    return last in ("W", "b", "gamma", "beta", "EMA") and not name.startswith(("EMA/", "AccumGrad"))


def network_variables():
    """Returns: dict of name to variable, of the default graph's variables that belong to the network"""
    return {v.op.name: v for v in tfv1.global_variables() if _is_network(v.op.name)}


def check_fit(path, weights, variables, partial=False):
    """
    Say what of a weight file the network takes, and refuse one that is of another network.

    Args:
        path (str): named in messages
        weights (dict): name to array
        variables (dict): name to variable, the network's
        partial (bool): variables that the file lacks, and classifiers for another number of classes, keep their
            initial values, as for a training that starts from a backbone; without it they are an error

    Returns:
        dict of name to array, of those that the network takes

    Raises:
        UserError: nothing fits, a shape differs, or, unless `partial`, a variable is missing
    """
    taken = {name: value for name, value in weights.items() if name in variables}
    if not taken:
        raise UserError(f"{path}: none of its {len(weights)} arrays belongs to this network; "
                        "is it the weight file of another kind of network?")
    odd = [name for name, value in taken.items() if value.dtype.kind != "f"]
    if odd:
        raise UserError(f"{path}: {odd[0]} is of type {taken[odd[0]].dtype}, but weights are floats; export it again")
    shapes = {name: tuple(variables[name].shape.as_list()) for name in taken}
    wrong = [name for name in taken if taken[name].shape != shapes[name]]
    other_classes = [name for name in wrong if PER_CLASS.match(name)] if partial else []
    wrong = [name for name in wrong if name not in other_classes]
    if wrong:
        name = wrong[0]
        raise UserError(f"{path} is of another architecture: {name} is {taken[name].shape} there and {shapes[name]} "
                        f"here ({len(wrong)} such); set --config to the model that the weights were made with")
    if other_classes:
        name = other_classes[0]
        logger.info(f"{path} is for another number of classes: {len(other_classes)} arrays of classifiers keep their "
                    f"initial values, such as {name}, {taken[name].shape} there and {shapes[name]} here")
    taken = {name: value for name, value in taken.items() if name not in other_classes}
    if not taken:
        raise UserError(f"{path}: of its {len(weights)} arrays only classifiers belong to this network, and they are "
                        "for another number of classes")
    missing = [name for name in variables if name not in taken]
    unused = [name for name in weights
              if name not in variables and (_is_network(name) or detectron.is_their_name(name))]
    not_used = f"; {len(unused)} arrays not used, such as {unused[0]}" if unused else ""
    if missing and not partial:
        raise UserError(f"{path} is of another architecture: it lacks {len(missing)} of {len(variables)} variables, "
                        f"such as {missing[0]}{not_used}; set --config to the model that the weights were made with")
    logger.info(f"{path}: {len(taken)} arrays loaded" + (
        f"; {len(missing)} variables keep their initial values, such as {missing[0]}" if missing else "") + not_used)
    return taken


class LoadWeights(SessionInit):
    """
    Tensorpack's way to start a session from weights: an .npz or .pkl file, or the network's part of a checkpoint.

    Args:
        path (str): see `read_weights`
        partial (bool): see `check_fit`
    """

    def __init__(self, path, partial=False):
        self.path, self.partial = path, partial
        self.weights = read_weights(path)

    def _setup_graph(self):
        self.variables = network_variables()
        self.weights = check_fit(self.path, self.weights, self.variables, self.partial)

    def _run_init(self, sess):
        update = SessionUpdate(sess, [self.variables[name] for name in self.weights])
        update.update({self.variables[name].name: value for name, value in self.weights.items()})
