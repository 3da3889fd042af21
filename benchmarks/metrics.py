"""
What COCO's metrics cost: `python -m benchmarks.metrics`.

A random data set and random detections of it go through `metrics.coco.compare` and through pycocotools, from the
annotation file and a list of results to all numbers, each in a process of its own. The two must find the same. Both
take one core, so their ratio is of CPU seconds, which other work on the machine changes little.

Half of the detections lie near an object of their image, with its class; the others lie anywhere, as in what a detector
gives at a low threshold. Masks are ellipses that fill their box.
"""
import concurrent.futures
import contextlib
import io
import json
import multiprocessing
import os
import tempfile
import time

from common import ArgumentParser, UserError, exit_on_user_error

import numpy as np
import pycocotools.mask as mask_util
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tabulate import tabulate

from benchmarks import peak_gib
from data.coco import load_coco
from metrics import coco as metrics

HEIGHT, WIDTH = 480, 640
EDGES = (8, 300)        # range of the objects' edges, in pixels
CROWDS = 0.01           # share of objects that are crowds
CORNERS = 16            # of the polygon that a mask is
WHAT = {"boxes": ("bbox",), "boxes and masks": ("bbox", "segm")}
OURS, REFERENCE = "ours", "pycocotools"


# a random data set --------------------------------------------------------------------------------------------------
def random_boxes(rng, count):
    """Returns: float (count, 4), x, y, width and height in pixels, inside the image"""
    size = np.exp(rng.uniform(*np.log(EDGES), (count, 2)))
    return np.concatenate([rng.uniform(0, 1, (count, 2)) * ((WIDTH, HEIGHT) - size), size], axis=1).round(3)


def near(rng, boxes):
    """Returns: float (N, 4), boxes that are moved and scaled by about a tenth of their size"""
    size = boxes[:, 2:] * np.exp(rng.normal(0, 0.1, (len(boxes), 2)))
    return np.concatenate([boxes[:, :2] + rng.normal(0, 0.1, size.shape) * boxes[:, 2:], size], axis=1).round(3)


def polygons(boxes):
    """Returns: list of N lists x1, y1, x2, y2, … of an ellipse in each of (N, 4) boxes"""
    angles = np.arange(CORNERS) * (2 * np.pi / CORNERS)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2 + 0.5
    corners = boxes[:, None, :2] + circle * boxes[:, None, 2:]
    return corners.reshape(len(boxes), -1).round(2).tolist()


