"""The bar of a training, its losses, and a stop where one of them is not finite."""
import re
import sys
import time

from common import UserError

import numpy as np
import tensorflow as tf
import tqdm
from tensorpack import tfv1
from tensorpack.callbacks import Callback
from tensorpack.train import StopTraining
from tensorpack.utils import logger

import distributed

LINE_PERIOD = 20    # seconds between lines where there is no terminal for a bar
DECAY = 0.95        # of the moving averages that are shown


class Progress(Callback):
    """
    One bar for the whole training, with the losses. Stops the training when one of them is not finite.

    Args:
        loss_names (list[str]): of scalars in each tower; the last is the sum of the others
        num_steps (int): of the whole training
        images_per_step (int): on all GPUs

    Attributes:
        error (UserError): why the training was stopped, or None
        losses (dict): name to float32, of the step before, means over all towers and ranks
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
        image_ids = [tower.get_tensor("image_ids") for tower in towers]
        mean = distributed.sum_over_ranks(tf.reduce_mean(tf.stack(losses), axis=0)) / distributed.size()
        self._fetches = tfv1.train.SessionRunArgs([losses, image_ids, mean])

    def _before_train(self):
        self._averages = None
        self._started, self._first_step, self._last_line = time.time(), self.global_step, time.time()
        self._bar = tqdm.tqdm(total=self.num_steps, initial=self.global_step, unit="step", dynamic_ncols=True,
                              disable=not (sys.stderr.isatty() and distributed.is_chief()), smoothing=0.05)

    def _before_run(self, _):
        distributed.progress(self.global_step)
        return self._fetches

    def _after_run(self, _, run_values):
        losses, image_ids, mean = run_values.results
        for tower_losses, tower_ids in zip(losses, image_ids):
            self._check_finite(dict(zip(self.loss_names, tower_losses)), tower_ids)
        self.losses = dict(zip(self.loss_names, mean))
        before = self._averages or self.losses
        self._averages = {name: DECAY * before[name] + (1 - DECAY) * loss for name, loss in self.losses.items()}

    def _check_finite(self, losses, image_ids):
        bad = [name for name, loss in losses.items() if not np.isfinite(loss)]
        if bad:
            self.error = UserError(
                f"training stopped at step {self.global_step}: {', '.join(bad)} not finite for the images "
                f"{', '.join(map(str, image_ids))}; the checkpoints of the run are older. "
                "Lower TRAIN.BASE_LR, lengthen TRAIN.WARMUP, or set TRAIN.GRADIENT_CLIP, and go on with --resume")
            raise StopTraining()

    def _describe(self):
        parts = " ".join(f"{_short(name)} {self._averages[name]:.2f}" for name in self.loss_names[:-1]
                         if name != "wd_cost")
        rate = (self.global_step - self._first_step) * self.images_per_step / (time.time() - self._started)
        return f"loss {self._averages[self.loss_names[-1]]:.2f} ({parts}), {rate:.1f} images/s"

    def _trigger_step(self):
        if self._bar.disable:
            self._maybe_print_line()
            return
        self._bar.set_postfix_str(self._describe(), refresh=False)
        self._bar.update()

    def _maybe_print_line(self):
        now = time.time()
        if now - self._last_line < LINE_PERIOD and self.global_step < self.num_steps:
            return
        self._last_line = now
        left = (now - self._started) / (self.global_step - self._first_step) * (self.num_steps - self.global_step)
        logger.info(f"step {self.global_step}/{self.num_steps}: {self._describe()}, "
                    f"{tqdm.tqdm.format_interval(left)} to go")

    def _after_train(self):
        self._bar.close()


def _short(loss_name):
    """Returns: str, the name of a loss in the bar"""
    return re.sub("fastrcnn|cascade_stage", "box", loss_name).replace("_loss", "").replace("rcnn", "")
