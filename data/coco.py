"""Reads data sets in COCO's format: a json file of images, annotations and categories beside a folder of images."""
from __future__ import annotations

import json
from typing import NamedTuple

from common import UserError

import numpy as np

from data import coco_cache
from data.coco_annotations import Known, read_annotations
from data.coco_files import find, garbage_stays, is_test_set, read_json, refusing_deep
from data.coco_keypoints import Layout, parse_skeleton
from data.coco_rules import is_id, is_number
from data.flat_records import FlatRecords, Images, pack_names
from data.folders import Folder
from data.records import Dataset, Skipped, Unusable

# category ids of COCO have gaps: 91 were planned, 80 have boxes and masks
COCO_CLASSES = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat",
    10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat",
    18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe",
    27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove", 41: "skateboard",
    42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife",
    50: "spoon", 51: "bowl", 52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
    58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard",
    77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book",
    85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier", 90: "toothbrush"}
COCO_CATEGORY_IDS = tuple(COCO_CLASSES)
COCO_CLASS_NAMES = tuple(COCO_CLASSES.values())


PROBED = 20            # images that tell which folder they are in
MAX_EDGE = 2**31       # pixels


def load_coco(basedir: str, name: str, registered: tuple[str, ...] = ()) -> Dataset:
    """
    Load the data set `name` below `basedir`; FOLDER/NAME is NAME in another folder, absolute or below `basedir`.

    The annotations are annotations/instances_NAME.json, annotations/NAME.json, annotations/image_info_NAME.json (of a
    test set without ground truth), NAME.json or NAME/_annotations.coco.json, the first that exists; or NAME is the path
    of a json file, or of a folder with a single one. The images are in NAME/, images/NAME/, images/ or beside the
    annotations; those of COCO's minival2014 and so on are in the folders that COCO has them in. "coco_NAME" is tried as
    it is and then as NAME. Images and annotations that cannot be used are skipped with a line each.

    Args:
        registered: other names that would have worked, for the message

    Raises:
        UserError: a file or folder is missing or not COCO's, or more than 10 % of the images or annotations are bad
    """
    found = find(basedir, name, registered)
    with garbage_stays(), refusing_deep(found.annotation_file):
        dataset = coco_cache.load(*found) or _read_dataset(*found)
    dataset.name = name
    return dataset


def _read_dataset(annotation_file, image_dirs):
    stamp, content = coco_cache.stamp_of(annotation_file), read_json(annotation_file)
    class_names, category_ids = _parse_categories(content["categories"], annotation_file)
    skeleton = parse_skeleton(content["categories"])
    images = _parse_images(content.pop("images"), annotation_file, image_dirs)
    known = Known(images.ids, images.sizes, images.bad_ids, category_ids, Layout.of(skeleton, category_ids))
    skipped = Skipped("annotation", annotation_file, len(content["annotations"]))
    object_offsets, objects, parts = read_annotations(content["annotations"], known, skipped)
    skipped.finish()
    records = FlatRecords(Images(*pack_names(images.paths), images.ids, images.sizes, object_offsets), objects, parts)
    dataset = Dataset(annotation_file, class_names, category_ids, annotation_file, records, skeleton=skeleton,
                      has_ground_truth=not is_test_set(annotation_file))
    coco_cache.save(dataset, coco_cache.Origin(stamp, images.folder, images.names, images.missing,
                                               [images.skipped, skipped]))
    return dataset


# categories ---------------------------------------------------------------------------------------------------------
def _parse_categories(categories, path):
    """Returns: class names and category ids, both in the order of the ids"""
    names = {}
    for category in categories:
        is_dict = isinstance(category, dict)
        if not is_dict or not is_id(category.get("id")) or not isinstance(category.get("name"), str):
            raise UserError(f"{path}: category {json.dumps(category)[:80]} must have a whole number as \"id\" and a "
                            "text as \"name\"; mend the file")
        if category["id"] in names:
            raise UserError(f"{path}: category id {category['id']} appears twice; give each category its own id")
        names[category["id"]] = category["name"]
    if not names:
        raise UserError(f"{path}: \"categories\" is empty; list each class with \"id\" and \"name\"")
    ids = tuple(sorted(names))
    return tuple(names[i] for i in ids), ids


# images -------------------------------------------------------------------------------------------------------------
class _ImageTable(NamedTuple):
    """N good images; the ids of those that are left out; which folder they are in, and what it has not"""

    paths: list
    names: list
    ids: np.ndarray
    sizes: np.ndarray
    bad_ids: set
    folder: int
    missing: list
    skipped: Skipped


def _parse_images(images, path, image_dirs):
    """Returns: _ImageTable"""
    number = _choose_folder(images, image_dirs)
    folder = Folder(image_dirs[number])
    good, bad_ids, missing = {}, set(), []
    skipped = Skipped("image", path, len(images), f"put the images into {folder.path}, or mend the file")
    for position, image in enumerate(images):
        image_id = image.get("id") if isinstance(image, dict) else None
        try:
            if not is_id(image_id):
                raise Unusable(f"its \"id\" is {json.dumps(image_id)[:80]}, not a whole number", "image-id")
            if image_id in good:
                raise Unusable("its id appears twice", "image-id-twice")
            size = _parse_size(image)
            good[image_id] = folder.resolve(image.get("file_name")), image["file_name"], size
        except Unusable as e:
            skipped.add(image_id if is_id(image_id) else f"number {position + 1}", e)
            if is_id(image_id) and image_id not in good:
                bad_ids.add(image_id)
            if e.kind == "image-missing":
                missing.append(image["file_name"])
    skipped.finish()
    paths, names, sizes = zip(*good.values()) if good else ((), (), ())
    return _ImageTable(paths, names, np.array(list(good), dtype=np.int64),
                       np.array(sizes, dtype=np.int32).reshape(-1, 2), bad_ids, number, missing, skipped)


def _choose_folder(images, image_dirs):
    """Returns: number of the first of the folders that has one of the first images; 0 where none has"""
    names = [image.get("file_name") for image in images[:PROBED] if isinstance(image, dict)]
    return next((i for i, folder in enumerate(map(Folder, image_dirs)) if any(map(folder.has, names))), 0)


def _parse_size(image):
    size = image.get("height"), image.get("width")
    if not all(is_number(v) and 1 <= v < MAX_EDGE and v == int(v) for v in size):
        raise Unusable(f"its height and width are {size[0]!r} and {size[1]!r}", "image-size")
    return int(size[0]), int(size[1])
