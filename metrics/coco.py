"""COCO's metrics of detections.

`evaluate_results` is the whole of it: the ground truth is read and freed of what is broken, then faster-coco-eval,
which has pycocotools' algorithm in C++, compares. `compare` also gives what lies behind the metrics, for the tables and
for the picture of precision-recall curves.
"""
import dataclasses
import json
import os
import warnings

import numpy as np
import pycocotools.mask as mask_util
import tabulate
from faster_coco_eval import COCO, COCOeval_faster

from common import UserError, warn, whole_file

# average precision; average recall with at most 1, 10 and 100 detections of a class in an image, and of sizes
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MAX_CLASS_CURVES = 10    # more classes than that have no curves of their own in a picture


@dataclasses.dataclass
class Comparison:
    """
    What COCO's comparison of detections with the ground truth has found, for boxes or for masks.

    Attributes:
        metrics (dict): of METRICS to 0..1, or None where the ground truth has no such objects
        class_names (list of str): C names, in the order of the classes' ids
        precision: float (10, 101, C), at IOU_THRESHOLDS and at RECALLS, of objects of all areas with at most 100
            detections of a class in an image; -1 for a class without objects
        recall: float (10, C), the largest, at IOU_THRESHOLDS, likewise
    """

    metrics: dict
    class_names: list
    precision: np.ndarray
    recall: np.ndarray

    @property
    def per_class(self):
        """dict of class name to {"AP", "AR"}, each in 0..1, or None for a class without objects"""
        return {name: {"AP": _none_if_absent(self.precision[:, :, k].mean()),
                       "AR": _none_if_absent(self.recall[:, k].mean())} for k, name in enumerate(self.class_names)}


@dataclasses.dataclass
class _GroundTruth:
    """
    A COCO file without its broken annotations. All ids are numbers from 1 in the order of the file's, which may be
    anything, strings too: the evaluator wants numbers, and takes a match with number 0 for no match.

    Attributes:
        images, categories (dict): of the file's ids to its entries, with a number as "id"
        annotations (list of dict): with what the evaluator needs, and a segmentation as RLE where one is wanted
    """

    images: dict
    categories: dict
    annotations: list

    @property
    def has_masks(self):
        """bool: False where there are objects, but none with a mask"""
        return not self.annotations or any("segmentation" in annotation for annotation in self.annotations)


def _numbered(entries):
    """Returns: dict of the ids of entries to copies with the numbers 1, 2, … in the order of the ids in their place"""
    by_id = {entry["id"]: entry for entry in entries}
    return {key: {**by_id[key], "id": number} for number, key in enumerate(sorted(by_id), 1)}


def _load_ground_truth(path, with_masks):
    try:
        with open(path, encoding="utf-8") as f:
            content = json.load(f)
        images, categories = _numbered(content["images"]), _numbered(content["categories"])
        for category in categories.values():
            category["name"]
        annotations, num_bad = [], 0
        for annotation in content["annotations"]:
            try:
                annotations.append(_parse_annotation(annotation, images, categories, with_masks))
            except Exception:    # what is broken fails in many ways, here and in pycocotools
                num_bad += 1
    except OSError as e:
        raise UserError(f"cannot read {path} ({e.strerror}); the annotation file is needed to evaluate") from None
    except (ValueError, KeyError, TypeError) as e:
        raise UserError(f"{path} is no COCO annotation file ({type(e).__name__}: {e}); "
                        "export it as COCO instances") from None
    if num_bad:
        warn(f"{path}: {num_bad} broken annotations of {num_bad + len(annotations)} are left out of the evaluation")
    return _GroundTruth(images, categories, annotations)


