"""COCO results as programs write them, read from a json file and checked."""
from __future__ import annotations

import math

from common import UserError

import orjson

from data.coco_files import garbage_stays
from data.records import Dataset


def read_results(path: str, dataset: Dataset, kind: str = "bbox") -> list[dict]:
    """
    Args:
        path: of a json file
        dataset: that they are of
        kind: "bbox", or "segm", for which each must have a mask

    Raises:
        UserError: it cannot be read, is no list of COCO results, or has none of the data set
    """
    try:
        with open(path, "rb") as f, garbage_stays():
            results = orjson.loads(f.read())
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); name a json file of COCO results") from None
    except ValueError as e:
        raise UserError(f"{path}: not a json file ({e}); it may be cut short, write it again") from None
    if not isinstance(results, list):
        raise UserError(f"{path}: not a list of COCO results; `predict.py --evaluate {path}` writes one")
    sizes = {record.image_id: list(record.size) for record in dataset.records}
    for number, result in enumerate(results):
        reason = _what_is_wrong(result, kind, sizes)
        if reason:
            raise UserError(f"{path}: result {number} {reason}; write the file again")
    if results and not any(result["image_id"] in sizes for result in results):
        raise UserError(f"{path}: none of its {len(results)} results is of an image of {dataset.annotation_file}; name "
                        "the annotations that they were made for")
    return results


def _what_is_wrong(result, kind, sizes):
    """Returns: str, or None for a result that can be used"""
    if not isinstance(result, dict):
        return "is no object of json"
    box = result.get("bbox")
    checks = {"image_id": isinstance(result.get("image_id"), (int, str)),
              "category_id": isinstance(result.get("category_id"), (int, str)),
              "bbox of four numbers": isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)),
              "score": _is_number(result.get("score"))}
    missing = next((name for name, is_there in checks.items() if not is_there), None)
    if missing:
        return f"has no {missing}"
    return _what_is_wrong_with_mask(result.get("segmentation"), sizes[result["image_id"]]) \
        if kind == "segm" and result["image_id"] in sizes else None


def _what_is_wrong_with_mask(mask, size):
    if not (isinstance(mask, dict) and isinstance(mask.get("counts"), str)):
        return "has no compressed RLE as segmentation"
    return None if mask.get("size") == size else f"has a mask of size {mask.get('size')}, and its image {size}"


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
