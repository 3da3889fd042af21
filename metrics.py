"""COCO's metrics of detections."""
import contextlib
import io
import json

import numpy as np
import pycocotools.mask as mask_util
import tabulate
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from common import UserError, warn

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def _load_ground_truth(path, with_masks):
    """
    Returns: dict of "images", "categories" and "annotations" of a COCO file; the broken annotations are left out, the
        others have just what COCOeval needs, and a segmentation as RLE if they have one that is wanted
    """
    try:
        with open(path, encoding="utf-8") as f:
            content = json.load(f)
        images = {image["id"]: image for image in content["images"]}
        categories = {category["id"]: category["name"] for category in content["categories"]}
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
    return {"images": content["images"], "categories": content["categories"], "annotations": annotations}


def _parse_annotation(annotation, images, categories, with_masks):
    """Returns: a copy with what COCOeval needs; raises anything for an annotation that is broken"""
    x, y, w, h = bbox = [float(v) for v in annotation["bbox"]]
    if annotation["category_id"] not in categories or not np.isfinite(bbox).all() or w <= 0 or h <= 0:
        raise ValueError("its category or its box cannot be used")
    image, area, segmentation = images[annotation["image_id"]], annotation.get("area"), annotation.get("segmentation")
    parsed = {"image_id": annotation["image_id"], "category_id": annotation["category_id"], "bbox": bbox,
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


def _to_coco(content, annotations):
    """Returns: pycocotools.COCO of annotations or detections of the images and categories of `content`"""
    coco = COCO()
    # ids from 1, whatever the file says: COCOeval takes a match with id 0 for no match
    coco.dataset = {"images": content["images"], "categories": content["categories"],
                    "annotations": [{**annotation, "id": i} for i, annotation in enumerate(annotations, 1)]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _as_annotation(kind, result):
    """Returns: what COCOeval needs of a result; the area is the box's for "bbox", and the mask's for "segm" """
    annotation = {"iscrowd": 0, "area": result["bbox"][2] * result["bbox"][3],
                  **{k: result[k] for k in ("image_id", "category_id", "score", "bbox")}}
    if kind == "segm":
        annotation.update(segmentation=result["segmentation"], area=float(mask_util.area(result["segmentation"])))
    return annotation


def _none_if_absent(value):
    """COCO's -1 stands for "no such objects"."""
    return None if value < 0 else float(value)


def _compare(kind, content, results):
    """Returns: COCO's metrics of one kind, "bbox" or "segm", and dict of class name to AP or None"""
    truth = [annotation for annotation in content["annotations"] if kind == "bbox" or "segmentation" in annotation]
    evaluator = COCOeval(_to_coco(content, truth), _to_coco(content, [_as_annotation(kind, r) for r in results]), kind)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    metrics = {name: _none_if_absent(value) for name, value in zip(METRICS, evaluator.stats)}
    # of objects of all areas, and the most detections an image: (IoU threshold, recall, class)
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    names = {category["id"]: category["name"] for category in content["categories"]}
    return metrics, {names[category_id]: _none_if_absent(precision[:, :, k].mean())
                     for k, category_id in enumerate(evaluator.params.catIds)}


def evaluate(results, annotation_file, has_masks):
    """Returns: metrics as `evaluate_results` does, and {"bbox": {class name: AP or None}, …}"""
    content = _load_ground_truth(annotation_file, has_masks)
    annotations = content["annotations"]
    has_masks = has_masks and (not annotations or any("segmentation" in annotation for annotation in annotations))
    metrics, per_class = {}, {}
    for kind in ("bbox", "segm") if has_masks else ("bbox",):
        metrics[kind], per_class[kind] = _compare(kind, content, results)
    return metrics, per_class


def evaluate_results(results, annotation_file, has_masks):
    """
    COCO's metrics of detections.

    Args:
        results (list of dict): COCO results of the annotation file's images; all of these count, also those without any
        annotation_file (str): COCO's ground truth
        has_masks (bool): also evaluate the masks, where the ground truth has masks

    Returns:
        dict: {"bbox": {"AP", "AP50", "AP75", "APs", "APm", "APl"}, "segm": the same}, each in 0..1, or None where the
        ground truth has no such objects

    Raises:
        UserError: the annotation file cannot be used
    """
    return evaluate(results, annotation_file, has_masks)[0]


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f}"


def format_metrics(metrics, per_class=None):
    """
    Args:
        metrics (dict): of `evaluate_results`
        per_class (dict): {"bbox": {class name: AP or None}, "segm": the same}

    Returns:
        str: tables of the metrics in percent
    """
    def table(rows, headers):
        return tabulate.tabulate(rows, headers, tablefmt="simple", stralign="right", disable_numparse=True,
                                 colalign=("left",) + ("right",) * (len(headers) - 1))

    rows = [[kind] + [_percent(values[name]) for name in METRICS] for kind, values in metrics.items()]
    text = table(rows, ["percent", *METRICS])
    if per_class:
        rows = [[name] + [_percent(values[name]) for values in per_class.values()] for name in per_class["bbox"]]
        text += "\n\n" + table(rows, ["class", *(f"{kind} AP" for kind in per_class)])
    return text
