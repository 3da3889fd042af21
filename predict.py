#!/usr/bin/env python3
"""The command line of a trained model; and `Detector`, which predicts in Python.

    detector = Detector("runs/mine", config=["TEST.RESULT_SCORE_THRESH=0.3"])
    result = detector(cv2.imread("image.png"))
    result.boxes, result.scores, result.labels, result.masks, result.keypoints, result.class_names
"""
import argparse
import contextlib
import functools
import os

import common  # first: it prepares the environment, or says how to
from common import UserError

import data
import distributed
import eval as evaluation
from config import finalize_configs, inference_settings
from inference.camera import is_camera
from inference.detector import Detector, fill_classes, load_network, read_config
from inference.files import FilePredictor, expand_inputs, make_folder, name_outputs, prepare_output
from inference.profile import describe, measure
from inference.results import has_partial, partial_path, remove_partial
from inference.stages import StageNetwork
from inference.video import is_video, open_video
from inference.visualize import annotated_images, image_files, prepare_pictures, visualize_images
from metrics.report.page import report_folder
from viz.detections import draw_detections
from viz.stages import Thresholds, draw_stages
from viz.window import Window
from weights.files import digest, read_weights, save_weights
from weights.find import find_run

BENCHMARK_ROUNDS = 5    # batches that are timed
VISUALIZED = 100        # images of DATA.VAL, unless --number says otherwise

EXAMPLES = """
examples:
  draw what a trained model finds in some images, and write it as json:
    ./predict.py --load runs/mine --predict photo.jpg more_photos/ 'shots/*.png' --output out
  with a lower threshold for what is drawn, and a larger one for what is written:
    ./predict.py --load runs/mine --predict photo.jpg --output out \\
        --config TEST.RESULT_SCORE_THRESH_VIS=0.3 TEST.RESULT_SCORE_THRESH=0.1
  see proposals, class scores, detections and heatmaps of images beside their ground truth:
    ./predict.py --load runs/mine --visualize seen --heatmaps --config DATA.BASEDIR=~/mydata DATA.VAL=val
  follow objects in a video, or in front of a camera, until q or Ctrl-C:
    ./predict.py --load runs/mine --predict walk.mp4 --output out --config TEST.TRACK=True
    ./predict.py --load runs/mine --predict camera:0 --show --output out --config TEST.TRACK=True
  keep only the weights of a run, in one file:
    ./predict.py --load runs/mine --export mine.npz
  evaluate a weight file on COCO:
    ./predict.py --load COCO-MaskRCNN-R50FPN2x.npz --evaluate out.json \\
        --config DATA.BASEDIR=~/coco DATA.VAL=val2017
"""


def predict_files(load, overrides, inputs, output, show):
    """
    Predict on images and videos, draw, and write `output`/STEM.png or STEM.mp4, and STEM.json, for each.

    Args:
        load (str), overrides (list[str]): as `Detector` takes them
        inputs (list[str]): as `expand_inputs` takes them
        output (str): folder, or None
        show (bool): open a window on each; Escape or q ends

    Raises:
        UserError: at the end when any of the inputs failed; the others are done
    """
    paths, problems = expand_inputs(inputs)
    for problem in problems if paths else problems[:-1]:
        common.warn(problem)
    if not paths:
        raise UserError(problems[-1])
    window = Window("predict") if show else None
    stems = name_outputs(paths)
    for camera in filter(is_camera, paths):
        open_video(camera).close()    # one that cannot be read is said before the network is loaded
    if output is not None:
        prepare_output(output, stems)
    detector = Detector(load, overrides)
    limits = detector.cfg.TEST
    draw = functools.partial(draw_detections, score_threshold=limits.RESULT_SCORE_THRESH_VIS,
                             keypoint_threshold=limits.KEYPOINT_SCORE_THRESH_VIS)
    predictor = FilePredictor(detector, output, draw)
    with contextlib.closing(predictor.run(stems)) as pictures:
        for picture, is_frame in pictures:
            if window and not window.show(picture, wait=1 if is_frame else 0):
                break
    print(predictor.summary())
    num_failed = len(problems) + predictor.num_failed
    if num_failed:
        raise UserError(f"{num_failed} of {len(problems) + len(paths)} inputs cannot be used, see the lines above")


