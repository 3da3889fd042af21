"""The folder of a run: whether it is free, and what a run that is resumed goes on from."""
import json
import os
import re
import shutil
from typing import NamedTuple

from common import UserError

from tensorpack import tfv1

from config import load_config, new_config
from training.checkpoint import clean_folder
from training.evaluation import evaluated_steps
from training.history import read_history
from weights.checkpoints import list_checkpoints, matching_names
from weights.find import find_run

# what a training writes into its folder, and of earlier versions a frozen network beside its checkpoint
RUN_FILES = re.compile(
    r"config\.json|batches\.json|eval\.json|log\.log(\.[0-9-]+)?|events\.out\.tfevents\..*|checkpoint(\.tmp.*)?"
    r"|model-[0-9]+\.(index|data-[0-9]{5}-of-[0-9]{5}|frozen)(\.tempstate[0-9]+)?|\.(writing|written)-[0-9]+"
    r"|detections-.*-[0-9]+(\.json(\.partial)?|_curves\.png)")


class ResumePoint(NamedTuple):
    """
    What --resume goes on from: the path of a checkpoint, its step, the run's config as a dict, the stretches of its
    history, and the step of the last evaluation of each data set.
    """

    checkpoint: str
    step: int
    config: dict
    stretches: list
    evaluated: dict


def config_path(logdir):
    """Returns: str, the path of a run's config"""
    return os.path.join(logdir, "config.json")


def check_free(logdir, overwrite):
    """Raises: UserError: the folder holds a run, which is not to be overwritten, or another program's config.json"""
    if not os.path.lexists(config_path(logdir)):
        return
    if not _is_run(logdir):
        raise UserError(f"--logdir {logdir}: its config.json is not a run's, so nothing there is overwritten; take "
                        "another folder")
    if not overwrite:
        raise UserError(f"--logdir {logdir} holds a run already; add --resume to go on with it, "
                        "--overwrite to delete it, or take another folder")


def _is_run(logdir):
    """Returns: bool, whether the config.json in a folder has the parts of our config"""
    try:
        with open(config_path(logdir), encoding="utf-8") as f:
            saved = json.load(f)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(saved, dict) and all(isinstance(saved.get(part), dict) for part in ("TRAIN", "DATA", "BACKBONE"))


def read_config(logdir):
    """Returns: AttrDict, the config of the run in a folder; None where it has no config"""
    if not os.path.exists(config_path(logdir)):
        return None
    cfg = new_config()
    load_config(cfg, config_path(logdir))
    return cfg


def find_resume_point(logdir, cfg):
    """
    Args:
        logdir (str): a run's folder
        cfg (AttrDict): of `read_config`

    Returns:
        ResumePoint, of the newest whole checkpoint

    Raises:
        UserError: there is no run in the folder, or none that has a checkpoint
    """
    clean_folder(logdir)
    if cfg is not None and not list_checkpoints(logdir):
        raise UserError(f"--logdir {logdir}: this run ended before its first checkpoint; give the command "
                        "that started it once more, with --overwrite")
    checkpoint, _ = find_run(logdir, "--logdir")
    if cfg is None:
        raise UserError(f"--logdir {logdir}: the config of this run is missing; bring {config_path(logdir)} back from "
                        f"a copy, or train on from its weights in another folder, with --load {checkpoint}")
    step = int(tfv1.train.load_checkpoint(checkpoint).get_tensor("global_step"))
    return ResumePoint(checkpoint, step, cfg.to_dict(), read_history(logdir, cfg.TRAIN).stretches(),
                       evaluated_steps(logdir))


def remove_run(logdir):
    """Delete the files of the run in a folder, if there is one, and nothing else that is there."""
    if not _is_run(logdir):
        return
    for name in matching_names(logdir, RUN_FILES):
        path = os.path.join(logdir, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
