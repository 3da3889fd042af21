"""A training from its first step to its last."""
from tensorpack import tfv1
from tensorpack.callbacks import (
    Callback,
    EnableCallbackIf,
    MergeAllSummaries,
    MovingAverageSummary,
    RunUpdateOps,
    TFEventWriter,
)
from tensorpack.input_source import QueueInput
from tensorpack.train import TrainConfig, launch_train_with_config

import data
import distributed
from training import cpu_gradients
from training.checkpoint import CheckpointSaver, TimedCheckpoints
from training.evaluation import Evaluation
from training.model import TrainingModel
from training.progress import Progress
from training.schedule import total_batch
from training.stop import StopOnSignal
from training.trainers import make_trainer

QUEUED_BATCHES = 4    # that wait for a step
FEED_PATIENCE = 30    # seconds in which the thread that feeds images must end behind a training


def train_dataflow(cfg, datasets, schedule):
    """
    Args:
        cfg (AttrDict): a finalized config
        datasets (list[Dataset]): joined
        schedule (Schedule)

    Returns:
        DataFlow, the batches of this rank from where the training begins, see `data.get_train_dataflow`
    """
    stretch = schedule.history.current
    # each tower of this process takes a batch in each step
    first_batch = (schedule.start_step - stretch.step) * stretch.num_batches // distributed.size()
    return data.get_train_dataflow(cfg, datasets, first_batch, distributed.rank(), distributed.size(),
                                   schedule.history.earlier_batches())


def train(cfg, dataflow, val_sets, schedule, init, logdir):
    """
    Train the model of a config.

    Args:
        cfg (AttrDict): a finalized config
        dataflow (DataFlow): of `train_dataflow`
        val_sets (list[Dataset]): to evaluate on
        schedule (Schedule)
        init (SessionInit): what to start from
        logdir (str): the run's folder

    Returns:
        bool: False when a signal ended it before its last step

    Raises:
        UserError: a loss is not finite, the data cannot be read, or a checkpoint cannot be written
    """
    cpu_gradients.make_deterministic()
    tfv1.disable_eager_execution()
    tfv1.set_random_seed(cfg.TRAIN.SEED)
    model = TrainingModel(cfg)
    progress = Progress(model.loss_names(), schedule.num_steps, total_batch(cfg.TRAIN))
    saver = CheckpointSaver(logdir, cfg.TRAIN.MAX_TO_KEEP)
    stop = StopOnSignal(saver)
    evaluation = Evaluation(cfg, val_sets, model, stop)
    trainer = make_trainer(cfg)
    source = QueueInput(
        dataflow, queue=tfv1.FIFOQueue(QUEUED_BATCHES, [spec.dtype for spec in model.get_input_signature()]))
    launch_train_with_config(TrainConfig(
        model=model,
        data=source,
        callbacks=[
            schedule.setter(),
            EpochLength(schedule),
            progress,
            *([TimedCheckpoints(saver, cfg.TRAIN.CHECKPOINT_MINUTES)] if cfg.TRAIN.CHECKPOINT_MINUTES else []),
            # also before an evaluation, which may take long
            EnableCallbackIf(saver, _is_due(schedule, cfg.TRAIN.CHECKPOINT_PERIOD, cfg.TRAIN.EVAL_PERIOD)),
            EnableCallbackIf(evaluation, _is_due(schedule, cfg.TRAIN.EVAL_PERIOD)).set_chief_only(False),
            stop],
        extra_callbacks=[MovingAverageSummary(), MergeAllSummaries(), RunUpdateOps()],
        monitors=[TFEventWriter()] if distributed.is_chief() else [],
        session_creator=distributed.session_creator(),
        session_init=init,
        steps_per_epoch=schedule.steps_per_epoch,
        starting_epoch=schedule.first_epoch,
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


def _is_due(schedule, *periods):
    """Returns: callable, whether a callback is due behind the epoch it is in: each of a period, and the last"""
    return lambda callback: callback.epoch_num == schedule.num_epochs or any(
        callback.epoch_num % period == 0 for period in periods)


class EpochLength(Callback):
    """Ends each epoch at a multiple of its steps, wherever the training began, and the last one with the training."""

    _chief_only = False

    def __init__(self, schedule):
        self.schedule = schedule

    def _before_epoch(self):
        end = min(self.epoch_num * self.schedule.steps_per_epoch, self.schedule.num_steps)
        self.trainer.loop.steps_per_epoch = max(end - self.global_step, 0)
