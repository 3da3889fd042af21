#!/usr/bin/env python3
"""Train a detector: `./train.py --logdir RUN --config KEY=VALUE …`."""
import argparse
import os
import shutil
import sys

from common import ArgumentParser, UserError, exit_on_user_error, prepare_training, visible_gpus

from tensorpack import tfv1
from tensorpack.callbacks import (
    EnableCallbackIf, MergeAllSummaries, MovingAverageSummary, RunUpdateOps, TFEventWriter)
from tensorpack.input_source import QueueInput
from tensorpack.tfutils.sessinit import JustCurrentSession, SaverRestore
from tensorpack.train import TrainConfig, launch_train_with_config
from tensorpack.utils import logger

import data
import distributed
from training.callbacks import EpochLength, Evaluation, Progress, StopOnSignal
from training.checkpoint import CheckpointSaver, clean_folder, list_checkpoints
from config import AttrDict, config, finalize_configs, load_config, save_config
from modeling.generalized_rcnn import GeneralizedRCNN
from training.schedule import Schedule, total_batch
from weights.files import read_weights
from weights.find import find_run
from weights.fit import check_fit, network_variables
from weights.load import LoadWeights
from training.trainers import make_trainer

FEED_PATIENCE = 30    # seconds in which the thread that feeds images must end behind a training


def parse_args():
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
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    args = parser.parse_args()
    if args.resume and (args.load or args.overwrite):
        raise UserError("--resume goes on with a run as it is; leave out --load and --overwrite")
    return args


def join_job(args):
    """Become a rank of the job, if the config that --logdir or the command line gives asks for it."""
    asked = config.clone()
    if args.resume and os.path.exists(config_path(args)):
        load_config(asked, config_path(args))
    asked.update_args(args.config)
    # of a run that is resumed only the chief may know what it asks for
    if asked.TRAINER == "horovod" or args.resume and distributed.launched() > 1:
        distributed.init()
    elif distributed.launched() > 1:
        raise UserError(f"{distributed.launched()} processes were started to train by themselves, in one folder; add "
                        "TRAINER=horovod to --config, or start ./train.py alone")


def config_path(args):
    return os.path.join(args.logdir, "config.json")


def find_checkpoint(args):
    """
    What a run starts from. The chief alone reads the run's folder, as others may be on machines that lack it.

    Returns:
        path of the checkpoint that --resume goes on from, whose config is then loaded, or None; and its step
    """
    found = None
    if distributed.is_chief():
        if not args.resume:
            if os.path.exists(config_path(args)) and not args.overwrite:
                raise UserError(f"--logdir {args.logdir} holds a run already; add --resume to go on with it, "
                                "--overwrite to delete it, or take another folder")
        else:
            clean_folder(args.logdir)
            if os.path.exists(config_path(args)) and not list_checkpoints(args.logdir):
                raise UserError(f"--logdir {args.logdir}: this run ended before its first checkpoint; give the command "
                                "that started it once more, with --overwrite")
            checkpoint, _ = find_run(args.logdir, "--logdir")
            saved = config.clone()
            load_config(saved, config_path(args))
            step = int(tfv1.train.load_checkpoint(checkpoint).get_tensor("global_step"))
            found = checkpoint, step, saved.to_dict()
    found = distributed.gather(found)[0]
    if found is None:
        return None, 0
    checkpoint, step, saved_config = found
    for key, value in AttrDict(saved_config).flatten().items():
        config.set(key, value)
    return checkpoint, step


def prepare_config(args):
    """Fill the config from the command line and the data. Returns: lists of data sets, to train on and to evaluate"""
    config.update_args(args.config)
    with distributed.chief_first():
        train_sets = data.load_datasets(config, config.DATA.TRAIN)
        val_sets = data.load_datasets(config, config.DATA.VAL)
    data.fill_categories(config, train_sets + val_sets)
    config.TRAIN.NUM_GPUS = num_towers(config)
    finalize_configs(config, is_training=True)
    return train_sets, val_sets


def num_towers(cfg):
    """Returns: int, GPUs to train on, of all ranks, or 0 for the CPU alone; a rank counts as one also on a CPU"""
    wanted, visible = cfg.TRAIN.NUM_GPUS, visible_gpus()
    if cfg.TRAINER == "horovod":
        if wanted not in (0, distributed.size()):
            raise UserError(f"config: TRAIN.NUM_GPUS={wanted}, but {distributed.size()} processes were "
                            "started; start as many, or leave it 0")
        if 0 < visible < distributed.job().local_size:
            raise UserError(f"{distributed.job().local_size} processes on this machine share {visible} GPUs; "
                            "start one for each GPU")
        return distributed.size()
    if wanted > visible:
        raise UserError(f"config: TRAIN.NUM_GPUS={wanted}, but {visible} GPUs are visible; 0 takes what there is")
    return wanted or visible


class Resume(SaverRestore):
    """Restores a run's checkpoint with all state of the training, after a check that it is of the same network."""

    def _setup_graph(self):
        check_fit(self.path, read_weights(self.path), network_variables())
        super()._setup_graph()


