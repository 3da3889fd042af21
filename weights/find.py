"""What `--load` stands for: the weights of a run, and its config."""
import os

from common import UserError

from tensorpack import tfv1
from tensorpack.utils import logger

from weights.checkpoints import newest_whole_checkpoint
from weights.files import SUFFIXES


def find_run(load, option="--load"):
    """
    What `--load` stands for.

    Args:
        load (str): a run's folder, a checkpoint ("model-500", with or without ".index"), or a weight file whose name
            ends in one of `files.SUFFIXES`
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
        if not (path.endswith(SUFFIXES) and os.path.isfile(path)) and not os.path.isfile(path + ".index"):
            if os.path.isfile(load):
                raise UserError(f"{option} {load}: this file is no model; give a run's folder, a checkpoint, or a file "
                                f"that ends in {', '.join(SUFFIXES)}")
            raise UserError(f"{option} {load}: there is no such folder, checkpoint or weight file")
    config_path = os.path.join(os.path.dirname(path), "config.json")
    return path, config_path if os.path.isfile(config_path) else None