def evaluate_model(load, overrides, output, resume=False):
    """
    Evaluate a model on each of DATA.VAL, write its COCO results and a report beside them, and print the metrics. Ranks
    of a job share the work.

    Args:
        load (str), overrides (list[str]): as `Detector` takes them
        output (str): a json file; with several data sets OUT.json becomes OUT_NAME.json for each
        resume (bool): keep what an evaluation that did not end has left behind

    Returns:
        dict of data set name to metrics
    """
    cfg, weights_path = read_config(load, overrides)
    if not cfg.DATA.VAL:
        raise UserError("DATA.VAL is empty; name the data set to evaluate on, such as --config DATA.VAL=val2017")
    with distributed.chief_first():
        datasets = data.load_datasets(cfg, cfg.DATA.VAL)
    # refuses a data set with other classes than the model's
    data.fill_categories(cfg, datasets, may_be_fewer=True)
    outputs = _evaluation_outputs(output, datasets, resume)
    predict = load_network(cfg, weights_path)
    network = {"its weights": digest(weights_path), **inference_settings(cfg)} if distributed.is_chief() else {}
    metrics = {}
    for dataset, path in zip(datasets, outputs):
        key = {**network, "its images": [[record.image_id, record.file_name] for record in dataset.records]}
        metrics[dataset.name] = evaluation.evaluate_dataset(predict, dataset, cfg, path, key=key, resume=resume,
                                                            page=report_folder(path))
        if distributed.is_chief():
            print(f"detections written to {path}")
    if distributed.is_chief():
        for path in outputs:
            remove_partial(path)
    return metrics


def visualize(load, overrides, inputs, output, number, heatmaps):
    """
    Draw what a network thinks of images on its way to the detections, `output`/STEM.png of each; see `draw_stages`.

    Args:
        load (str), overrides (list[str]): as `Detector` takes them
        inputs (list[str]): images, as `expand_inputs` takes them; without any, images of DATA.VAL with their ground
            truth
        output (str): folder
        number (int): of images of DATA.VAL, at most
        heatmaps (bool): also draw probabilities of masks and keypoints

    Raises:
        UserError: at the end when any of the images cannot be used; the others are done
    """
    cfg, weights_path = read_config(load, overrides)
    images = image_files(inputs) if inputs else annotated_images(cfg, number)
    prepare_pictures(output, images)
    fill_classes(cfg)
    finalize_configs(cfg, is_training=False)
    draw = functools.partial(draw_stages, thresholds=Thresholds.of(cfg), heatmaps=heatmaps)
    num_failed = visualize_images(StageNetwork(cfg, weights_path), images, output, draw)
    print(f"drew {len(images) - num_failed} of {len(images)} images, see {output}")
    if num_failed:
        raise UserError(f"{num_failed} of {len(images)} images cannot be used, see the lines above")


def _evaluation_outputs(output, datasets, resume):
    """Returns: list of the json file of each data set, all of which can be written; see `evaluate_model`"""
    stem, suffix = os.path.splitext(output)
    outputs = [output] if len(datasets) == 1 else [f"{stem}_{dataset.name}{suffix}" for dataset in datasets]
    for path in outputs:
        if os.path.isdir(path):
            raise UserError(f"--evaluate {path} is a folder; name the json file to write, such as {path}/out.json")
        if has_partial(path) and not resume and distributed.is_chief():
            raise UserError(f"{partial_path(path)} is what an evaluation that did not end has found; add --resume to "
                            "go on with it, or remove that file")
    make_folder(os.path.dirname(os.path.abspath(output)))
    return outputs


