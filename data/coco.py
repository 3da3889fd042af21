"""Reads data sets in COCO's format: a json file of images, annotations and categories beside a folder of images."""
import gc
import json
import os
from dataclasses import dataclass

import numpy as np
from tensorpack.utils import logger

from common import UserError

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

MAX_BAD_SHARE = 0.1      # of a file's images or annotations; beyond it the file is taken to be wrong as a whole
MAX_BAD_LINES = 20       # printed for one file


@dataclass
class Record:
    """
    One image and its n annotated objects.

    Attributes:
        file_name (str): absolute path
        image_id (int)
        height, width (int): pixels, according to the annotations
        boxes: float32 (n, 4) x1, y1, x2, y2, clipped to the image
        labels: int32 (n,) in 1..N
        is_crowd: bool (n,), a region of many objects and not one
        segmentations (list): of n; each None, a list of polygons (float32 x, y, x, y, ...) or COCO's RLE as a dict
            with "size" and "counts", where counts is a list, or a string when compressed
    """

    file_name: str
    image_id: int
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    segmentations: list


@dataclass
class Dataset:
    """
    A data set in memory.

    Attributes:
        name (str)
        class_names (tuple of str): of the classes 1..N, without the background
        category_ids (tuple of int): the id in the file of each class, ascending
        annotation_file (str): path of the json file
        records (list[Record])
    """

    name: str
    class_names: tuple
    category_ids: tuple
    annotation_file: str
    records: list


def load_coco(basedir, name, registered=()):
    """
    Load the data set `name` below `basedir`.

    The annotations are annotations/instances_NAME.json, annotations/NAME.json, NAME.json or
    NAME/_annotations.coco.json, the first that exists; the images are in NAME/, images/NAME/, images/ or beside the
    annotations. "coco_NAME" is tried as it is and then as NAME. Images and annotations that cannot be used are
    skipped with a line each.

    Args:
        basedir (str): folder
        name (str)
        registered (sequence of str): other names that would have worked, for the message

    Returns:
        Dataset

    Raises:
        UserError: a file or folder is missing or not COCO's, or more than 10 % of the images or annotations are bad
    """
    annotation_file, image_dir = _find(basedir, name, registered)
    content = _read_json(annotation_file)
    class_names, category_ids = _parse_categories(content["categories"], annotation_file)
    images, bad_ids = _parse_images(content["images"], annotation_file, _ImageFolder(image_dir, basedir))
    objects = _parse_annotations(content["annotations"], annotation_file, images, bad_ids, category_ids)
    records = [_make_record(image, objects[image_id]) for image_id, image in images.items()]
    return Dataset(name, class_names, category_ids, annotation_file, records)


def drop_objects_without_mask(dataset):
    """
    Remove the objects that have no segmentation, which training masks cannot use. Crowd regions stay.

    Raises:
        UserError: more than 10 % of the objects have none
    """
    bad = _Skipped("object", dataset.annotation_file, sum(len(r.labels) for r in dataset.records),
                   "add the segmentations, or set MODE_MASK=False")
    for record in dataset.records:
        has_mask = np.array([s is not None for s in record.segmentations], dtype=bool) | record.is_crowd
        for index in np.flatnonzero(~has_mask):
            bad.add(f"{index + 1} of image {record.image_id}", "it has no segmentation, which MODE_MASK=True needs")
        if not has_mask.all():
            record.boxes, record.labels = record.boxes[has_mask], record.labels[has_mask]
            record.is_crowd = record.is_crowd[has_mask]
            record.segmentations = [s for s, keep in zip(record.segmentations, has_mask) if keep]
    bad.finish()


class _Bad(Exception):
    """Why one image or annotation cannot be used."""


class _Skipped:
    """Counts what is skipped of one file, says so, and gives up when it is too much."""

    def __init__(self, kind, path, total, remedy="mend the file"):
        self.kind, self.path, self.total, self.remedy = kind, path, total, remedy
        self.count = 0
        self.first = None

    def add(self, item, reason):
        self.count += 1
        self.first = self.first or f"{self.kind} {item}: {reason}"
        if self.count <= MAX_BAD_LINES:
            logger.warn(f"{self.path}: skipped {self.kind} {item}: {reason}")

    def finish(self):
        if self.count > MAX_BAD_LINES:
            logger.warn(f"{self.path}: skipped {self.count} of {self.total} {self.kind}s in all")
        if self.count > MAX_BAD_SHARE * self.total:
            raise UserError(f"{self.path}: {self.count} of {self.total} {self.kind}s cannot be used, more than "
                            f"{MAX_BAD_SHARE:.0%}, the first is {self.first}; {self.remedy}")


