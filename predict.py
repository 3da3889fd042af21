#!/usr/bin/env python3
"""Predict on images, evaluate on data sets, and `Detector`, which does the former in Python.

    detector = Detector("runs/mine", config=["TEST.RESULT_SCORE_THRESH=0.3"])
    result = detector(cv2.imread("image.png"))
    result.boxes, result.scores, result.labels, result.masks, result.class_names
"""
import common    # first: it prepares the environment, or says how to

import argparse
import glob
import os
import sys

import cv2
import numpy as np

import data
import distributed
import eval as evaluation
import viz
from common import UserError
from config import config, finalize_configs, load_config
from metrics import curves_path

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

EXAMPLES = """
examples:
  draw what a trained model finds in some images, and write it as json:
    ./predict.py --load runs/mine --predict photo.jpg more_photos/ 'shots/*.png' --output out
  with a lower threshold for what is drawn, and a larger one for what is written:
    ./predict.py --load runs/mine --predict photo.jpg --output out \\
        --config TEST.RESULT_SCORE_THRESH_VIS=0.3 TEST.RESULT_SCORE_THRESH=0.1
  keep only the weights of a run, in one file:
    ./predict.py --load runs/mine --export mine.npz
  evaluate a weight file on COCO:
    ./predict.py --load COCO-MaskRCNN-R50FPN2x.npz --evaluate out.json \\
        --config DATA.BASEDIR=~/coco DATA.VAL=val2017
"""


# from --load and --config to a network ------------------------------------------------------------------------------
def read_config(load, words):
    """
    The config of a run's folder, if `load` is in one, changed by KEY=VALUE words. It is not finalized.

    Args:
        load (str): a run's folder, a checkpoint or a weight file
        words (list[str]): of `--config`

    Returns:
        the config, and the path of the weights
    """
    from modeling.weights import find_run

    cfg = config.clone()
    # before the weights are looked for: a misspelt key is the cheaper mistake to report
    cfg.update_args(words)
    weights_path, config_path = find_run(load)
    if config_path is not None:
        cfg = config.clone()
        load_config(cfg, config_path)
        cfg.update_args(words)
    return cfg, weights_path


def _fill_classes(cfg):
    """Weights that come without a config are COCO's, unless the classes were given."""
    if not cfg.DATA.CLASS_NAMES:
        cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = tuple(data.COCO_CLASS_NAMES), tuple(data.COCO_CATEGORY_IDS)
    elif not cfg.DATA.CATEGORY_IDS:
        cfg.DATA.CATEGORY_IDS = tuple(range(1, len(cfg.DATA.CLASS_NAMES) + 1))


def _load_network(cfg, weights_path):
    from modeling.predictor import load_predictor

    finalize_configs(cfg, is_training=False)
    return load_predictor(cfg, weights_path)


class Detector:
    """
    A network with its weights, ready to be called on images.

    Args:
        load (str): a run's folder, a checkpoint or a weight file; without a `config.json` beside it, COCO's classes are
            assumed unless `config` gives DATA.CLASS_NAMES
        config (list[str]): KEY=VALUE or @FILE words, which override the run's config

    Raises:
        UserError: naming what cannot be used
    """

    def __init__(self, load, config=()):
        self.cfg, weights_path = read_config(load, list(config))
        _fill_classes(self.cfg)
        self.predict = _load_network(self.cfg, weights_path)

    @property
    def class_names(self):
        """tuple[str]: of the labels 1..N"""
        return tuple(self.cfg.DATA.CLASS_NAMES)

    def __call__(self, images):
        """
        Args:
            images: one image, or a list of them: uint8 (h, w, 3) arrays in BGR, or paths; a list goes through the
                network in batches of TEST.IMS_PER_BATCH

        Returns:
            eval.Detections, or a list of them: boxes (N, 4) float32 in the image's own pixels, scores (N,), labels (N,)
            in 1..N, masks (N, h, w) bool or None, class_names; the highest score first

        Raises:
            UserError: for what is no image
        """
        if not isinstance(images, (list, tuple)):
            return self([images])[0]
        images = [_as_image(image) for image in images]
        size = self.cfg.TEST.IMS_PER_BATCH
        return [found for i in range(0, len(images), size)
                for found in evaluation.detect_batch(self.predict, images[i:i + size], self.cfg)]


