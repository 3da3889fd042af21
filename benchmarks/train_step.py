"""
What a training step costs, here and in torchvision: `python -m benchmarks.train_step`.

Mask R-CNN R50-FPN with every layer trained: loss, gradients and a momentum update in each step, without accumulation,
on images of noise with boxes at random places. `benchmarks/torchvision_step.py` says what is equal on both sides and
what differs, and `benchmarks/peers.py` how the sides take turns. A ratio is of the medians over all turns.
"""
import functools
import json
import os
import statistics
import sys
import tempfile

from common import ArgumentParser, QuietSessionCreator, UserError, exit_on_user_error

import cv2
import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tensorpack import tfv1
from tensorpack.tfutils.tower import TrainTowerContext

from benchmarks import LEARNING_RATE, MOMENTUM, WARMUP_STEPS, time_steps
from benchmarks.peers import OURS, TORCHVISION, add_options, choose_cases, find_torch, run_process, show, take_turns
from config import finalize_configs, new_config
from data.batch import pack_masks
from training.cpu_gradients import make_deterministic
from training.model import TrainingModel

# an untrained network proposes hardly a box that covers half an object; so low an IoU gives as many masks as later on
FG_THRESH = 0.1


def make_batch(batch, height, width, num_boxes, num_classes, seed=0):
    """
    Smooth noise with boxes of a tenth to six tenths of the short edge.

    Args:
        batch (int): images
        height, width (int): in pixels
        num_boxes (int): of an image
        num_classes (int): without the background

    Returns:
        dict: images, uint8 (batch, height, width, 3); gt_boxes, float32 (batch, num_boxes, 4), inside the image;
        gt_labels, int32 (batch, num_boxes), in 1..num_classes
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (batch, height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    area = (min(height, width) * np.exp(rng.uniform(np.log(0.1), np.log(0.6), (batch, num_boxes)))) ** 2
    ratio = np.exp(rng.uniform(-np.log(2), np.log(2), (batch, num_boxes)))
    size = np.stack([np.sqrt(area / ratio), np.sqrt(area * ratio)], axis=2)
    corner = rng.random((batch, num_boxes, 2)) * (np.array([width, height]) - size)
    return dict(images=np.stack([cv2.resize(image, (width, height)) for image in coarse]),
                gt_boxes=np.concatenate([corner, corner + size], axis=2).astype(np.float32),
                gt_labels=rng.integers(1, num_classes + 1, (batch, num_boxes), dtype=np.int32))


def make_config(batch, precision="float32", num_classes=80, fg_thresh=FG_THRESH, words=()):
    """
    Args:
        batch (int): images a step
        precision (str): of `checks.PRECISIONS`
        num_classes (int): without the background
        fg_thresh (float): IoU from which an RoI is foreground
        words (list[str]): KEY=VALUE, as for `--config`

    Returns:
        AttrDict, finalized
    """
    cfg = new_config()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = tuple(map(str, range(num_classes))), tuple(range(1, num_classes + 1))
    cfg.update_args(["BACKBONE.FREEZE_AT=0", f"TRAIN.IMS_PER_GPU={batch}", f"FRCNN.FG_THRESH={fg_thresh}",
                     f"TRAIN.PRECISION={precision}", *words])
    finalize_configs(cfg, is_training=True)
    return cfg


def make_feed(model, batch):
    """
    Args:
        model (TrainingModel)
        batch (dict): see `make_batch`

    Returns:
        dict of the model's input names to arrays
    """
    num_images, height, width = batch["images"].shape[:3]
    resolution = model.cfg.MRCNN.GT_RESOLUTION
    center = (np.arange(resolution) + 0.5) / resolution - 0.5
    ellipse = center[:, None] ** 2 + center[None] ** 2 <= 0.25
    known = dict(
        batch, image_sizes=np.int32([[height, width]] * num_images), image_ids=np.arange(num_images),
        seeds=np.arange(num_images), gt_masks=np.tile(pack_masks(ellipse), (*batch["gt_labels"].shape, 1)))
    return {spec.name: known[spec.name] for spec in model.inputs()}


def build_step(model):
    """
    Build the whole training step in the default graph.

    Returns:
        dict of the input names to placeholders; the fetches of a step: update, loss, number of foreground RoIs
    """
    inputs = {spec.name: tfv1.placeholder(spec.dtype, spec.shape, spec.name) for spec in model.inputs()}
    with TrainTowerContext(""):
        loss = model.build_graph(*inputs.values())
        update = tfv1.train.MomentumOptimizer(LEARNING_RATE, MOMENTUM).minimize(loss)
    # later ops of that name are its moving average
    num_masks = next(op for op in loss.graph.get_operations() if op.name.endswith("fastrcnn_metrics/num_fg"))
    return inputs, [update, loss, num_masks.outputs[0]]


def measure(cfg, batch, steps, warmup=WARMUP_STEPS):
    """
    Args:
        cfg (AttrDict): see `make_config`
        batch (dict): see `make_batch`
        steps (int): to time

    Returns:
        dict, see `benchmarks.time_steps`
    """
    with tf.Graph().as_default():
        make_deterministic()
        tfv1.set_random_seed(0)
        model = TrainingModel(cfg)
        inputs, fetches = build_step(model)
        feed = {inputs[name]: value for name, value in make_feed(model, batch).items()}
        with QuietSessionCreator().create_session() as sess:
            return time_steps(lambda: sess.run(fetches, feed)[1:], steps, warmup)


def measure_apart(who, precision, path, args, torch_python):
    """
    A measurement in a process of its own.

    Args:
        who (str): OURS or TORCHVISION
        path (str): of the batch, an .npz file
        args (Namespace): of the command line

    Returns:
        dict, see `benchmarks.time_steps`
    """
    module = "benchmarks.train_step" if who == OURS else "benchmarks.torchvision_step"
    common = ["--classes", str(args.classes), "--steps", str(args.steps), "--fg-thresh", str(args.fg_thresh)]
    if who == TORCHVISION:
        return run_process([torch_python, "-m", module, path, *common], who)
    return run_process([sys.executable, "-m", module, "--one", path, "--precision", precision, *common,
                        "--config", *args.config], f"{who} in {precision}")


def measure_all(args, cases, torch_python, report=print):
    """
    All cases of each batch size in turns, `args.rounds` times.

    Args:
        cases (list): of (who, precision)

    Returns:
        list of rows, see `summarize`
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for batch in args.batch:
            path = os.path.join(folder, f"{batch}.npz")
            np.savez(path, **make_batch(batch, *args.size, args.boxes, args.classes))
            measure_case = functools.partial(measure_apart, path=path, args=args, torch_python=torch_python)
            runs = take_turns(cases, args.rounds, measure_case, lambda found: statistics.median(found["seconds"]),
                              batch, report)
            rows += summarize(batch, runs)
    return rows


