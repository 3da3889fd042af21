#!/usr/bin/env python3
"""
The demo trained on 300 images with and without copy-paste and with several seeds, as a table: mean over the seeds, and
lowest to highest.

    python -m docs.copy_paste_comparison train_log/copy_paste    # 6 runs at half of the demo's schedule, 1 h on 2 cores

A run that is complete in the folder is taken as it is, so that the command can be interrupted and given again.
"""

import argparse
import os

from common import exit_on_user_error

from data.shapes.render import NUM_VAL, SEED, render_dataset
from docs.loss_comparison import table, train

NUM_IMAGES = 300    # to train on: the first of the demo's
HALF = "TRAIN.LR_SCHEDULE=(525, 615, 650)"
# no smaller than the shapes that are judged, but for some
SETTINGS = {"without": [], "copy-paste": ["PREPROC.COPY_PASTE=0.5", "PREPROC.COPY_PASTE_SCALE=(0.5, 1.5)"]}
METRICS = (("bbox", "AP"), ("bbox", "AP50"), ("segm", "AP"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logdir", help="folder of the runs and their data set")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--config", nargs="+", default=[HALF], metavar="KEY=VALUE", help="on top of configs/demo.cfg")
    args = parser.parse_args()
    basedir = os.path.join(args.logdir, "shapes")
    render_dataset(basedir, NUM_IMAGES, NUM_VAL, SEED)
    results = {name: [] for name in args.settings}
    for seed in args.seeds:
        for name in args.settings:
            config = [f"DATA.BASEDIR={basedir}", *SETTINGS[name], f"TRAIN.SEED={seed}", *args.config]
            results[name].append(train(os.path.join(args.logdir, f"{name}-{seed}"), config))
    print(table(results, "300 images", METRICS))


if __name__ == "__main__":
    exit_on_user_error(main)
