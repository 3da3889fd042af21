#!/usr/bin/env python3
"""Train a detector: `./train.py --logdir RUN --config KEY=VALUE …`."""
import argparse
import sys

from common import ArgumentParser, UserError, exit_on_user_error

from tensorpack.tfutils.sessinit import JustCurrentSession
from tensorpack.utils import logger

import data
import distributed
from config import config, finalize_configs, save_config
from settings.tree import AttrDict
from training.checkpoint import Resume
from training.history import History, write_history
from training.logdir import ResumePoint, check_free, config_path, find_resume_point, read_config, remove_run
from training.loop import train, train_dataflow
from training.schedule import Schedule
from training.trainers import describe_devices, num_gpus
from weights.find import find_run
from weights.load import LoadWeights


def parse_args(args=None):
    parser = ArgumentParser(
        description="Train Faster R-CNN or Mask R-CNN on COCO-format data, on all visible GPUs or on the CPU.",
        epilog="examples:\n"
               "  ./train.py --logdir train_log/demo --config @configs/demo.cfg\n"
               "  ./train.py --logdir train_log/mine --load R50-FPN.npz \\\n"
               "      --config DATA.BASEDIR=~/mydata DATA.TRAIN=train DATA.VAL=val\n"
               "  ./train.py --logdir train_log/mine --resume",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logdir", default="train_log/maskrcnn",
                        help="folder of the run: checkpoints, config, logs, metrics")
    parser.add_argument("--load", metavar="PATH",
                        help="start from these weights: a run's folder, a checkpoint, an .npz or a .pkl file")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --logdir, with its config")
    parser.add_argument("--overwrite", action="store_true", help="delete the run that is in --logdir")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, @FILE with such lines, or @FILE.yaml of Detectron, "
                             "maskrcnn-benchmark or Detectron2; config.py lists the keys")
    args = parser.parse_args(args)
    if args.resume and (args.load or args.overwrite):
        raise UserError("--resume goes on with a run as it is; leave out --load and --overwrite")
    return args


def join_job(args, run_config):
    """Become a rank of the job, if the config of the run that is resumed (AttrDict) or the command line asks for it."""
    asked = (run_config or config).clone()
    asked.update_args(args.config)
    # of a run that is resumed only the chief may know what it asks for
    if asked.TRAINER == "horovod" or args.resume and distributed.launched() > 1:
        distributed.init()
    elif distributed.launched() > 1:
        raise UserError(f"{distributed.launched()} processes were started to train by themselves, in one folder; add "
                        "TRAINER=horovod to --config, or start ./train.py alone")


def resume_point(args, run_config):
    """
    The chief alone reads the run's folder, as others may be on machines that lack it.

    Returns:
        ResumePoint, on all ranks; None without --resume
    """
    point = None
    if distributed.is_chief():
        if args.resume:
            point = find_resume_point(args.logdir, run_config)
        else:
            check_free(args.logdir, args.overwrite)
    point = distributed.gather(point)[0]
    return point and ResumePoint(*point)


def prepare_config(args, point):
    """
    Fill the config from the run, the command line and the data.

    Returns:
        data sets to train on, and to evaluate; the config to save, without what follows from the devices and other keys
    """
    if point:
        for key, value in AttrDict(point.config).flatten().items():
            config.set(key, value)
    config.update_args(args.config)
    with distributed.chief_first():
        train_sets = data.load_datasets(config, config.DATA.TRAIN)
        val_sets = data.load_datasets(config, config.DATA.VAL)
    data.require_ground_truth(train_sets + val_sets)
    data.fill_categories(config, train_sets + val_sets)
    to_save = config.clone()
    config.TRAIN.NUM_GPUS = num_gpus(config)
    finalize_configs(config, is_training=True)
    to_save.DATA.NUM_CATEGORY = config.DATA.NUM_CATEGORY
    return train_sets, val_sets, to_save


def make_schedule(point):
    """Returns: Schedule, of a new run, or of one that goes on behind the images that it has seen"""
    numbers = max(config.TRAIN.NUM_GPUS, 1), config.TRAIN.IMS_PER_GPU
    if point is None:
        return Schedule(config.TRAIN, History.of([(0, *numbers)]))
    return Schedule(config.TRAIN, History.of(point.stretches).go_on(point.step, *numbers), point.step)


def session_init(args, point, momentum_factor):
    """Returns: tensorpack's SessionInit for what the run starts from; the chief's reaches all ranks"""
    if not distributed.is_chief():
        return JustCurrentSession()
    if point:
        return Resume(point.checkpoint, momentum_factor)
    if args.load:
        return LoadWeights(find_run(args.load)[0], partial=True)
    if config.BACKBONE.WEIGHTS:
        return LoadWeights(find_run(config.BACKBONE.WEIGHTS, "config: BACKBONE.WEIGHTS")[0], partial=True)
    return JustCurrentSession()


def run(args, run_config):
    point = resume_point(args, run_config)
    train_sets, val_sets, to_save = prepare_config(args, point)
    schedule = make_schedule(point)
    init = session_init(args, point, schedule.momentum_factor)
    if schedule.is_over:
        if all(point.evaluated.get(dataset.name) == point.step for dataset in val_sets):
            raise UserError(f"--logdir {args.logdir} has reached its last step, {point.step}; "
                            "to train on, give --config a longer TRAIN.LR_SCHEDULE")
        logger.info(f"The run has taken its last step, {point.step}; what is left is its evaluation")
    dataflow = train_dataflow(config, train_sets, schedule)
    if distributed.is_chief():
        if args.overwrite:
            remove_run(args.logdir)
        logger.set_logger_dir(args.logdir, action="k")
        write_history(args.logdir, schedule.history)
        save_config(to_save, config_path(args.logdir))
    logger.info(f"Training on {describe_devices(config)}, {schedule.describe()}")
    if train(config, dataflow, val_sets, schedule, init, args.logdir):
        logger.info(f"The run is in {args.logdir}: checkpoints, eval.json, "
                    f"and events for `tensorboard --logdir {args.logdir}`")
    else:
        logger.info(f"Stopped on request. To go on: {sys.argv[0]} --logdir {args.logdir} --resume")


def main(args=None):
    """
    Args:
        args (list of str): what the command line has behind ./train.py; None for the command line's own. A program may
            register a data set of its own (`data.register`) and then call this.

    Raises:
        UserError
    """
    args = parse_args(args)
    run_config = read_config(args.logdir) if args.resume else None
    join_job(args, run_config)
    with distributed.member():
        run(args, run_config)


if __name__ == "__main__":
    exit_on_user_error(main)
