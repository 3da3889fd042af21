"""Evaluations during a training."""
import os

import common

from tensorpack.callbacks import Callback
from tensorpack.utils import logger

import distributed
from eval import evaluate_dataset
from inference.predictor import as_predict_function
from inference.results import remove_partial, write_json


class Evaluation(Callback):
    """
    Evaluates the data sets, writes eval.json, the detections and their precision-recall curves into the run's folder,
    and shows the metrics.

    Args:
        cfg (AttrDict): a finalized config
        datasets (list[Dataset])
        model (ModelDesc): with `inference_tensor_names`

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
        metrics = evaluate_dataset(self._predict, dataset, self.cfg, output, report=logger.info)
        if metrics is not None:
            remove_partial(output)
        return metrics

    def _put_scalars(self, name, metrics):
        for kind, values in metrics.items():
            for metric, value in values.items():
                if value is not None:
                    self.trainer.monitors.put_scalar(f"{name}/{kind}/{metric}", value)


def eval_path(logdir):
    """Returns: str, the path of the metrics of a run's last evaluation"""
    return os.path.join(logdir, "eval.json")