def _parse_annotation(annotation, images, categories, with_masks):
    """Returns: a copy with what the evaluator needs; raises anything for an annotation that is broken"""
    x, y, w, h = bbox = [float(v) for v in annotation["bbox"]]
    if not np.isfinite(bbox).all() or w <= 0 or h <= 0:
        raise ValueError("its box cannot be used")
    image, area, segmentation = images[annotation["image_id"]], annotation.get("area"), annotation.get("segmentation")
    parsed = {"image_id": image["id"], "category_id": categories[annotation["category_id"]]["id"], "bbox": bbox,
              "iscrowd": int(annotation.get("iscrowd", 0)), "area": w * h if area is None else float(area)}
    if with_masks and segmentation:
        parsed["segmentation"] = _parse_segmentation(segmentation, image["height"], image["width"])
    return parsed


def _parse_segmentation(segmentation, height, width):
    """Returns: the RLE of polygons, or of an RLE with or without compression; raises anything when it is broken"""
    if isinstance(segmentation, list):
        if not all(np.isfinite(polygon).all() for polygon in segmentation):
            raise ValueError("a polygon has a corner that is no number")
        return mask_util.merge(mask_util.frPyObjects(segmentation, height, width))
    if list(segmentation["size"]) != [height, width]:
        raise ValueError("its RLE is not of the image's size")
    if isinstance(segmentation["counts"], list):
        segmentation = mask_util.frPyObjects(segmentation, height, width)
    # pycocotools never ends on an RLE that does not add up to the image; decoding refuses it
    return mask_util.encode(np.asfortranarray(mask_util.decode(segmentation) == 1, dtype=np.uint8))


def _objects(kind, truth):
    """Returns: list of dict, annotations that count for "bbox" or "segm"; copies, as the evaluator writes on them"""
    return [dict(annotation) for annotation in truth.annotations if kind == "bbox" or "segmentation" in annotation]


def _detections(kind, truth, results):
    """
    Returns: list of dict, what the evaluator needs of the results of the file's images and classes; the area is the
        box's for "bbox", and the mask's for "segm"
    """
    results = [r for r in results if r["image_id"] in truth.images and r["category_id"] in truth.categories]
    detections = [{"image_id": truth.images[r["image_id"]]["id"], "score": r["score"], "bbox": r["bbox"],
                   "category_id": truth.categories[r["category_id"]]["id"], "area": r["bbox"][2] * r["bbox"][3]}
                  for r in results]
    if kind == "segm":
        for detection, result in zip(detections, results):
            mask = result["segmentation"]
            # one by one: pycocotools 2.0.10 fails on a list of more than 255 with NumPy 2
            detection.update(segmentation=mask, area=float(mask_util.area(mask)))
    return detections


def _to_coco(truth, annotations):
    """Returns: COCO of the images and categories of `truth`, with `annotations`, which get numbers"""
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    coco = COCO()
    coco.dataset = {"images": list(truth.images.values()), "categories": list(truth.categories.values()),
                    "annotations": annotations}
    coco.createIndex()
    return coco


def _none_if_absent(value):
    """COCO's -1 stands for "no such objects"."""
    return None if value < 0 else float(value)


def _compare(kind, truth, results):
    """Returns: Comparison of one kind, "bbox" or "segm" """
    evaluator = COCOeval_faster(_to_coco(truth, _objects(kind, truth)),
                                _to_coco(truth, _detections(kind, truth, results)), kind)
    evaluator.run()
    # of objects of all areas, and the most detections an image
    precision, recall = evaluator.eval["precision"][:, :, :, 0, -1], evaluator.eval["recall"][:, :, 0, -1]
    return Comparison({name: _none_if_absent(value) for name, value in zip(METRICS, evaluator.stats)},
                      [category["name"] for category in truth.categories.values()], precision, recall)


def compare(results, annotation_file, has_masks):
    """
    As `evaluate_results`, with what lies behind the metrics.

    Returns:
        dict: of "bbox", and "segm" where masks are evaluated, to its Comparison
    """
    truth = _load_ground_truth(annotation_file, has_masks)
    kinds = ("bbox", "segm") if has_masks and truth.has_masks else ("bbox",)
    return {kind: _compare(kind, truth, results) for kind in kinds}


