"""The folder of a run: whether it is free, and what a run that is resumed goes on from."""
import os
import shutil
from typing import NamedTuple

from common import UserError

from tensorpack import tfv1

from config import load_config, new_config
from training.checkpoint import clean_folder
from training.evaluation import evaluated_steps
from training.history import read_history
from weights.checkpoints import list_checkpoints
from weights.find import find_run


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
    """Raises: UserError: the folder holds a run, which is not to be overwritten"""
    if os.path.exists(config_path(logdir)) and not overwrite:
        raise UserError(f"--logdir {logdir} holds a run already; add --resume to go on with it, "
                        "--overwrite to delete it, or take another folder")


def find_resume_point(logdir):
    """
    Returns:
        ResumePoint, of the newest whole checkpoint

    Raises:
        UserError: there is no run in the folder, or none that has a checkpoint
    """
    clean_folder(logdir)
    if os.path.exists(config_path(logdir)) and not list_checkpoints(logdir):
        raise UserError(f"--logdir {logdir}: this run ended before its first checkpoint; give the command "
                        "that started it once more, with --overwrite")
    checkpoint, _ = find_run(logdir, "--logdir")
    cfg = new_config()
    load_config(cfg, config_path(logdir))
    step = int(tfv1.train.load_checkpoint(checkpoint).get_tensor("global_step"))
    return ResumePoint(checkpoint, step, cfg.to_dict(), read_history(logdir, cfg.TRAIN).stretches(),
                       evaluated_steps(logdir))


def remove_run(logdir):
    """Delete the run in a folder, if there is one."""
    if os.path.exists(config_path(logdir)):
        shutil.rmtree(logdir)