def make_truth(rng, num_images, num_objects, num_classes):
    """Returns: dict, the content of a COCO file"""
    boxes = random_boxes(rng, num_objects)
    image_ids, category_ids = (rng.integers(1, n + 1, num_objects).tolist() for n in (num_images, num_classes))
    crowds = (rng.uniform(size=num_objects) < CROWDS).tolist()
    annotations = [
        {"id": i, "image_id": image_id, "category_id": category_id, "bbox": box, "area": 0.785 * box[2] * box[3],
         "iscrowd": int(is_crowd), "segmentation": [polygon]}
        for i, (image_id, category_id, box, is_crowd, polygon) in enumerate(
            zip(image_ids, category_ids, boxes.tolist(), crowds, polygons(boxes)), 1)]
    return {"images": [{"id": i, "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH}
                       for i in range(1, num_images + 1)],
            "categories": [{"id": i, "name": f"class {i}"} for i in range(1, num_classes + 1)],
            "annotations": annotations}


def _detect(rng, objects, num_detections, num_classes):
    """Returns: boxes (N, 4) and classes (N,) of the detections of an image with these annotations"""
    boxes, classes = random_boxes(rng, num_detections), rng.integers(1, num_classes + 1, num_detections)
    if objects:
        hits = rng.integers(0, len(objects), num_detections // 2)
        boxes[:len(hits)] = near(rng, np.array([objects[i]["bbox"] for i in hits]).reshape(-1, 4))
        classes[:len(hits)] = [objects[i]["category_id"] for i in hits]
    return boxes, classes


def make_results(rng, truth, num_detections, with_masks):
    """Returns: list of dict, COCO results, `num_detections` in each image"""
    objects = {image["id"]: [] for image in truth["images"]}
    for annotation in truth["annotations"]:
        objects[annotation["image_id"]].append(annotation)
    results = []
    for image_id, mine in objects.items():
        boxes, classes = _detect(rng, mine, num_detections, len(truth["categories"]))
        masks = mask_util.frPyObjects(polygons(boxes), HEIGHT, WIDTH) if with_masks else ()
        scores = rng.uniform(size=num_detections).round(5)
        for i, (box, category_id, score) in enumerate(zip(boxes.tolist(), classes.tolist(), scores.tolist())):
            result = {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
            if with_masks:
                result["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": masks[i]["counts"].decode("ascii")}
            results.append(result)
    return results


# the two sides ------------------------------------------------------------------------------------------------------
def _pycocotools_set(truth, annotations):
    coco = COCO()
    coco.dataset = {"images": truth["images"], "categories": truth["categories"],
                    "annotations": [{**annotation, "id": i} for i, annotation in enumerate(annotations, 1)]}
    coco.createIndex()
    return coco


def write_files(folder, truth, results):
    """Write what both sides read, with empty files for the images. Returns: the paths of the json files of the two"""
    for image in truth["images"]:
        open(os.path.join(folder, image["file_name"]), "w").close()
    paths = [os.path.join(folder, name) for name in ("truth.json", "results.json")]
    for path, content in zip(paths, (truth, results)):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(content, f)
    return paths


def run_ours(results, annotation_file, kinds):
    """Args, Returns: as `run_pycocotools`, with a Comparison of each kind"""
    folder, name = os.path.split(annotation_file)
    return metrics.compare(results, load_coco(folder, name.removesuffix(".json")), kinds)


def run_pycocotools(results, annotation_file, kinds, sigmas=None):
    """
    Args:
        results (list of dict): COCO results
        annotation_file (str): of `write_files`
        kinds (sequence of str): "bbox", "segm" and "keypoints", or some of these
        sigmas: float (K,), of the keypoints; None for COCO's

    Returns:
        dict of each kind to a finished COCOeval, for keypoints of the categories that have any
    """
    with open(annotation_file, encoding="utf-8") as f:
        truth = json.load(f)
    evaluators = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for kind in kinds:
            areas = (float(mask_util.area(r["segmentation"])) if kind == "segm" else r["bbox"][2] * r["bbox"][3]
                     for r in results)
            found = [{**result, "iscrowd": 0, "area": area} for result, area in zip(results, areas)
                     if kind != "keypoints" or "keypoints" in result]
            evaluator = COCOeval(_pycocotools_set(truth, truth["annotations"]), _pycocotools_set(truth, found), kind)
            if kind == "keypoints":
                evaluator.params.catIds = [c["id"] for c in truth["categories"] if c.get("keypoints")]
                evaluator.params.kpt_oks_sigmas = evaluator.params.kpt_oks_sigmas if sigmas is None else sigmas
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
            evaluators[kind] = evaluator
    return evaluators


def numbers_of_pycocotools(evaluator):
    """Returns: stats, precision and recall of a COCOeval, the latter as `metrics.coco.Comparison` has them"""
    precision, recall = evaluator.eval["precision"], evaluator.eval["recall"]
    return np.array(evaluator.stats), precision[:, :, :, 0, -1], recall[:, :, 0, -1]


def numbers_of_ours(comparison):
    """Returns: the same of a `metrics.coco.Comparison`, with -1 where a metric is None"""
    stats = [-1 if value is None else value for value in comparison.metrics.values()]
    return np.array(stats), comparison.precision, comparison.recall


def measure(who, annotation_file, results_file, kinds):
    """
    Args:
        who (str): OURS or REFERENCE
        annotation_file, results_file (str): of `write_files`
        kinds (sequence of str): to compare

    Returns:
        dict: seconds and cpu_seconds; peak_gib of this process; numbers, of each kind
    """
    with open(results_file, encoding="utf-8") as f:
        results = json.load(f)
    run, numbers = (run_ours, numbers_of_ours) if who == OURS else (run_pycocotools, numbers_of_pycocotools)
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run(results, annotation_file, kinds)
    return dict(seconds=time.perf_counter() - start, cpu_seconds=time.process_time() - cpu_start, peak_gib=peak_gib(),
                numbers={kind: numbers(value) for kind, value in found.items()})


def measure_apart(*args):
    """`measure` in a process of its own"""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *args).result()


def largest_difference(one, other):
    """Returns: float, of the numbers of the two sides"""
    return max(float(np.abs(a - b).max()) for kind in other for a, b in zip(one[kind], other[kind]))


def make_rows(what, ours, reference):
    """Args: what (str), ours, reference (dict): of `measure`. Returns: list of the two rows of a table"""
    return [[what, who, found["seconds"], found["cpu_seconds"], found["peak_gib"],
             found["cpu_seconds"] / reference["cpu_seconds"], difference]
            for who, found, difference in (
                (REFERENCE, reference, None),
                (OURS, ours, largest_difference(ours["numbers"], reference["numbers"])))]


def table(rows):
    """Args: rows (list): of `make_rows`. Returns: str, a Markdown table"""
    headers = ["what", "who", "seconds", "CPU seconds", "peak GiB", f"CPU / {REFERENCE}'s", "largest difference"]
    return tabulate(rows, headers, "github", floatfmt=("", "", ".1f", ".1f", ".2f", ".2f", ".1e"), missingval="-")


def parse_args():
    parser = ArgumentParser(
        prog="python -m benchmarks.metrics",
        description="Seconds and memory of COCO's metrics of random detections, beside pycocotools.")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=36000, help="in all images together")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--detections", type=int, default=100, help="in each image")
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if min(args.images, args.objects, args.classes, args.detections) < 1:
        raise UserError("--images, --objects, --classes and --detections must be positive")
    return args


def main():
    args = parse_args()
    rng = np.random.default_rng(args.seed)
    truth = make_truth(rng, args.images, args.objects, args.classes)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        results = make_results(rng, truth, args.detections, any("segm" in WHAT[what] for what in args.what))
        paths = write_files(folder, truth, results)
        del truth, results
        for what in args.what:
            ours, reference = (measure_apart(who, *paths, WHAT[what]) for who in (OURS, REFERENCE))
            rows += make_rows(what, ours, reference)
    print(table(rows))


if __name__ == "__main__":
    exit_on_user_error(main)
