"""What happens beside the steps of a training: the bar, the evaluation, the end of epochs, and an orderly stop."""
import os
import re
import signal
import sys
import threading
import time

import common
import numpy as np
import tensorflow as tf
import tqdm
from common import UserError
from tensorpack import tfv1
from tensorpack.callbacks import Callback
from tensorpack.train import StopTraining
from tensorpack.utils import logger

import distributed
from eval import evaluate_dataset
from inference.predictor import as_predict_function
from inference.results import remove_partial, write_json


class Progress(Callback):
    """
    One bar for the whole training, with the losses. Stops the training when one of them is not finite.

    Attributes:
        error (UserError): why the training was stopped, or None
        losses: float32, of the step before, means over all towers and ranks
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
        mean = distributed.sum_over_ranks(tf.reduce_mean(tf.stack(losses), axis=0)) / distributed.size()
        self._fetches = tfv1.train.SessionRunArgs([losses, images, mean])

    def _before_train(self):
        self._mean = None
        self._started, self._first_step, self._last_line = time.time(), self.global_step, time.time()
        self._bar = tqdm.tqdm(total=self.num_steps, initial=self.global_step, unit="step", dynamic_ncols=True,
                              disable=not (sys.stderr.isatty() and distributed.is_chief()), smoothing=0.05)

    def _before_run(self, _):
        distributed.progress(self.global_step)
        return self._fetches

    def _after_run(self, _, run_values):
        losses, images, self.losses = run_values.results
        for tower_losses, tower_images in zip(losses, images):
            bad = [name for name, value in zip(self.loss_names, tower_losses) if not np.isfinite(value)]
            if bad:
                self.error = UserError(
                    f"training stopped at step {self.global_step}: {', '.join(bad)} not finite for the images "
                    f"{', '.join(map(str, tower_images))}; the checkpoints of the run are older. "
                    "Lower TRAIN.BASE_LR, lengthen TRAIN.WARMUP, or set TRAIN.GRADIENT_CLIP, and go on with --resume")
                raise StopTraining()
        self._mean = self.losses if self._mean is None else 0.95 * self._mean + 0.05 * self.losses

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


class EpochLength(Callback):
    """Ends each epoch at a multiple of its steps, wherever the training began, and the last one with the training."""

    _chief_only = False

    def __init__(self, steps_per_epoch, num_steps):
        self.steps_per_epoch, self.num_steps = steps_per_epoch, num_steps

    def _before_epoch(self):
        end = min(self.epoch_num * self.steps_per_epoch, self.num_steps)
        self.trainer.loop.steps_per_epoch = end - self.global_step


class Evaluation(Callback):
    """
    Evaluates the data sets, writes eval.json, the detections and their precision-recall curves into the run's folder,
    and shows the metrics.

    Attributes:
        guard (callable): called before each batch
    """

    guard = staticmethod(lambda: None)

    _chief_only = False

    def __init__(self, cfg, datasets, model):
        self.cfg, self.datasets, self.model = cfg, datasets, model

    def _setup_graph(self):
        inputs, outputs = self.model.inference_tensor_names()
        device = 0 if common.visible_gpus() else -1
        self._predict_all = as_predict_function(self.trainer.get_predictor(inputs, outputs, device=device))

    def _predict(self, *inputs):
        self.guard()
        return self._predict_all(*inputs)

    def _trigger_epoch(self):
        folder, step = logger.get_logger_dir(), int(self.global_step)
        report = {}
        for dataset in self.datasets:
            output = os.path.join(folder, f"detections-{dataset.name}-{step}.json") if folder else None
            metrics = evaluate_dataset(self._predict, dataset, self.cfg, output, report=logger.info)
            if metrics is None:
                continue
            remove_partial(output)
            report[dataset.name] = dict(metrics, step=step)
            for kind, values in metrics.items():
                for name, value in values.items():
                    if value is not None:
                        self.trainer.monitors.put_scalar(f"{dataset.name}/{kind}/{name}", value)
        if distributed.is_chief():
            write_json(os.path.join(folder, "eval.json"), report)


class StopOnSignal(Callback):
    """
    SIGTERM and Ctrl-C end the training behind the step that is under way, on all ranks behind the same one, with a
    checkpoint. A second one ends it at once.

    Args:
        saver (Callback): writes a checkpoint
        evaluation (Evaluation): is cut short as well

    Attributes:
        stopped (bool): whether the training was ended so
    """

    stopped = False

    _chief_only = False

    def __init__(self, saver, evaluation):
        self.saver = saver
        self.requested = threading.Event()
        evaluation.guard = self._guard

    def _setup_graph(self):
        requested = tf.numpy_function(lambda: np.float32(self.requested.is_set()), [], tf.float32)
        requested.set_shape([])
        self._fetches = tfv1.train.SessionRunArgs(distributed.sum_over_ranks(requested))

    def _before_train(self):
        self._handlers = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}

    def _handle(self, number, _):
        signal.signal(number, signal.SIG_DFL)
        self.requested.set()
        if distributed.is_chief():
            # the logger may be in use by what the signal interrupted
            os.write(2, b"\nStopping behind this step, with a checkpoint. Once more stops at once.\n")

    def _guard(self):
        # in a job, the others would wait for this rank's results
        if self.requested.is_set() and distributed.size() == 1:
            self._stop()

    def _before_run(self, _):
        return self._fetches

    def _after_run(self, _, run_values):
        self._ends_here = run_values.results > 0

    def _trigger_step(self):
        if self._ends_here:
            self._stop()

    def _stop(self):
        self.stopped = True
        if distributed.is_chief():
            self.saver.trigger()
        raise StopTraining()

    def _after_train(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
