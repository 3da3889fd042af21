"""
What a prediction costs, here and in torchvision: `python -m benchmarks.predict`.

Mask R-CNN R50-FPN with 1,000 proposals and 100 detections an image, whatever the image shows, from an image file to
COCO results with encoded masks. `benchmarks/torchvision_predict.py` says what torchvision does, and
`benchmarks/peers.py` how the sides take turns. Ratios are of the medians over all turns.

`./predict.py --load MODEL --benchmark IMAGE…` measures a model of yours in the same way.
"""
import importlib.util
import json
import os
import statistics
import sys
import tempfile

from common import ArgumentParser, UserError, exit_on_user_error

import cv2
import numpy as np
from tabulate import tabulate

from benchmarks.complexity import AS_MANY_BOXES_AS_ALLOWED
from benchmarks.peers import ROOT, TORCHVISION, add_options, choose_cases, find_torch, run_process, show, take_turns
from benchmarks.train_step import make_batch
from inference.profile import STAGES, measure


def stand_in_weights(path):
    """Write deterministic weights for COCO's R50-FPN Mask, as the tests have them, to an .npz file."""
    folder = os.path.join(ROOT, "tests", "golden")
    spec = importlib.util.spec_from_file_location("stand_in", os.path.join(folder, "weights.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(os.path.join(folder, "R50-FPN.variables.json"), encoding="utf-8") as f:
        np.savez(path, **{name: module.make_weight(name, shape) for name, shape in json.load(f).items()})


def measure_one(args):
    """Measure our side in this process, as `main` asks for."""
    from predict import Detector
    words = [f"TEST.IMS_PER_BATCH={args.batch[0]}", f"TEST.PRECISION={args.precision[0]}",
             f"PREPROC.TEST_SHORT_EDGE_SIZE={args.short_edge}", *AS_MANY_BOXES_AS_ALLOWED, *args.config]
    return measure(Detector(args.load, words), args.one, args.rounds)


def measure_all(args, cases, torch_python, report=print):
    """
    All cases of each batch size in turns, `args.turns` times.

    Args:
        cases (list): of (who, precision)

    Returns:
        list of rows, see `summarize`
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        images, load = args.images, args.load
        if not images:
            images = [os.path.join(folder, "noise.jpg")]
            cv2.imwrite(images[0], make_batch(1, 480, 640, 1, 1)["images"][0])
        if not load:
            load = os.path.join(folder, "stand-in.npz")
            stand_in_weights(load)
        for batch in args.batch:
            def measure_apart(who, precision, batch=batch):
                if who == TORCHVISION:
                    command = [torch_python, "-m", "benchmarks.torchvision_predict", *images]
                else:
                    command = [sys.executable, "-m", "benchmarks.predict", "--one", *images, "--load", load,
                               "--precision", precision, "--config", *args.config]
                return run_process([*command, "--batch", str(batch), "--rounds", str(args.rounds), "--short-edge",
                                    str(args.short_edge)], f"{who} in {precision}")

            runs = take_turns(cases, args.turns, measure_apart, whole_seconds, batch, report)
            rows += summarize(batch, runs)
    return rows


def whole_seconds(found):
    """Returns: float, seconds of an image from file to results, of what `measure` or torchvision_predict found"""
    return found["all"] if "stages" in found else statistics.median(found["seconds"]["all"])


def summarize(batch, runs):
    """
    Args:
        runs (dict): of (who, precision) to a list of what `measure` or benchmarks.torchvision_predict found

    Returns:
        list of dict, see `table`
    """
    rows = []
    for (who, precision), found in runs.items():
        stages = {}
        for run in found:
            for stage, seconds in run.get("stages", run.get("seconds")).items():
                stages.setdefault(stage, []).extend(seconds)
        medians = {stage: statistics.median(seconds) for stage, seconds in stages.items()}
        whole = statistics.median(map(whole_seconds, found))
        share = statistics.median(run["gflop"] / run["peak_gflops"] for run in found) / medians["network"] \
            if "gflop" in found[0] else None
        rows.append(dict(who=who, batch=batch, precision=precision,
                         **{stage: 1e3 * medians[stage] if stage in medians else None for stage in STAGES},
                         all=1e3 * whole, share=share, detections=found[0]["detections"],
                         peak_gib=max(run["peak_gib"] for run in found)))
    peer = next((row["all"] for row in rows if row["who"] == TORCHVISION), None)
    return [dict(row, ratio=row["all"] / peer if peer else None) for row in rows]


def table(rows):
    """Args: rows (list[dict]): of `summarize`. Returns: str, a Markdown table"""
    headers = ["who", "B", "precision", *STAGES, "all, ms an image", "of conv. peak", "detections", "peak GiB",
               "time / torchvision's"]
    formats = ("", "", "", *[".1f"] * 4, ".0f", ".2f", ".0f", ".2f", ".2f")
    return tabulate([list(row.values()) for row in rows], headers, "github", floatfmt=formats, missingval="-")


def parse_args():
    parser = ArgumentParser(
        prog="python -m benchmarks.predict",
        description="Milliseconds and peak memory of a prediction of Mask R-CNN R50-FPN, beside torchvision's.")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="image files; noise of 640 x 480 without them")
    parser.add_argument("--load", help="weights of our side; stand-ins without it")
    add_options(parser)
    parser.set_defaults(batch=[1, 4])
    parser.add_argument("--short-edge", type=int, default=800, help="that images are resized to")
    parser.add_argument("--rounds", type=int, default=5, help="batches to time in a turn, after one to warm up")
    parser.add_argument("--turns", type=int, default=2, help="of each side")
    parser.add_argument("--one", nargs="+", metavar="IMAGE",
                        help="measure only our side, in this process; prints one line of JSON")
    args = parser.parse_args()
    if min(*args.batch, args.short_edge, args.rounds, args.turns) < 1:
        raise UserError("--batch, --short-edge, --rounds and --turns must be positive")
    return args


def main():
    args = parse_args()
    if args.one:
        print(json.dumps(measure_one(args)))
        return
    torch_python = find_torch(args.torch_python)
    rows = measure_all(args, choose_cases(args.precision, bool(torch_python)), torch_python)
    show(rows, table, args.json)


if __name__ == "__main__":
    exit_on_user_error(main)
