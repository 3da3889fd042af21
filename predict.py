#!/usr/bin/env python3
"""Predict on images, evaluate on data sets, and `Detector`, which does the former in Python.

    detector = Detector("runs/mine", config=["TEST.RESULT_SCORE_THRESH=0.3"])
    result = detector(cv2.imread("image.png"))
    result.boxes, result.scores, result.labels, result.masks, result.class_names
"""
import argparse
import collections
import contextlib
import glob
import os
import sys
import time

import common  # first: it prepares the environment, or says how to
from common import UserError

import cv2

import data
import distributed
import eval as evaluation
from config import inference_settings
from inference import video
from inference.detections import detections_to_coco
from inference.detector import Detector, load_network, read_config
from inference.results import ResultsFile, has_partial, partial_path, remove_partial, write_json
from inference.stream import detect_stream, progress_bar
from metrics.coco import curves_path
from viz.detections import draw_detections
from weights.files import digest, read_weights, save_weights
from weights.find import find_run

BENCHMARK_ROUNDS = 5    # batches that are timed
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


# --predict ----------------------------------------------------------------------------------------------------------
def expand_inputs(inputs):
    """
    Find the images and videos that files, folders and patterns stand for.

    Args:
        inputs (list[str]): files, folders (what is right in them), or patterns such as "shots/*.png"

    Returns:
        list[str]: paths of files, each once; and list[str]: one line for each input that stands for none
    """
    suffixes = IMAGE_SUFFIXES + video.SUFFIXES
    paths, problems = [], []
    for name in inputs:
        if os.path.isdir(name):
            found = [os.path.join(name, entry) for entry in sorted(os.listdir(name))
                     if entry.lower().endswith(suffixes)]
            problem = f"{name} has no images or videos in it ({', '.join(suffixes)}); name a folder that has"
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


def _picture_name(path, stem):
    return stem + (".mp4" if video.is_video(path) else ".png")


def _prepare_output(folder, paths, stems):
    """Make the output folder, and see that nothing in it is overwritten that is an input."""
    _make_folder(folder)
    inputs = {os.path.realpath(path) for path in paths}
    for path, stem in zip(paths, stems):
        name = _picture_name(path, stem)
        if os.path.realpath(os.path.join(folder, name)) in inputs:
            raise UserError(f"--output {folder}: {name} there is one of the inputs to predict on and would be "
                            "overwritten; choose another folder")
        if stem != os.path.splitext(os.path.basename(path))[0]:
            common.warn(f"{path}: another input has this name, so it is written as {name} and {stem}.json")


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


def predict_files(load, words, inputs, output, show):
    """
    Predict on images and videos, draw, and write `output`/STEM.png or STEM.mp4, and STEM.json, for each.

    Args:
        load (str), words (list[str]): as `Detector` takes them
        inputs (list[str]): as `expand_inputs` takes them
        output (str): folder, or None
        show (bool): open a window on each; Escape or q ends

    Raises:
        UserError: at the end when any of the inputs failed; the others are done
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
    targets = dict(zip(paths, stems))
    images = {path: stem for path, stem in targets.items() if not video.is_video(path)}
    drawing = _Drawing(detector, output, show)
    with contextlib.suppress(_Quit):
        if images:
            drawing.images(images)
        for path in filter(video.is_video, paths):
            drawing.video(path, targets[path])
    print(drawing.summary())
    num_failed = len(problems) + drawing.num_failed
    if num_failed:
        raise UserError(f"{num_failed} of {len(problems) + len(paths)} inputs cannot be used, see the lines above")


class _Quit(Exception):
    """The user has pressed a key in the window to end."""


class _Drawing:
    """Predicts on images and videos, and writes or shows what was found."""

    def __init__(self, detector, output, show):
        self.detector, self.output, self.show = detector, output, show
        self.counts, self.num_failed = collections.Counter(), 0
        self.start = time.monotonic()

    def summary(self):
        """Returns: str, a line on what was done"""
        what = " and ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in self.counts.items() if n) or "no image"
        rate = sum(self.counts.values()) / (time.monotonic() - self.start)
        return f"predicted on {what}, {rate:.2f} a second" + (f", see {self.output}" if self.output else "")

    def images(self, stems):
        """Args: stems (dict): of path to the stem of its output files"""
        def finish(path, image, found):
            picture = self._draw(image, found)
            if self.output is not None:
                target = os.path.join(self.output, stems[path])
                _write_image(target + ".png", picture)
                write_json(target + ".json", self._to_coco(stems[path], found))
            return picture if self.show else None

        with progress_bar(len(stems), "predict") as bar:
            for path, picture in self._stream(stems, data.load_image, finish):
                bar.update()
                if isinstance(picture, UserError):
                    common.warn(str(picture))
                    self.num_failed += 1
                    continue
                self.counts["image"] += 1
                self._show(picture, wait=0)

    def video(self, path, stem):
        """Args: path (str): of the video; stem (str): of its output files"""
        try:
            self._video(path, stem)
        except UserError as e:
            common.warn(str(e))
            self.num_failed += 1

    def _video(self, path, stem):
        def finish(numbered, image, found):
            return self._draw(image, found, min_edge=0), self._to_coco(numbered[0], found)

        source = video.Video(path)
        with contextlib.ExitStack() as stack:
            if self.output is not None:
                target = os.path.join(self.output, stem)
                writer = stack.enter_context(video.VideoWriter(target + ".mp4", source.rate))
                results = stack.enter_context(contextlib.closing(ResultsFile(target + ".json")))
            bar = stack.enter_context(progress_bar(source.num_frames or None, os.path.basename(path)))
            for (number, _), (picture, found) in self._stream(source.frames(), lambda numbered: numbered[1], finish):
                bar.update()
                self.counts["frame"] += 1
                if self.output is not None:
                    writer.write(picture)
                    results.add(number, found)
                self._show(picture, wait=1)
            if self.output is not None:
                results.finish()
                remove_partial(target + ".json")

    def _stream(self, items, load, finish):
        return detect_stream(self.detector.predict, items, self.detector.cfg, load, finish)

    def _draw(self, image, found, **kwargs):
        return draw_detections(image, found, self.detector.class_names,
                               self.detector.cfg.TEST.RESULT_SCORE_THRESH_VIS, **kwargs)

    def _to_coco(self, image_id, found):
        cfg = self.detector.cfg.DATA
        return detections_to_coco(image_id, found, cfg.CATEGORY_IDS, cfg.CLASS_NAMES)

    def _show(self, picture, wait):
        """Show a picture for `wait` milliseconds, 0 until a key is pressed; raises _Quit where that says to end."""
        if self.show:
            cv2.imshow("predict", picture)
            if cv2.waitKey(wait) & 0xFF in (27, ord("q")):
                raise _Quit


# --evaluate ---------------------------------------------------------------------------------------------------------
def evaluate_model(load, words, output, resume=False):
    """
    Evaluate a model on each of DATA.VAL, write its COCO results, draw precision-recall curves beside them and print the
    metrics. Ranks of a job share the work.

    Args:
        load (str), words (list[str]): as `Detector` takes them
        output (str): a json file; with several data sets OUT.json becomes OUT_NAME.json for each
        resume (bool): keep what an evaluation that did not end has left behind

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
        if has_partial(path) and not resume and distributed.is_chief():
            raise UserError(f"{partial_path(path)} is what an evaluation that did not end has found; add --resume to "
                            "go on with it, or remove that file")
    _make_folder(os.path.dirname(os.path.abspath(output)))
    predict = load_network(cfg, weights_path)
    network = {"its weights": digest(weights_path), **inference_settings(cfg)} if distributed.is_chief() else {}
    metrics = {}
    for dataset, path in zip(datasets, outputs):
        key = {**network, "its images": [[record.image_id, record.file_name] for record in dataset.records]}
        metrics[dataset.name] = evaluation.evaluate_dataset(predict, dataset, cfg, path, key=key, resume=resume)
        if distributed.is_chief():
            print(f"detections written to {path}, precision-recall curves to {curves_path(path)}")
    if distributed.is_chief():
        for path in outputs:
            remove_partial(path)
    return metrics


