"""
Draws what a network is trained on: `python -m data.show --config DATA.BASEDIR=~/mydata DATA.TRAIN=train`.

A command, which nothing imports: it puts together the dataflow of the training and the drawing.
"""
import argparse
import itertools
import math
import os

import common
from common import ArgumentParser, UserError, whole_file, writing

import cv2
import numpy as np
import tqdm
from tensorpack.dataflow import DataFlowTerminated

from config import finalize_configs, new_config
from data.batch import read_batch, trained_specs, unpack_masks
from data.dataflow import get_train_dataflow
from data.registry import fill_categories, load_datasets
from viz.ground_truth import draw_ground_truth, of_sample
from viz.window import Window

SHEET_TILE = 320       # pixels, the longest edge of an image on the sheet
SHEET_IMAGES = 100     # that are on it at most


def parse_args():
    parser = ArgumentParser(
        prog="python -m data.show", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Draw the images and objects that a network is trained on, augmented as in the training.",
        epilog="example:\n  python -m data.show --output shown --number 40 --config @configs/demo.cfg")
    parser.add_argument("--output", metavar="DIR", help="write the pictures, and sheet.jpg with all of them, to DIR")
    parser.add_argument("--show", action="store_true", help="open a window on each; Escape or q ends")
    parser.add_argument("--number", type=int, default=20, metavar="N", help="how many images (%(default)s)")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    args = parser.parse_args()
    if not (args.output or args.show):
        raise UserError("say where the pictures go: --output DIR, or --show for a window")
    if args.number < 1:
        raise UserError(f"--number {args.number} must be at least 1")
    return args


def drawn_samples(cfg, datasets):
    """
    Args:
        cfg (AttrDict): finalized for training
        datasets (list[Dataset]): to train on

    Yields:
        image id, and the picture, uint8 (h, w, 3) BGR, of one image of the training after the other, without end

    Raises:
        UserError: too many images cannot be used
    """
    dataflow = get_train_dataflow(cfg, datasets)
    dataflow.reset_state()
    try:
        for datapoint in dataflow:
            yield from _draw_batch(read_batch(datapoint, trained_specs(cfg)), cfg)
    except DataFlowTerminated:
        raise dataflow.error from None


def _draw_batch(batch, cfg):
    edges = cfg.DATA.KEYPOINT_EDGES if cfg.MODE_KEYPOINT else ()
    for i, (height, width) in enumerate(batch.image_sizes.tolist()):
        masks = None if batch.gt_masks is None else unpack_masks(batch.gt_masks[i], cfg.MRCNN.GT_RESOLUTION)
        keypoints = None if batch.gt_keypoints is None else batch.gt_keypoints[i]
        truth = of_sample(batch.gt_boxes[i], batch.gt_labels[i], masks, (height, width), cfg.DATA.CLASS_NAMES,
                          keypoints)
        yield int(batch.image_ids[i]), draw_ground_truth(batch.images[i, :height, :width], truth, edges)


def make_sheet(pictures):
    """
    Args:
        pictures (list): of uint8 (h, w, 3), at least one

    Returns:
        uint8 (H, W, 3), all of them in rows, as many beside as below each other
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.zeros((rows * SHEET_TILE, columns * SHEET_TILE, 3), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * SHEET_TILE, i % columns * SHEET_TILE
        sheet[top:top + picture.shape[0], left:left + picture.shape[1]] = picture
    return sheet


def _as_tile(picture):
    scale = SHEET_TILE / max(picture.shape[:2])
    height, width = (max(round(scale * edge), 1) for edge in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _write(path, picture):
    with whole_file(path, "wb") as f:
        f.write(cv2.imencode(".jpg", picture)[1].tobytes())


def show(cfg, datasets, number, output=None, window=None):
    """
    Write `output`/0000_IMAGEID.jpg and so on, and `output`/sheet.jpg; and show the pictures, until a key says to stop.

    Args:
        cfg (AttrDict), datasets (list[Dataset]): as `drawn_samples` takes them
        number (int): of images
        output (str): a folder, which is made, or None
        window (viz.window.Window): or None
    """
    if output:
        with writing(output):
            os.makedirs(output, exist_ok=True)
    tiles = []
    samples = itertools.islice(drawn_samples(cfg, datasets), number)
    for i, (image_id, picture) in enumerate(tqdm.tqdm(samples, total=number, unit="image", disable=None)):
        if output:
            _write(os.path.join(output, f"{i:04}_{image_id}.jpg"), picture)
            tiles += [_as_tile(picture)] if i < SHEET_IMAGES else []
        if window and not window.show(picture, wait=0):
            break
    if tiles:
        _write(os.path.join(output, "sheet.jpg"), make_sheet(tiles))
        print(f"The pictures are in {output}, all of them together in {os.path.join(output, 'sheet.jpg')}")


def main():
    args = parse_args()
    window = Window("data.show") if args.show else None
    cfg = new_config()
    cfg.update_args(args.config)
    if not cfg.DATA.TRAIN:
        raise UserError("DATA.TRAIN is empty; name the data set to show, such as --config DATA.TRAIN=train")
    datasets = load_datasets(cfg, cfg.DATA.TRAIN)
    fill_categories(cfg, datasets)
    finalize_configs(cfg, is_training=True)
    show(cfg, datasets, args.number, args.output, window)


if __name__ == "__main__":
    common.exit_on_user_error(main)