def session_init(args, checkpoint):
    """Returns: tensorpack's SessionInit for what the run starts from; the chief's reaches all ranks"""
    if not distributed.is_chief():
        return JustCurrentSession()
    if checkpoint:
        return Resume(checkpoint)
    if args.load:
        return LoadWeights(find_run(args.load)[0], partial=True)
    if config.BACKBONE.WEIGHTS:
        return LoadWeights(find_run(config.BACKBONE.WEIGHTS, "config: BACKBONE.WEIGHTS")[0], partial=True)
    return JustCurrentSession()


def open_logdir(args):
    """Make the run's folder, with the final config in it."""
    if args.overwrite and os.path.exists(config_path(args)):
        shutil.rmtree(args.logdir)
    logger.set_logger_dir(args.logdir, action="k")
    save_config(config, config_path(args))


def train(dataflow, val_sets, schedule, init, start_step, logdir):
    """
    Train the model of the config.

    Args:
        dataflow (DataFlow): of training batches
        val_sets (list[Dataset]): to evaluate on
        schedule (Schedule)
        init (SessionInit): what to start from
        start_step (int): steps that were taken before
        logdir (str): the run's folder

    Returns:
        bool: False when a signal ended it before its last step

    Raises:
        UserError: a loss is not finite, the data cannot be read, or a checkpoint cannot be written
    """
    model = GeneralizedRCNN(config)
    progress = Progress(model.loss_names(), schedule.num_steps, total_batch(config.TRAIN))
    saver = CheckpointSaver(logdir, config.TRAIN.MAX_TO_KEEP)
    evaluation = Evaluation(config, val_sets, model)
    stop = StopOnSignal(saver, evaluation)

    def every(period):
        return lambda callback: callback.epoch_num % period == 0 or callback.epoch_num == schedule.num_epochs

    prepare_training()
    tfv1.set_random_seed(config.TRAIN.SEED)
    trainer = make_trainer(config.TRAINER, config.TRAIN.NUM_GPUS, config.TRAIN.COMPRESSION)
    source = QueueInput(dataflow, queue=tfv1.FIFOQueue(4, [spec.dtype for spec in model.get_input_signature()]))
    launch_train_with_config(TrainConfig(
        model=model,
        data=source,
        callbacks=[
            schedule.setter(),
            EpochLength(schedule.steps_per_epoch, schedule.num_steps),
            progress,
            EnableCallbackIf(saver, every(config.TRAIN.CHECKPOINT_PERIOD)),
            EnableCallbackIf(evaluation, every(config.TRAIN.EVAL_PERIOD)).set_chief_only(False),
            stop],
        extra_callbacks=[MovingAverageSummary(), MergeAllSummaries(), RunUpdateOps()],
        monitors=[TFEventWriter()] if distributed.is_chief() else [],
        session_creator=distributed.session_creator(),
        session_init=init,
        steps_per_epoch=schedule.steps_per_epoch,
        starting_epoch=start_step // schedule.steps_per_epoch + 1,
        max_epoch=schedule.num_epochs), trainer)

    # it ends once it notices that the session is closed; a socket that it still used must not be closed
    source.thread.join(FEED_PATIENCE)
    # tensorpack ends a training quietly whose input ends
    if progress.error or dataflow.error:
        raise progress.error or dataflow.error
    if trainer.global_step < schedule.num_steps and not stop.stopped:
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {schedule.num_steps}, "
                           "see the run's log.log")
    return not stop.stopped


def run(args):
    checkpoint, start_step = find_checkpoint(args)
    train_sets, val_sets = prepare_config(args)
    init = session_init(args, checkpoint)
    schedule = Schedule(config.TRAIN)
    if start_step >= schedule.num_steps:
        raise UserError(f"--logdir {args.logdir} has reached its last step, {start_step}; "
                        "to train on, give --config a longer TRAIN.LR_SCHEDULE")
    # each tower of this process takes a batch in each step
    towers = max(config.TRAIN.NUM_GPUS, 1) // distributed.size()
    dataflow = data.get_train_dataflow(
        config, train_sets, start_step * towers, distributed.rank(), distributed.size())

    if distributed.is_chief():
        open_logdir(args)
    logger.info(f"Training on {describe_devices()}, {total_batch(config.TRAIN)} images a step, "
                f"{schedule.num_steps} steps" + (f", from step {start_step}" if start_step else ""))
    tfv1.disable_eager_execution()
    if train(dataflow, val_sets, schedule, init, start_step, args.logdir):
        logger.info(f"The run is in {args.logdir}: checkpoints, eval.json, "
                    f"and events for `tensorboard --logdir {args.logdir}`")
    else:
        logger.info(f"Stopped on request. To go on: {sys.argv[0]} --logdir {args.logdir} --resume")


def describe_devices():
    """Returns: str, what the training runs on"""
    if distributed.size() > 1:
        return f"{distributed.size()} processes" + (", each on a GPU" if visible_gpus() else ", on CPUs")
    return f"{config.TRAIN.NUM_GPUS} GPUs" if config.TRAIN.NUM_GPUS and visible_gpus() else "the CPU"


def main():
    args = parse_args()
    join_job(args)
    with distributed.member():
        run(args)


if __name__ == "__main__":
    exit_on_user_error(main)