# files ------------------------------------------------------------------------------------------------------------
def _find(basedir, name, registered):
    """Returns: the annotation file and the folder of images of data set `name`"""
    if not os.path.isdir(basedir):
        raise UserError(f"DATA.BASEDIR={basedir} is not a folder; set it to the folder that holds data set {name}")
    tried = []
    for plain in dict.fromkeys((name, name.removeprefix("coco_"))):
        for pattern in ("annotations/instances_{}.json", "annotations/{}.json", "{}.json", "{}/_annotations.coco.json"):
            path = os.path.join(basedir, pattern.format(plain))
            if plain and os.path.isfile(path):
                return path, _find_image_dir(basedir, plain, path)
            tried.append(pattern.format(plain))
    known = f", or use a registered name ({', '.join(registered)})" if registered else ""
    raise UserError(f"data set {name}: none of {', '.join(tried)} is in DATA.BASEDIR={basedir}; "
                    f"set DATA.BASEDIR or correct the name{known}")


def _find_image_dir(basedir, name, annotation_file):
    for folder in (name, f"images/{name}", "images"):
        path = os.path.join(basedir, folder)
        if os.path.isdir(path):
            return path
    return os.path.dirname(annotation_file)


class _ImageFolder:
    """
    Turns the file names of a json file into paths, and keeps them inside the data set's folder.

    The image folder itself may be a link to elsewhere: the user made it. What a json file names may not.
    """

    def __init__(self, path, basedir):
        self.path = os.path.abspath(path)
        self._roots = [os.path.join(os.path.realpath(root), "") for root in (basedir, path)]
        self._listings = {}

    def resolve(self, file_name):
        """Returns: the absolute path of an existing file; raises `_Bad`"""
        if not isinstance(file_name, str) or not file_name or "\0" in file_name:
            raise _Bad(f"file_name is {file_name!r}")
        relative = os.path.normpath(file_name)
        if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
            raise _Bad(f"file_name {file_name!r} leads out of {self.path}")
        folder, base = os.path.split(relative)
        path = os.path.join(self.path, relative)
        listing = self._list(os.path.join(self.path, folder))
        if base not in listing:
            raise _Bad(f"there is no file {path}")
        if listing[base] and not self._is_inside(path):
            raise _Bad(f"{path} is a link that leads out of the data set")
        return path

    def _list(self, folder):
        """Returns: dict of each name in a folder to whether it is a link; one listing is faster than a stat a file"""
        if folder not in self._listings:
            if not self._is_inside(folder):
                raise _Bad(f"{folder} is a link that leads out of the data set")
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {entry.name: entry.is_symlink() for entry in entries}
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]

    def _is_inside(self, path):
        return os.path.join(os.path.realpath(path), "").startswith(tuple(self._roots))


def _read_json(path):
    was_enabled = gc.isenabled()
    gc.disable()    # looking for garbage among millions of new lists takes 40 % of the time
    try:
        with open(path, encoding="utf-8") as f:
            content = json.load(f)
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); check the file and its permissions") from None
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not a json file ({e}); it may be cut short, fetch or export it again") from None
    finally:
        if was_enabled:
            gc.enable()
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not in COCO's format, it has no list \"{key}\"; export it as COCO instances")
    return content


# contents ---------------------------------------------------------------------------------------------------------
def _is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and -2**63 <= value < 2**63


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30    # false for NaN


def _parse_categories(categories, path):
    """Returns: class names and category ids, both in the order of the ids"""
    names = {}
    for category in categories:
        is_dict = isinstance(category, dict)
        if not is_dict or not _is_id(category.get("id")) or not isinstance(category.get("name"), str):
            raise UserError(f"{path}: category {json.dumps(category)[:80]} must have a number \"id\" and a text "
                            "\"name\"; mend the file")
        if category["id"] in names:
            raise UserError(f"{path}: category id {category['id']} appears twice; give each category its own id")
        names[category["id"]] = category["name"]
    if not names:
        raise UserError(f"{path}: \"categories\" is empty; list each class with \"id\" and \"name\"")
    ids = tuple(sorted(names))
    return tuple(names[i] for i in ids), ids


def _parse_images(images, path, folder):
    """Returns: dict of image id to (file name, image id, height, width), and the set of ids of bad images"""
    good, bad_ids = {}, set()
    bad = _Skipped("image", path, len(images))
    for position, image in enumerate(images):
        image_id = image.get("id") if isinstance(image, dict) else None
        try:
            if not _is_id(image_id):
                raise _Bad("it has no number \"id\"")
            if image_id in good:
                raise _Bad("its id appears twice")
            height, width = _parse_size(image)
            good[image_id] = folder.resolve(image.get("file_name")), image_id, height, width
        except _Bad as e:
            bad.add(image_id if _is_id(image_id) else f"number {position + 1}", str(e))
            if _is_id(image_id) and image_id not in good:
                bad_ids.add(image_id)
    bad.finish()
    return good, bad_ids


