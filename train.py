#!/usr/bin/env python3
"""Train a detector: `./train.py --logdir RUN --config KEY=VALUE …`."""
import argparse
import os
import re
import shutil
import sys
import time

from common import ArgumentParser, QuietSessionCreator, UserError, exit_on_user_error, visible_gpus

import numpy as np
import tqdm
from tensorpack import tfv1
from tensorpack.callbacks import (
    Callback, EnableCallbackIf, MergeAllSummaries, ModelSaver, MovingAverageSummary, RunUpdateOps,
    ScheduledHyperParamSetter, TFEventWriter)
from tensorpack.input_source import QueueInput
from tensorpack.tfutils.sessinit import JustCurrentSession, SaverRestore
from tensorpack.train import (
    SimpleTrainer, StopTraining, SyncMultiGPUTrainerReplicated, TrainConfig, launch_train_with_config)
from tensorpack.utils import logger

import data
from config import config, finalize_configs, load_config, save_config
from eval import evaluate_dataset, write_json
from modeling.generalized_rcnn import GeneralizedRCNN, total_batch
from modeling.predictor import as_predict_function
from modeling.weights import LoadWeights, check_fit, find_run, network_variables, read_weights


class Schedule:
    """
    Learning rate and length of a training. Both are configured for 8 images a step.

    Args:
        cfg (AttrDict): the TRAIN part of a config
    """

    def __init__(self, cfg):
        batch = total_batch(cfg)
        # smaller batches are accumulated to the largest multiple within 8
        effective_batch = batch * max(8 // batch, 1)
        self.base = cfg.BASE_LR * effective_batch / 8
        self.warmup, self.warmup_init = cfg.WARMUP, min(cfg.WARMUP_INIT_LR, self.base)
        *self.drops, self.num_steps = [max(int(step * 8 / batch), 1) for step in cfg.LR_SCHEDULE]
        self.steps_per_epoch = min(cfg.STEPS_PER_EPOCH, self.num_steps)
        self.num_epochs = -(-self.num_steps // self.steps_per_epoch)

    def learning_rate(self, step):
        """The rate of the step after `step` steps: a linear warm-up, then constant but for the tenfold drops."""
        rate = self.base * 0.1 ** sum(step >= drop for drop in self.drops)
        if step < self.warmup:
            rate = min(rate, self.warmup_init + (self.base - self.warmup_init) * step / self.warmup)
        return rate

    def setter(self):
        """Returns: the tensorpack callback that follows the schedule"""
        around_drops = {step for drop in self.drops for step in (drop - 1, drop)}
        corners = sorted({0, self.warmup, self.num_steps * 2} | around_drops)
        return ScheduledHyperParamSetter(
            "learning_rate", [(step, self.learning_rate(step)) for step in corners], interp="linear", step_based=True)


class Progress(Callback):
    """
    One bar for the whole training, with the losses. Stops the training when one of them is not finite.

    Attributes:
        error (UserError): why the training was stopped, or None
    """

    error = None

    _chief_only = False

    def __init__(self, loss_names, num_steps, images_per_step):
        self.loss_names = loss_names
        self.num_steps = num_steps
        self.images_per_step = images_per_step

    def _setup_graph(self):
        towers = self.trainer.towers.training()
        losses = [[tower.get_tensor(name) for name in self.loss_names] for tower in towers]
        images = [tower.get_tensor("image_ids") for tower in towers]
        self._fetches = tfv1.train.SessionRunArgs([losses, images])

    def _before_train(self):
        self._mean = None
        self._started, self._first_step, self._last_line = time.time(), self.global_step, time.time()
        self._bar = tqdm.tqdm(total=self.num_steps, initial=self.global_step, unit="step", dynamic_ncols=True,
                              disable=not sys.stderr.isatty(), smoothing=0.05)

    def _before_run(self, _):
        return self._fetches

    def _after_run(self, _, run_values):
        losses, images = run_values.results
        for tower_losses, tower_images in zip(losses, images):
            bad = [name for name, value in zip(self.loss_names, tower_losses) if not np.isfinite(value)]
            if bad:
                self.error = UserError(
                    f"training stopped at step {self.global_step}: {', '.join(bad)} not finite for the images "
                    f"{', '.join(map(str, tower_images))}; the checkpoints in {logger.get_logger_dir()} are older. "
                    "Lower TRAIN.BASE_LR, lengthen TRAIN.WARMUP, or set TRAIN.GRADIENT_CLIP, and go on with --resume")
                raise StopTraining()
        mean = np.mean(losses, axis=0)
        self._mean = mean if self._mean is None else 0.95 * self._mean + 0.05 * mean

    def _describe(self):
        *parts, total = self._mean
        names = [re.sub("fastrcnn|cascade_stage", "box", name).replace("_loss", "").replace("maskrcnn", "mask")
                 for name in self.loss_names[:-1]]
        parts = " ".join(f"{name} {value:.2f}" for name, value in zip(names, parts) if name != "wd_cost")
        rate = (self.global_step - self._first_step) * self.images_per_step / (time.time() - self._started)
        return f"loss {total:.2f} ({parts}), {rate:.1f} images/s"

    def _trigger_step(self):
        if self._bar.disable:
            self._maybe_print_line()
            return
        self._bar.set_postfix_str(self._describe(), refresh=False)
        self._bar.update()

    def _maybe_print_line(self, period=20):
        now = time.time()
        if now - self._last_line < period and self.global_step < self.num_steps:
            return
        self._last_line = now
        left = (now - self._started) / (self.global_step - self._first_step) * (self.num_steps - self.global_step)
        logger.info(f"step {self.global_step}/{self.num_steps}: {self._describe()}, "
                    f"{tqdm.tqdm.format_interval(left)} to go")

    def _after_train(self):
        self._bar.close()


class Evaluation(Callback):
    """Evaluates the data sets, writes eval.json and the detections into the run's folder, and shows the metrics."""

    def __init__(self, cfg, datasets, model):
        self.cfg, self.datasets, self.model = cfg, datasets, model

    def _setup_graph(self):
        inputs, outputs = self.model.inference_tensor_names()
        device = 0 if self.cfg.TRAIN.NUM_GPUS else -1
        self._predict = as_predict_function(self.trainer.get_predictor(inputs, outputs, device=device))

    def _trigger_epoch(self):
        folder, step = logger.get_logger_dir(), int(self.global_step)
        report = {}
        for dataset in self.datasets:
            output = os.path.join(folder, f"detections-{dataset.name}-{step}.json")
            metrics = evaluate_dataset(self._predict, dataset, self.cfg, output, report=logger.info)
            report[dataset.name] = dict(metrics, step=step)
            for kind, values in metrics.items():
                for name, value in values.items():
                    if value is not None:
                        self.trainer.monitors.put_scalar(f"{dataset.name}/{kind}/{name}", value)
        write_json(os.path.join(folder, "eval.json"), report)


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


def find_checkpoint(args):
    """Returns: path of the checkpoint that --resume goes on from, whose config is then loaded; None without --resume"""
    if not args.resume:
        if os.path.exists(os.path.join(args.logdir, "config.json")) and not args.overwrite:
            raise UserError(f"--logdir {args.logdir} holds a run already; add --resume to go on with it, "
                            "--overwrite to delete it, or take another folder")
        return None
    checkpoint, config_path = find_run(args.logdir)
    load_config(config, config_path or os.path.join(args.logdir, "config.json"))
    return checkpoint


def prepare_config(args):
    """Fill the config from the command line and the data. Returns: lists of data sets, to train on and to evaluate"""
    config.update_args(args.config)
    train_sets = data.load_datasets(config, config.DATA.TRAIN)
    val_sets = data.load_datasets(config, config.DATA.VAL)
    data.fill_categories(config, train_sets + val_sets)
    num_gpus = visible_gpus()
    if config.TRAIN.NUM_GPUS > num_gpus:
        raise UserError(f"config: TRAIN.NUM_GPUS={config.TRAIN.NUM_GPUS}, but {num_gpus} GPUs are visible; "
                        "0 takes what there is")
    config.TRAIN.NUM_GPUS = config.TRAIN.NUM_GPUS or num_gpus
    finalize_configs(config, is_training=True)
    return train_sets, val_sets


class Resume(SaverRestore):
    """Restores a run's checkpoint with all state of the training, after a check that it is of the same network."""

    def _setup_graph(self):
        check_fit(self.path, read_weights(self.path), network_variables())
        super()._setup_graph()


def session_init(args, checkpoint):
    """Returns: tensorpack's SessionInit for what the run starts from"""
    if checkpoint:
        return Resume(checkpoint)
    if args.load:
        return LoadWeights(find_run(args.load)[0], partial=True)
    if config.BACKBONE.WEIGHTS:
        return LoadWeights(find_run(config.BACKBONE.WEIGHTS, "config: BACKBONE.WEIGHTS")[0], partial=True)
    return JustCurrentSession()


def open_logdir(args):
    """Make the run's folder, with the final config in it."""
    if args.overwrite and os.path.exists(os.path.join(args.logdir, "config.json")):
        shutil.rmtree(args.logdir)
    logger.set_logger_dir(args.logdir, action="k")
    save_config(config, os.path.join(args.logdir, "config.json"))


def train(dataflow, val_sets, schedule, init, start_step):
    """
    Train the model of the config, in the folder of the logger.

    Args:
        dataflow (DataFlow): of training batches
        val_sets (list[Dataset]): to evaluate on
        schedule (Schedule)
        init (SessionInit): what to start from
        start_step (int): steps that were taken before

    Raises:
        UserError: a loss is not finite, or the data cannot be read
    """
    model = GeneralizedRCNN(config)
    last_epoch = schedule.num_epochs
    last_step = last_epoch * schedule.steps_per_epoch
    progress = Progress(model.loss_names(), last_step, total_batch(config.TRAIN))
    saver = ModelSaver(max_to_keep=config.TRAIN.MAX_TO_KEEP, keep_checkpoint_every_n_hours=1e6)

    def every(period):
        return lambda callback: callback.epoch_num % period == 0 or callback.epoch_num == last_epoch

    tfv1.set_random_seed(config.TRAIN.SEED)
    trainer = SyncMultiGPUTrainerReplicated(config.TRAIN.NUM_GPUS) if config.TRAIN.NUM_GPUS > 1 else SimpleTrainer()
    launch_train_with_config(TrainConfig(
        model=model,
        data=QueueInput(dataflow, queue=tfv1.FIFOQueue(4, [spec.dtype for spec in model.get_input_signature()])),
        callbacks=[
            schedule.setter(),
            progress,
            EnableCallbackIf(saver, every(config.TRAIN.CHECKPOINT_PERIOD)),
            EnableCallbackIf(Evaluation(config, val_sets, model), every(config.TRAIN.EVAL_PERIOD))],
        extra_callbacks=[MovingAverageSummary(), MergeAllSummaries(), RunUpdateOps()],
        monitors=[TFEventWriter()],
        session_creator=QuietSessionCreator(),
        session_init=init,
        steps_per_epoch=schedule.steps_per_epoch,
        starting_epoch=start_step // schedule.steps_per_epoch + 1,
        max_epoch=last_epoch), trainer)

    # tensorpack ends a training quietly whose input ends
    if progress.error or dataflow.error:
        raise progress.error or dataflow.error
    if trainer.global_step < last_step:
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {last_step}, see the run's log.log")


def main():
    args = parse_args()
    checkpoint = find_checkpoint(args)
    train_sets, val_sets = prepare_config(args)
    init = session_init(args, checkpoint)
    start_step = int(tfv1.train.load_checkpoint(checkpoint).get_tensor("global_step")) if checkpoint else 0
    schedule = Schedule(config.TRAIN)
    if start_step >= schedule.num_steps:
        raise UserError(f"--logdir {args.logdir} has reached its last step, {start_step}; "
                        "to train on, give --config a longer TRAIN.LR_SCHEDULE")
    dataflow = data.get_train_dataflow(config, train_sets)

    open_logdir(args)
    device = f"{config.TRAIN.NUM_GPUS} GPUs" if config.TRAIN.NUM_GPUS else "the CPU"
    logger.info(f"Training on {device}, {total_batch(config.TRAIN)} images a step, {schedule.num_steps} steps"
                + (f", from step {start_step}" if start_step else ""))
    tfv1.disable_eager_execution()
    train(dataflow, val_sets, schedule, init, start_step)
    logger.info(f"The run is in {args.logdir}: checkpoints, eval.json, "
                f"and events for `tensorboard --logdir {args.logdir}`")


if __name__ == "__main__":
    exit_on_user_error(main)