def benchmark(load, overrides, inputs):
    """Print what each stage of a prediction on some images takes; `inputs` as `expand_inputs` takes them."""
    paths, problems = expand_inputs(inputs)
    paths = [path for path in paths if not is_video(path)]
    if problems or not paths:
        raise UserError(problems[0] if problems else "--benchmark takes images, and these are videos")
    for path in paths:
        data.load_image(path)    # an image that cannot be read is said before the network is loaded
    print(describe(measure(Detector(load, overrides), paths, rounds=BENCHMARK_ROUNDS)))


def export_weights(load, path):
    """Write the weights of a run's folder, a checkpoint or a weight file as one .npz file."""
    save_weights(path, read_weights(find_run(load)[0]))
    print(f"wrote {path}; its config does not come along, unless config.json lies beside it")


def parse_args(argv=None):
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
                        help="images, videos, folders of these, patterns such as 'a/*.png', or a camera, camera:0, "
                             "until Ctrl-C")
    action.add_argument("--evaluate", metavar="OUT.json",
                        help="evaluate on each of DATA.VAL: write COCO results to OUT.json and a page that explains "
                             "them to OUT_report/index.html, and print the metrics")
    action.add_argument("--visualize", nargs="+", metavar=("DIR", "IMAGE"),
                        help="draw proposals, class scores before NMS and detections of images, DIR/NAME.png of each; "
                             "without images, of DATA.VAL, beside their ground truth")
    action.add_argument("--benchmark", nargs="+", metavar="FILE",
                        help="print how long each stage of a prediction takes")
    action.add_argument("--export", metavar="OUT.npz", help="write the weights alone, as one file that --load takes")
    parser.add_argument("--resume", action="store_true",
                        help="with --evaluate: go on with an evaluation of the same that was interrupted")
    parser.add_argument("--output", metavar="DIR",
                        help="where --predict writes drawings, NAME.png or NAME.mp4, and results, NAME.json")
    parser.add_argument("--show", action="store_true",
                        help="open a window on what --predict has found; Escape or q ends")
    parser.add_argument("--heatmaps", action="store_true",
                        help="with --visualize: draw probabilities of masks and keypoints too")
    parser.add_argument("--number", type=int, metavar="N",
                        help=f"with --visualize and no images: how many of DATA.VAL ({VISUALIZED})")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, @FILE with such lines, or @FILE.yaml of Detectron, "
                             "maskrcnn-benchmark or Detectron2; config.py lists the keys")
    args = parser.parse_args(argv)
    if args.predict and not (args.output or args.show):
        parser.error("--predict needs --output DIR, where the results go, or --show")
    if not args.predict and (args.output or args.show):
        parser.error("--output and --show belong to --predict; --evaluate and --export write the file that they name")
    if args.resume and not args.evaluate:
        parser.error("--resume belongs to --evaluate")
    _check_visualize(parser, args)
    if "" in (args.evaluate, args.output, args.export, *(args.visualize or ())):
        parser.error("an output path is empty")
    if args.export and not args.export.endswith(".npz"):
        parser.error(f"--export {args.export}: the name must end in .npz")
    return args


def _check_visualize(parser, args):
    if args.heatmaps and not args.visualize:
        parser.error("--heatmaps belongs to --visualize")
    if args.number is not None and (not args.visualize or len(args.visualize) > 1):
        parser.error("--number belongs to --visualize without images, which takes those of DATA.VAL")
    if args.number is not None and args.number < 1:
        parser.error(f"--number {args.number} must be at least 1")


def main(argv=None):
    args = parse_args(argv)
    if args.predict:
        predict_files(args.load, args.config, args.predict, args.output, args.show)
    elif args.visualize:
        output, *images = args.visualize
        visualize(args.load, args.config, images, output, args.number or VISUALIZED, args.heatmaps)
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
