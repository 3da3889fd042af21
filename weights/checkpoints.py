"""
The checkpoints in a run's folder, and whether they can be read.

A checkpoint of TensorFlow's V2 format is `model-500.index` and one or more `model-500.data-00000-of-00001`. What has an
index is whole, since `training.checkpoint` gives the index its place last, unless the disk has damaged it since.
"""
import os
import re

from common import UserError

from tensorpack import tfv1

INDEX = re.compile(r"model-(0|[1-9][0-9]*)\.index")


def checkpoint_path(folder, step):
    """Returns: str, the path without ".index" of the checkpoint of a step"""
    return os.path.join(folder, f"model-{step}")


def checkpoint_steps(folder):
    """Returns: list of int, the steps of the checkpoints in a folder, the highest first"""
    return sorted((int(INDEX.fullmatch(name)[1]) for name in matching_names(folder, INDEX)
                   if os.path.isfile(os.path.join(folder, name))), reverse=True)


def list_checkpoints(folder):
    """Returns: list of str, paths without ".index" of the checkpoints in a folder, the highest step first"""
    return [checkpoint_path(folder, step) for step in checkpoint_steps(folder)]


def is_whole(path):
    """
    Read all of a checkpoint, one tensor at a time. TensorFlow compares each with its checksum.

    Args:
        path (str): without ".index"

    Returns:
        None if it is whole, else the reason as one line
    """
    try:
        reader = tfv1.train.NewCheckpointReader(path)
        names = reader.get_variable_to_shape_map()
        for name in names:
            reader.get_tensor(name)
    # a damaged file fails in many ways
    except Exception as e:
        return first_line(e).replace(os.path.join(os.path.dirname(path), ""), "")
    return None if names else "it has no tensors"


def newest_whole_checkpoint(folder, warn):
    """
    Args:
        folder (str): of a run
        warn (callable): is given a line for each damaged checkpoint that is passed over

    Returns:
        str, the path without ".index" of the newest checkpoint that is whole; None where there is no checkpoint

    Raises:
        UserError: there are checkpoints, but all are damaged
    """
    paths = list_checkpoints(folder)
    for path, older in zip(paths, paths[1:] + [None]):
        reason = is_whole(path)
        if reason is None:
            return path
        if older:
            warn(f"{path} is damaged ({reason}), going back to {os.path.basename(older)}")
    if paths:
        raise UserError(f"{folder}: all of its {len(paths)} checkpoints are damaged, the oldest is {path} ({reason}); "
                        "bring one back from a copy, or train anew with --overwrite")
    return None


def matching_names(folder, pattern):
    """Returns: list of str, the names in a folder that match as a whole; none where there is no folder"""
    try:
        return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def first_line(error):
    """Returns: str, what an error says, of TensorFlow's without the lines about the graph"""
    lines = str(error).splitlines() or [type(error).__name__]
    return getattr(error, "strerror", None) or next((line for line in lines if "; " in line), lines[0])