def _as_image(image):
    """Returns: the image as an array, read if it is a path"""
    if isinstance(image, (str, os.PathLike)):
        return data.load_image(os.fspath(image))
    if not isinstance(image, np.ndarray):
        raise UserError(f"an image is of type {type(image).__name__}; "
                        "give a uint8 (h, w, 3) array in BGR order, or a path")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"an image has shape {image.shape}; give (h, w, 3) in BGR order, as cv2.imread does, and "
                        "several images as a list")
    if image.dtype != np.uint8:
        raise UserError(f"an image has dtype {image.dtype}; give uint8 in 0..255, as cv2.imread does")
    return image


# --predict ----------------------------------------------------------------------------------------------------------
def expand_inputs(inputs):
    """
    Find the images that files, folders and patterns stand for.

    Args:
        inputs (list[str]): image files, folders (the images right in them), or patterns such as "shots/*.png"

    Returns:
        list[str]: paths of files, each once; and list[str]: one line for each input that stands for none
    """
    paths, problems = [], []
    for name in inputs:
        if os.path.isdir(name):
            found = [os.path.join(name, entry) for entry in sorted(os.listdir(name))
                     if entry.lower().endswith(IMAGE_SUFFIXES)]
            problem = f"{name} has no images in it ({', '.join(IMAGE_SUFFIXES)}); name a folder that has"
        elif os.path.isfile(name):
            found = [name]
        else:
            found = [path for path in sorted(glob.glob(name, recursive=True)) if os.path.isfile(path)]
            problem = f"{name} is not there; check the path"
        if found:
            paths += found
        else:
            problems.append(problem)
    return list(dict.fromkeys(paths)), problems


def name_outputs(paths):
    """
    Returns: list[str], for each path the stem of its output files: its own, with a number where that is taken already
    """
    stems = []
    for path in paths:
        own = stem = os.path.splitext(os.path.basename(path))[0]
        number = 1
        while stem in stems:
            number += 1
            stem = f"{own}_{number}"
        stems.append(stem)
    return stems


def _prepare_output(folder, paths, stems):
    """Make the output folder, and see that nothing in it is overwritten that is an input."""
    _make_folder(folder)
    inputs = {os.path.realpath(path) for path in paths}
    for path, stem in zip(paths, stems):
        if os.path.realpath(os.path.join(folder, stem + ".png")) in inputs:
            raise UserError(f"--output {folder}: {stem}.png there is one of the images to predict on and would be "
                            "overwritten; choose another folder")
        if stem != os.path.splitext(os.path.basename(path))[0]:
            common.warn(f"{path}: another image has this name, so it is written as {stem}.png and {stem}.json")


