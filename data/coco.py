"""Reads data sets in COCO's format: a json file of images, annotations and categories beside a folder of images."""
import gc
import json
import os

from common import UserError

import numpy as np

from data.folders import Folder
from data.records import Dataset, Record, Skipped, Unusable
from data.segmentation import parse_segmentation

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

def load_coco(basedir: str, name: str, registered: tuple[str, ...] = ()) -> Dataset:
    """
    Load the data set `name` below `basedir`; FOLDER/NAME is NAME in another folder, absolute or below `basedir`.

    The annotations are annotations/instances_NAME.json, annotations/NAME.json, NAME.json or
    NAME/_annotations.coco.json, the first that exists; the images are in NAME/, images/NAME/, images/ or beside the
    annotations. "coco_NAME" is tried as it is and then as NAME. Images and annotations that cannot be used are
    skipped with a line each.

    Args:
        registered: other names that would have worked, for the message

    Raises:
        UserError: a file or folder is missing or not COCO's, or more than 10 % of the images or annotations are bad
    """
    annotation_file, image_dir = _find(basedir, name, registered)
    content = read_json(annotation_file)
    class_names, category_ids = _parse_categories(content["categories"], annotation_file)
    images, bad_ids = _parse_images(content["images"], annotation_file, Folder(image_dir))
    objects = _parse_annotations(content["annotations"], annotation_file, images, bad_ids, category_ids)
    records = [_make_record(image, objects.pop(image_id)) for image_id, image in images.items()]
    return Dataset(name, class_names, category_ids, annotation_file, records)


# files ------------------------------------------------------------------------------------------------------------
def has_coco(basedir: str, name: str) -> bool:
    """Returns: whether `load_coco` finds annotations"""
    return any(os.path.isfile(os.path.join(place, file)) for place, _, file in _candidates(basedir, name))


def _find(basedir, name, registered):
    """Returns: the annotation file and the folder of images of data set `name`"""
    folder, base = os.path.split(os.path.join(basedir, name))
    has_folder = os.sep in name
    if not os.path.isdir(folder):
        raise UserError(f"data set {name}: {folder} is not a folder; correct the path" if has_folder else
                        f"DATA.BASEDIR={basedir} is not a folder; set it to the folder that holds data set {name}")
    tried = []
    for place, plain, file in _candidates(basedir, name):
        path = os.path.join(place, file)
        if os.path.isfile(path):
            return path, _find_image_dir(place, plain, path)
        tried.append(file)
    known = f", or use a registered name ({', '.join(registered)})" if registered else ""
    raise UserError(f"data set {name}: none of {', '.join(tried)} is in "
                    + (f"{folder}; correct the path" if has_folder else
                       f"DATA.BASEDIR={basedir}; set DATA.BASEDIR or correct the name{known}"))


def _candidates(basedir, name):
    """Yields: folder, name in it, and file in it that may have the annotations of data set `name`"""
    folder, base = os.path.split(os.path.join(basedir, name))
    # a name with a folder may also be so in the folders of annotations and of images
    for place, plain in dict.fromkeys([(folder, base), (folder, base.removeprefix("coco_")), (basedir, name)]):
        for pattern in ("annotations/instances_{}.json", "annotations/{}.json", "{}.json", "{}/_annotations.coco.json"):
            if plain:
                yield place, plain, pattern.format(plain)


def _find_image_dir(basedir, name, annotation_file):
    for folder in (name, f"images/{name}", "images"):
        path = os.path.join(basedir, folder)
        if os.path.isdir(path):
            return path
    return os.path.dirname(annotation_file)


