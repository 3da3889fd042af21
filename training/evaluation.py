"""Evaluations during a training."""
import functools
import json
import os

import common

from tensorpack.callbacks import Callback
from tensorpack.utils import logger

import distributed
from eval import evaluate_dataset
from inference.predictor import make_predict_function
from inference.results import remove_partial, write_json


class CutShort(Exception):
    """An evaluation ends before its time, as the training is asked to stop."""


class Evaluation(Callback):
    """
    Evaluates the data sets, writes eval.json, the detections and their precision-recall curves into the run's folder,
    and shows the metrics.

    Args:
        cfg (AttrDict): a finalized config
        datasets (list[Dataset])
        model (TrainingModel)
        stop (StopOnSignal): may cut it short
    """

    _chief_only = False

    def __init__(self, cfg, datasets, model, stop):
        self.cfg, self.datasets, self.model, self.stop = cfg, datasets, model, stop

    def _setup_graph(self):
        network, device = self.model.network, 0 if common.visible_gpus() else -1

        def make_callable(inputs, outputs):
            return functools.partial(self._predict, self.trainer.get_predictor(inputs, outputs, device=device))
        self._network = make_predict_function(make_callable, network.output_names(), network.given_names())

    def _predict(self, predictor, *inputs):
        # in a thread of its own, from where the training cannot be ended
        if self.stop.cuts_evaluations():
            raise CutShort()
        return predictor(*inputs)

    def _trigger_epoch(self):
        try:
            self._evaluate_all()
        except CutShort:
            self.stop.stop()

    def _evaluate_all(self):
        step, report = int(self.global_step), {}
        for dataset in self.datasets:
            metrics = self._evaluate(dataset, step)
            if metrics is not None:
                report[dataset.name] = dict(metrics, step=step)
                self._put_scalars(dataset.name, metrics)
        if distributed.is_chief():
            write_json(eval_path(logger.get_logger_dir()), report)

    def _evaluate(self, dataset, step):
        """Returns: dict of kind to dict of metrics; None on all ranks but the chief"""
        folder = logger.get_logger_dir()
        output = os.path.join(folder, f"detections-{dataset.name}-{step}.json") if folder else None
        try:
            return evaluate_dataset(self._network, dataset, self.cfg, output, report=logger.info)
        finally:
            if distributed.is_chief():
                remove_partial(output)

    def _put_scalars(self, name, metrics):
        for kind, values in metrics.items():
            for metric, value in values.items():
                if value is not None:
                    self.trainer.monitors.put_scalar(f"{name}/{kind}/{metric}", value)


def eval_path(logdir):
    """Returns: str, the path of the metrics of a run's last evaluation"""
    return os.path.join(logdir, "eval.json")


def evaluated_steps(logdir):
    """Returns: dict of the name of a data set to the step of its last evaluation in a run; empty before the first"""
    try:
        with open(eval_path(logdir), encoding="utf-8") as f:
            return {name: metrics["step"] for name, metrics in json.load(f).items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