def summarize(batch, runs):
    """
    Args:
        batch (int): images a step
        runs (dict): of (who, precision) to a list of dicts of `benchmarks.time_steps`

    Returns:
        list of dict: who, batch, precision; seconds, the median, and fastest, both of a step over all turns;
        images_per_second; peak_gib, the largest; masks, the median of an image; ratio of the median to that of
        torchvision in float32, None where there is none
    """
    seconds = {case: [s for run in found for s in run["seconds"]] for case, found in runs.items()}
    medians = {case: statistics.median(values) for case, values in seconds.items()}
    peer = medians.get((TORCHVISION, "float32"))
    return [dict(who=who, batch=batch, precision=precision, seconds=medians[who, precision],
                 fastest=min(seconds[who, precision]), images_per_second=batch / medians[who, precision],
                 peak_gib=max(run["peak_gib"] for run in found),
                 masks=statistics.median(run["masks"] for run in found) / batch,
                 ratio=medians[who, precision] / peer if peer else None)
            for (who, precision), found in runs.items()]


def table(rows):
    """Args: rows (list[dict]): of `summarize`. Returns: str, a Markdown table"""
    headers = ["who", "B", "precision", "s/step", "fastest", "images/s", "peak GiB", "masks/image",
               "time / torchvision's"]
    formats = ("", "", "", ".2f", ".2f", ".3f", ".2f", ".0f", ".2f")
    return tabulate([list(row.values()) for row in rows], headers, "github", floatfmt=formats, missingval="-")


def parse_args():
    parser = ArgumentParser(
        prog="python -m benchmarks.train_step",
        description="Seconds and peak memory of a training step of Mask R-CNN R50-FPN, beside torchvision's.")
    add_options(parser)
    parser.set_defaults(batch=[1, 2])
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1067), metavar=("HEIGHT", "WIDTH"),
                        help="of the images, in pixels")
    parser.add_argument("--boxes", type=int, default=8, help="of an image")
    parser.add_argument("--classes", type=int, default=80, help="without the background")
    parser.add_argument("--fg-thresh", type=float, default=FG_THRESH, help="IoU from which an RoI is foreground")
    parser.add_argument("--steps", type=int, default=5, help=f"to time in a turn, after {WARMUP_STEPS} to warm up")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--one", metavar="BATCH.npz",
                        help="measure only our side on this batch, in this process; prints one line of JSON")
    args = parser.parse_args()
    if min(*args.batch, *args.size, args.boxes, args.classes, args.steps, args.rounds) < 1:
        raise UserError("--batch, --size, --boxes, --classes, --steps and --rounds must be positive")
    return args


def main():
    args = parse_args()
    if args.one:
        with np.load(args.one) as arrays:
            batch = dict(arrays)
        cfg = make_config(len(batch["images"]), args.precision[0], args.classes, args.fg_thresh, args.config)
        print(json.dumps(measure(cfg, batch, args.steps)))
        return
    torch_python = find_torch(args.torch_python)
    cases = choose_cases(args.precision, bool(torch_python))
    rows = measure_all(args, cases, torch_python) if cases else []
    show(rows, table, args.json)


if __name__ == "__main__":
    exit_on_user_error(main)