def read_json(path):
    """
    Returns:
        dict with the lists "images", "annotations" and "categories" of a json file, whatever these have in them

    Raises:
        UserError: it cannot be read, or has no such lists
    """
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
            raise UserError(f"{path}: category {json.dumps(category)[:80]} must have a whole number as \"id\" and a "
                            "text as \"name\"; mend the file")
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
    skipped = Skipped("image", path, len(images))
    for position, image in enumerate(images):
        image_id = image.get("id") if isinstance(image, dict) else None
        try:
            if not _is_id(image_id):
                raise Unusable(f"its \"id\" is {json.dumps(image_id)[:80]}, not a whole number", "image-id")
            if image_id in good:
                raise Unusable("its id appears twice", "image-id-twice")
            height, width = _parse_size(image)
            good[image_id] = folder.resolve(image.get("file_name")), image_id, height, width
        except Unusable as e:
            skipped.add(image_id if _is_id(image_id) else f"number {position + 1}", e)
            if _is_id(image_id) and image_id not in good:
                bad_ids.add(image_id)
    skipped.finish()
    return good, bad_ids


def _parse_size(image):
    size = image.get("height"), image.get("width")
    if not all(_is_number(v) and v >= 1 and v == int(v) for v in size):
        raise Unusable(f"its height and width are {size[0]!r} and {size[1]!r}", "image-size")
    return int(size[0]), int(size[1])


def _parse_annotations(annotations, path, images, bad_ids, category_ids):
    """Returns: dict of image id to a list of (bbox, area, label, is_crowd, segmentation)"""
    objects = {image_id: [] for image_id in images}
    labels = {category_id: label for label, category_id in enumerate(category_ids, start=1)}
    skipped = Skipped("annotation", path, len(annotations))
    for position, annotation in enumerate(annotations):
        annotations[position] = None    # free the json's own lists while the smaller arrays grow
        try:
            if not isinstance(annotation, dict):
                raise Unusable("it is not an object", "annotation-form")
            image_id = annotation.get("image_id")
            if _is_id(image_id) and image_id in bad_ids:
                continue
            if not _is_id(image_id) or image_id not in images:
                raise Unusable(f"there is no image {image_id!r}", "annotation-image")
            objects[image_id].append(_parse_object(annotation, labels, *images[image_id][2:]))
        except Unusable as e:
            fields = annotation if isinstance(annotation, dict) else {}
            known_id = fields.get("id")
            skipped.add(f"number {position + 1}" if known_id is None else known_id, e, fields.get("image_id"),
                        fields.get("bbox"))
    skipped.finish()
    return objects


def _parse_object(annotation, labels, height, width):
    category_id = annotation.get("category_id")
    if not _is_id(category_id) or category_id not in labels:
        raise Unusable(f"there is no category {category_id!r}", "category-unknown")
    is_crowd = annotation.get("iscrowd", 0)
    if is_crowd not in (0, 1):
        raise Unusable(f"iscrowd is {is_crowd!r}, not 0 or 1", "annotation-crowd")
    bbox, area = annotation.get("bbox"), annotation.get("area")
    _check_box(bbox, height, width)
    if area is None:
        area = bbox[2] * bbox[3]
    elif not _is_number(area):
        raise Unusable(f"area is {str(area)[:80]}, not a number", "area")
    return (bbox, area, labels[category_id], bool(is_crowd),
            parse_segmentation(annotation.get("segmentation"), height, width))


def _check_box(bbox, height, width):
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise Unusable(f"bbox is {str(bbox)[:80]}, not 4 numbers", "box-form")
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        raise Unusable(f"bbox is {bbox}, its width and height must be positive", "box-empty")
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    # two numbers can be different as they are and equal as float32
    if not (np.float32(x1) < np.float32(x2) and np.float32(y1) < np.float32(y2)):
        raise Unusable(f"bbox is {bbox}, outside of the image, which is {width} wide and {height} high", "box-outside")


def _make_record(image, objects):
    bboxes, areas, labels, is_crowd, segmentations = zip(*objects) if objects else ((), (), (), (), ())
    return Record(*image, np.array(bboxes, dtype=np.float64).reshape(-1, 4), np.array(areas, dtype=np.float64),
                  np.array(labels, dtype=np.int32), np.array(is_crowd, dtype=bool), list(segmentations))