def evaluate_results(results, annotation_file, has_masks):
    """
    COCO's metrics of detections.

    Args:
        results (list of dict): COCO results of the annotation file's images; all of these count, also those without any
        annotation_file (str): COCO's ground truth
        has_masks (bool): also evaluate the masks, where the ground truth has masks

    Returns:
        dict: {"bbox": a dict of METRICS, "segm": the same}, each in 0..1, or None where the ground truth has no such
        objects

    Raises:
        UserError: the annotation file cannot be used
    """
    return {kind: found.metrics for kind, found in compare(results, annotation_file, has_masks).items()}


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f}"


def format_metrics(comparisons):
    """
    Args:
        comparisons (dict): of `compare`

    Returns:
        str: tables in percent: average precision, average recall, and both of each class
    """
    def table(rows, headers):
        return tabulate.tabulate(rows, headers, tablefmt="simple", stralign="right", disable_numparse=True,
                                 colalign=("left",) + ("right",) * (len(headers) - 1))

    def overall(names):
        return table([[kind, *(_percent(found.metrics[name]) for name in names)]
                      for kind, found in comparisons.items()], ["percent", *names])

    per_class = {kind: found.per_class for kind, found in comparisons.items()}
    columns = [(kind, name) for kind in comparisons for name in ("AP", "AR")]
    classes = [[class_name, *(_percent(per_class[kind][class_name][name]) for kind, name in columns)]
               for class_name in comparisons["bbox"].class_names]
    # AP and AR apart: together they are wider than a terminal of 80 columns
    tables = [overall(METRICS[:6]), overall(METRICS[6:])]
    if classes:
        tables.append(table(classes, ["class", *map(" ".join, columns)]))
    return "\n\n".join(tables)


# curves -------------------------------------------------------------------------------------------------------------
def _draw_curves(axes, kind, found):
    """Precision over recall, averaged over the classes with objects: at IoU 0.50, 0.75 and averaged over all IoUs."""
    present = [k for k in range(len(found.class_names)) if found.recall[0, k] >= 0]
    axes.set(title=kind, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.grid(alpha=0.3)
    if not present:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center")
        return
    precision = found.precision[:, :, present]
    mean = precision.mean(axis=2)
    # the AP of a curve is its mean, so first in its label; a label that began with "_" would be left out
    for values, name, style in ((mean[0], "IoU 0.50", ":"), (mean[5], "IoU 0.75", "--"),
                                (mean.mean(axis=0), "IoU 0.50 to 0.95", "-")):
        axes.plot(RECALLS, values, style, color="black", linewidth=2, label=f"{_percent(values.mean())}  {name}")
    if len(present) <= MAX_CLASS_CURVES:
        for k, values in zip(present, precision.mean(axis=0).T):
            axes.plot(RECALLS, values, linewidth=0.8, label=f"{_percent(values.mean())}  {found.class_names[k]}")
    legend = axes.legend(title="AP", loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)    # a name with two "$" is no formula


def curves_path(output):
    """Returns: str, where the curves of the results in the json file `output` are: OUT_curves.png beside OUT.json"""
    return f"{os.path.splitext(output)[0]}_curves.png"


def draw_curves(comparisons, path):
    """
    Draw precision-recall curves of boxes, and of masks beside them, averaged over classes, and of each of a few
    classes. A picture that is there stays until the new one is complete.

    Args:
        comparisons (dict): of `compare`
        path (str): of the .png file to write

    Raises:
        UserError: it cannot be written
    """
    # here, as it takes a while; a Figure of its own needs no display, and no state of pyplot
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(comparisons), 4.5), dpi=100)
    for axes, (kind, found) in zip(figure.subplots(1, len(comparisons), squeeze=False)[0], comparisons.items()):
        _draw_curves(axes, kind, found)
    with whole_file(path, "wb") as f, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)    # a letter that the font lacks becomes a box
        figure.savefig(f, format="png", bbox_inches="tight")    # tight: with the legend below