def _parse_size(image):
    size = image.get("height"), image.get("width")
    if not all(_is_number(v) and v >= 1 and v == int(v) for v in size):
        raise _Bad(f"its height and width are {size[0]!r} and {size[1]!r}")
    return int(size[0]), int(size[1])


def _parse_annotations(annotations, path, images, bad_ids, category_ids):
    """Returns: dict of image id to a list of (box, label, is_crowd, segmentation)"""
    objects = {image_id: [] for image_id in images}
    labels = {category_id: label for label, category_id in enumerate(category_ids, start=1)}
    bad = _Skipped("annotation", path, len(annotations))
    for position, annotation in enumerate(annotations):
        annotations[position] = None    # free the json's own lists while the smaller arrays grow
        try:
            if not isinstance(annotation, dict):
                raise _Bad("it is not an object")
            image_id = annotation.get("image_id")
            if _is_id(image_id) and image_id in bad_ids:
                continue
            if not _is_id(image_id) or image_id not in images:
                raise _Bad(f"there is no image {image_id!r}")
            objects[image_id].append(_parse_object(annotation, labels, *images[image_id][2:]))
        except _Bad as e:
            known_id = annotation.get("id") if isinstance(annotation, dict) else None
            bad.add(f"number {position + 1}" if known_id is None else known_id, str(e))
    bad.finish()
    return objects


def _parse_object(annotation, labels, height, width):
    category_id = annotation.get("category_id")
    if not _is_id(category_id) or category_id not in labels:
        raise _Bad(f"there is no category {category_id!r}")
    is_crowd = annotation.get("iscrowd", 0)
    if is_crowd not in (0, 1):
        raise _Bad(f"iscrowd is {is_crowd!r}, not 0 or 1")
    return (_parse_box(annotation.get("bbox"), height, width), labels[category_id], bool(is_crowd),
            _parse_segmentation(annotation.get("segmentation"), height, width))


def _parse_box(bbox, height, width):
    """Returns: x1, y1, x2, y2 clipped to the image, of COCO's x, y, w, h"""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise _Bad(f"bbox is {str(bbox)[:80]}, not 4 numbers")
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        raise _Bad(f"bbox is {bbox}, its width and height must be positive")
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    # two numbers can be different as they are and equal as float32
    if not (np.float32(x1) < np.float32(x2) and np.float32(y1) < np.float32(y2)):
        raise _Bad(f"bbox is {bbox}, outside of the image, which is {width} wide and {height} high")
    return x1, y1, x2, y2


def _parse_segmentation(segmentation, height, width):
    """Returns: None, a list of float32 polygons, or the RLE dict as it is"""
    if segmentation is None or segmentation == [] or segmentation == [[]]:
        return None
    if isinstance(segmentation, dict):
        return _check_rle(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise _Bad("its segmentation is neither polygons nor RLE")
    return [_parse_polygon(polygon) for polygon in segmentation]


def _parse_polygon(polygon):
    if not isinstance(polygon, list):
        raise _Bad("its segmentation is not a list of polygons")
    if len(polygon) < 6 or len(polygon) % 2:
        raise _Bad(f"a polygon has {len(polygon)} numbers, not an even number of at least 6")
    try:
        array = np.array(polygon, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise _Bad("a polygon holds something that is not a number") from None
    if array.ndim != 1 or not np.isfinite(array).all():
        raise _Bad("a polygon holds something that is not a finite number")
    return array


def _check_rle(rle, height, width):
    if rle.get("size") != [height, width]:
        raise _Bad(f"its RLE has size {str(rle.get('size'))[:40]}, the image [{height}, {width}]")
    counts = rle.get("counts")
    if isinstance(counts, list):
        if not all(isinstance(c, int) and c >= 0 for c in counts) or sum(counts) != height * width:
            raise _Bad("the counts of its RLE do not add up to the image")
    elif not isinstance(counts, str) or not counts or not all(48 <= ord(c) < 112 for c in counts):
        raise _Bad("its RLE has no counts")
    return rle


def _make_record(image, objects):
    boxes, labels, is_crowd, segmentations = zip(*objects) if objects else ((), (), (), ())
    return Record(*image, np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(labels, dtype=np.int32),
                  np.array(is_crowd, dtype=bool), list(segmentations))