def _make_folder(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise UserError(f"cannot make the folder {folder} ({e.strerror}); choose another place") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write into the folder {folder}; choose another place, or change its permissions")


def _write_image(path, image):
    try:
        written = cv2.imwrite(path, image)
    except cv2.error:
        written = False
    if not written:
        raise UserError(f"cannot write {path}; check that there is room and that you may write there")


def _check_window():
    """See that a window can be opened before the network is built for it."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--show: there is no display here to open a window on; use --output DIR and look at the files")
    try:
        cv2.namedWindow("predict")
    except cv2.error:
        raise UserError("--show: this OpenCV is built without windows; use --output DIR, or install opencv-python "
                        "in place of opencv-python-headless") from None


def predict_images(load, words, inputs, output, show):
    """
    Predict on images, draw, and write `output`/STEM.png and STEM.json for each.

    Args:
        load (str), words (list[str]): as `Detector` takes them
        inputs (list[str]): as `expand_inputs` takes them
        output (str): folder, or None
        show (bool): open a window on each; Escape or q ends

    Raises:
        UserError: at the end when any of the images failed; the others are done
    """
    paths, problems = expand_inputs(inputs)
    for problem in problems[:-1] if not paths else problems:
        common.warn(problem)
    if not paths:
        raise UserError(problems[-1])
    if show:
        _check_window()
    stems = name_outputs(paths)
    if output is not None:
        _prepare_output(output, paths, stems)
    detector = Detector(load, words)
    score_threshold = detector.cfg.TEST.RESULT_SCORE_THRESH_VIS
    done, num_failed = 0, len(problems)
    with evaluation.progress_bar(len(paths), "predict") as bar:
        for stem, (image, found) in zip(stems, evaluation.detect_files(detector.predict, paths, detector.cfg)):
            bar.update()
            if image is None:
                common.warn(str(found))
                num_failed += 1
                continue
            picture = viz.draw_detections(image, found, detector.class_names, score_threshold)
            if output is not None:
                _write_prediction(os.path.join(output, stem), picture, stem, found, detector.cfg)
            done += 1
            if show and _wait_for_key(picture):
                break
    print(f"predicted on {done} image{'s' * (done != 1)}" + (f", see {output}" if output is not None else ""))
    if num_failed:
        raise UserError(f"{num_failed} of {len(problems) + len(paths)} inputs cannot be used, see the lines above")


def _write_prediction(path, picture, image_id, found, cfg):
    _write_image(path + ".png", picture)
    evaluation.write_json(path + ".json", evaluation.detections_to_coco(
        image_id, found, cfg.DATA.CATEGORY_IDS, cfg.DATA.CLASS_NAMES))


def _wait_for_key(picture):
    """Returns: bool, whether the user wants to end"""
    cv2.imshow("predict", picture)
    return cv2.waitKey(0) & 0xFF in (27, ord("q"))


# --evaluate ---------------------------------------------------------------------------------------------------------
def evaluate_model(load, words, output):
    """
    Evaluate a model on each of DATA.VAL, write its COCO results, draw precision-recall curves beside them and print the
    metrics. Ranks of a job share the work.

    Args:
        load (str), words (list[str]): as `Detector` takes them
        output (str): a json file; with several data sets OUT.json becomes OUT_NAME.json for each

    Returns:
        dict of data set name to metrics
    """
    cfg, weights_path = read_config(load, words)
    if not cfg.DATA.VAL:
        raise UserError("DATA.VAL is empty; name the data set to evaluate on, such as --config DATA.VAL=val2017")
    with distributed.chief_first():
        datasets = data.load_datasets(cfg, cfg.DATA.VAL)
    # refuses a data set with other classes than the model's
    data.fill_categories(cfg, datasets)
    outputs = [output]
    if len(datasets) > 1:
        stem, suffix = os.path.splitext(output)
        outputs = [f"{stem}_{dataset.name}{suffix}" for dataset in datasets]
    for path in outputs:
        if os.path.isdir(path):
            raise UserError(f"--evaluate {path} is a folder; name the json file to write, such as {path}/out.json")
    _make_folder(os.path.dirname(os.path.abspath(output)))
    predict = _load_network(cfg, weights_path)
    metrics = {}
    for dataset, path in zip(datasets, outputs):
        metrics[dataset.name] = evaluation.evaluate_dataset(predict, dataset, cfg, path)
        if distributed.is_chief():
            print(f"detections written to {path}, precision-recall curves to {curves_path(path)}")
    return metrics


# --export -----------------------------------------------------------------------------------------------------------
def export_weights(load, path):
    """Write the weights of a run's folder, a checkpoint or a weight file as one .npz file."""
    from modeling.weights import find_run, read_weights, save_weights

    save_weights(path, read_weights(find_run(load)[0]))
    print(f"wrote {path}; its config does not come along, unless config.json lies beside it")


# command line -------------------------------------------------------------------------------------------------------
def parse_args(words=None):
    """
    Returns: argparse.Namespace

    Raises:
        UserError: the command line makes no sense
    """
    parser = common.ArgumentParser(description="Predict on images, or evaluate on data sets, with a trained model.",
                                   epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)
    parser.add_argument("--load", required=True, metavar="PATH",
                        help="the model: a run's folder, a checkpoint or a weight file")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--predict", nargs="+", metavar="IMAGE",
                        help="images, folders of images, or patterns such as 'a/*.png'")
    action.add_argument("--evaluate", metavar="OUT.json",
                        help="evaluate on each of DATA.VAL: write COCO results to OUT.json, draw OUT_curves.png and "
                             "print the metrics")
    action.add_argument("--export", metavar="OUT.npz", help="write the weights alone, as one file that --load takes")
    parser.add_argument("--output", metavar="DIR", help="where --predict writes IMAGE.png, a drawing, and IMAGE.json")
    parser.add_argument("--show", action="store_true",
                        help="open a window on each image of --predict; Escape or q ends")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    args = parser.parse_args(words)
    if args.predict and not (args.output or args.show):
        parser.error("--predict needs --output DIR, where the results go, or --show")
    if not args.predict and (args.output or args.show):
        parser.error("--output and --show belong to --predict; --evaluate and --export write the file that they name")
    if "" in (args.evaluate, args.output, args.export):
        parser.error("an output path is empty")
    if args.export and not args.export.endswith(".npz"):
        parser.error(f"--export {args.export}: the name must end in .npz")
    return args


def main(words=None):
    args = parse_args(words)
    if args.predict:
        predict_images(args.load, args.config, args.predict, args.output, args.show)
    elif args.evaluate:
        if distributed.launched() > 1:
            distributed.init()
        with distributed.member():
            evaluate_model(args.load, args.config, args.evaluate)
    else:
        export_weights(args.load, args.export)


if __name__ == "__main__":
    common.exit_on_user_error(main)