# --benchmark --------------------------------------------------------------------------------------------------------
def benchmark(load, words, inputs):
    """Print what each stage of a prediction on some images takes; `inputs` as `expand_inputs` takes them."""
    from benchmarks.predict import describe, measure

    paths, problems = expand_inputs(inputs)
    paths = [path for path in paths if not video.is_video(path)]
    if problems or not paths:
        raise UserError(problems[0] if problems else "--benchmark takes images, and these are videos")
    for path in paths:
        data.load_image(path)    # an image that cannot be read is said before the network is loaded
    detector = Detector(load, words)
    print(describe(measure(detector, paths, rounds=BENCHMARK_ROUNDS)))


# --export -----------------------------------------------------------------------------------------------------------
def export_weights(load, path):
    """Write the weights of a run's folder, a checkpoint or a weight file as one .npz file."""
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
    action.add_argument("--predict", nargs="+", metavar="FILE",
                        help="images, videos, folders of these, or patterns such as 'a/*.png'")
    action.add_argument("--evaluate", metavar="OUT.json",
                        help="evaluate on each of DATA.VAL: write COCO results to OUT.json, draw OUT_curves.png and "
                             "print the metrics")
    action.add_argument("--benchmark", nargs="+", metavar="FILE",
                        help="print how long each stage of a prediction takes")
    action.add_argument("--export", metavar="OUT.npz", help="write the weights alone, as one file that --load takes")
    parser.add_argument("--resume", action="store_true",
                        help="with --evaluate: go on with an evaluation of the same that was interrupted")
    parser.add_argument("--output", metavar="DIR",
                        help="where --predict writes drawings, NAME.png or NAME.mp4, and results, NAME.json")
    parser.add_argument("--show", action="store_true",
                        help="open a window on what --predict has found; Escape or q ends")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    args = parser.parse_args(words)
    if args.predict and not (args.output or args.show):
        parser.error("--predict needs --output DIR, where the results go, or --show")
    if not args.predict and (args.output or args.show):
        parser.error("--output and --show belong to --predict; --evaluate and --export write the file that they name")
    if args.resume and not args.evaluate:
        parser.error("--resume belongs to --evaluate")
    if "" in (args.evaluate, args.output, args.export):
        parser.error("an output path is empty")
    if args.export and not args.export.endswith(".npz"):
        parser.error(f"--export {args.export}: the name must end in .npz")
    return args


def main(words=None):
    args = parse_args(words)
    if args.predict:
        predict_files(args.load, args.config, args.predict, args.output, args.show)
    elif args.benchmark:
        benchmark(args.load, args.config, args.benchmark)
    elif args.evaluate:
        if distributed.launched() > 1:
            distributed.init()
        with distributed.member():
            evaluate_model(args.load, args.config, args.evaluate, args.resume)
    else:
        export_weights(args.load, args.export)


if __name__ == "__main__":
    common.exit_on_user_error(main)
