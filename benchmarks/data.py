"""
What the data cost: `python -m benchmarks.data`.

- images: how many a core reads and makes ready, 640 x 480 JPEG with 7 objects on average and their masks, 800/1333,
  batching included.
- load: seconds to read a random annotation file as large as COCO's, beside pycocotools, and from the cache the next
  time.
- memory: of all processes, as shares of what they share (PSS), after a whole pass of the training dataflow with
  workers.
  All images are one file of 64 x 48 pixels, so that the pass is about the annotations.
- padding: share of a batch's pixels that no image has, with images in groups of like shapes and without.

Each measurement of load and memory has a process of its own.
"""
import concurrent.futures
import contextlib
import io
import itertools
import multiprocessing
import os
import tempfile
import time

from common import ArgumentParser, UserError, exit_on_user_error

import cv2
import numpy as np
import psutil
from pycocotools.coco import COCO
from tabulate import tabulate

import data
from benchmarks import peak_gib
from benchmarks.annotations import write_annotations
from benchmarks.padding import MAX_SIZE, SHORT_EDGE, draw_sizes, padding
from config import new_config

LARGE, TINY = (480, 640), (48, 64)    # height and width of images
OBJECTS_AN_IMAGE = 7
NAME, IMAGE = "random", "image.jpg"
WHAT = ("images", "load", "memory", "padding")


def write_set(folder, num_images, num_objects, size=None):
    """Write a data set whose images are one file of that size; without a size it is the annotations alone."""
    write_annotations(os.path.join(folder, f"{NAME}.json"), num_images, num_objects, IMAGE, size)
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    height, width = size or TINY
    cv2.imwrite(os.path.join(folder, IMAGE), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def make_flow(folder, short_edge, max_size, num_workers):
    """Returns: the training dataflow of the data set in a folder, with masks and one image a batch"""
    cfg = new_config()
    cfg.DATA.BASEDIR, cfg.DATA.NUM_WORKERS = folder, num_workers
    cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE = (short_edge, short_edge), max_size
    flow = data.get_train_dataflow(cfg, data.load_datasets(cfg, [NAME]))
    flow.reset_state()
    return flow


def measure_images(num_images):
    """Returns: images a second in this process, and bytes of what a worker would send of an image"""
    cv2.setNumThreads(0)    # as in a worker
    with tempfile.TemporaryDirectory() as folder:
        write_set(folder, num_images, OBJECTS_AN_IMAGE * num_images, LARGE)
        batches = iter(make_flow(folder, SHORT_EDGE, MAX_SIZE, num_workers=0))
        next(batches)
        start = time.perf_counter()
        sizes = [sum(field.nbytes for field in batch) for batch in itertools.islice(batches, num_images)]
        return num_images / (time.perf_counter() - start), sum(sizes) / num_images


def measure_load(who, folder):
    """
    Args:
        who (str): "pycocotools" or "ours"

    Returns:
        seconds to load the data set in a folder, peak GiB of this process
    """
    start = time.perf_counter()
    if who == "ours":
        cfg = new_config()
        cfg.DATA.BASEDIR = folder
        data.load_datasets(cfg, [NAME])
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            COCO(os.path.join(folder, f"{NAME}.json"))
    return time.perf_counter() - start, peak_gib()


def measure_memory(folder, num_images, num_workers):
    """Returns: GiB of this process and its workers after a pass through the data set in a folder, and seconds of it"""
    multiprocessing.set_start_method("fork", force=True)    # as in a training; `apart` spawned this process
    batches = iter(make_flow(folder, *TINY, num_workers))
    start = time.perf_counter()
    for _ in itertools.islice(batches, num_images):
        pass
    this = psutil.Process()
    pss = sum(process.memory_full_info().pss for process in [this, *this.children(recursive=True)])
    return pss / 2**30, time.perf_counter() - start


def apart(function, *args):
    """A call in a process of its own"""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def load_rows(num_images, num_objects):
    with tempfile.TemporaryDirectory() as folder:
        write_set(folder, num_images, num_objects)
        seconds = {}
        for label, who in (("pycocotools", "pycocotools"), ("ours", "ours"), ("ours, the second time", "ours")):
            seconds[label], gib = apart(measure_load, who, folder)
            ratio = seconds[label] / seconds["pycocotools"]
            yield [f"load {num_objects:,} objects: {label}", f"{seconds[label]:.1f} s, {ratio:.2f}; peak {gib:.2f} GiB"]


def make_rows(args):
    """Yields: rows of the table, as they are measured"""
    if "images" in args.what:
        speed, size = measure_images(args.speed_images)
        yield ["images a second and core", f"{speed:.1f}"]
        yield ["bytes of an image", f"{size:,.0f}"]
    if "padding" in args.what:
        sizes = draw_sizes(args.images)
        yield [f"padding, B = {args.batch_size}: in groups", f"{padding(args.batch_size, sizes):.1%}"]
        yield [f"padding, B = {args.batch_size}: without", f"{padding(args.batch_size, sizes, grouped=False):.1%}"]
    if "load" in args.what:
        yield from load_rows(args.images, args.objects)
    if "memory" in args.what:
        with tempfile.TemporaryDirectory() as folder:
            write_set(folder, args.images, args.objects, TINY)
            gib, seconds = apart(measure_memory, folder, args.images, args.workers)
        yield [f"memory after a pass, {args.workers} workers", f"{gib:.2f} GiB; {seconds:.0f} s"]


def parse_args(argv=None):
    parser = ArgumentParser(prog="python -m benchmarks.data", description="Speed, memory and padding of the data.")
    parser.add_argument("--images", type=int, default=118_000, help="of the annotation file")
    parser.add_argument("--objects", type=int, default=860_000, help="of the annotation file")
    parser.add_argument("--speed-images", type=int, default=200, help="that are timed")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=4, help="of the padding")
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    args = parser.parse_args(argv)
    if min(args.images, args.objects, args.speed_images, args.workers, args.batch_size) < 1:
        raise UserError("all numbers must be positive")
    return args


def main(argv=None):
    print(tabulate(list(make_rows(parse_args(argv))), ["what", "figure"], "github"))


if __name__ == "__main__":
    exit_on_user_error(main)
