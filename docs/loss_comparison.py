#!/usr/bin/env python3
"""
The demo trained with each box loss and several seeds, as a table: mean over the seeds, and lowest to highest.

    python -m docs.loss_comparison train_log/losses    # 18 runs at a third of the demo's schedule, 2 h on 2 cores

A run that is complete in the folder is taken as it is, so that the command can be interrupted and given again.
"""

import argparse
import json
import os
import subprocess
import sys

from common import exit_on_user_error

import tabulate

from modeling.losses import IOU_KINDS

THIRD = "TRAIN.LR_SCHEDULE=(350, 410, 433)"
IN_BOX_HEAD = {kind: [f"FRCNN.LOSS_TYPE={kind}", "FRCNN.LOSS_BBOX_WEIGHT=10"] for kind in IOU_KINDS}
LOSSES = {"smooth_l1": [], **IN_BOX_HEAD, "giou, also in the RPN": [*IN_BOX_HEAD["giou"], "RPN.LOSS_TYPE=giou"]}
METRICS = (("bbox", "AP"), ("bbox", "AP50"), ("bbox", "AP75"))


def train(logdir, config):
    """Train the demo, unless the run is there. Returns: dict, "bbox" and "segm", of dicts of metrics in the end"""
    report = os.path.join(logdir, "eval.json")
    if not os.path.exists(report):    # it comes last, TRAIN.EVAL_PERIOD being longer than the run
        subprocess.run([sys.executable, "train.py", "--logdir", logdir, "--overwrite",
                        "--config", "@configs/demo.cfg", *config], check=True)
    with open(report, encoding="utf-8") as f:
        (metrics,) = json.load(f).values()
    return metrics


def table(results, heading, metrics=METRICS):
    """
    Args:
        results (dict): from a name to a list of what `train` returns, one of each seed
        heading (str): of the names
        metrics: pairs of kind and metric, such as "bbox" and "AP"

    Returns:
        str: Markdown, with mean (lowest to highest) of each of the metrics
    """
    def cell(values):
        return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"

    rows = [[name, *(cell([run[kind][metric] for run in runs]) for kind, metric in metrics)]
            for name, runs in results.items()]
    headers = [heading, *(" ".join(pair) for pair in metrics)]
    return tabulate.tabulate(rows, headers=headers, tablefmt="github")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logdir", help="folder of the runs")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES), metavar="LOSS")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--config", nargs="+", default=[THIRD], metavar="KEY=VALUE", help="on top of configs/demo.cfg")
    args = parser.parse_args()
    results = {name: [] for name in args.losses}
    for seed in args.seeds:
        for name in args.losses:
            logdir = os.path.join(args.logdir, f"{name.replace(', also in the ', '-')}-{seed}")
            results[name].append(train(logdir, [*LOSSES[name], f"TRAIN.SEED={seed}", *args.config]))
    print(table(results, "loss of boxes"))


if __name__ == "__main__":
    exit_on_user_error(main)
