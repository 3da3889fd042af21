"""
Reads data sets in PASCAL VOC's format: a folder with Annotations/NAME.xml and JPEGImages/NAME.jpg for each image, and
with lists of these names in ImageSets/Main/SPLIT.txt.

In the files a corner is a pixel, counted from 1, and both corners belong to the object. So in our coordinates a box
goes from xmin - 1, ymin - 1 to xmax, ymax.
"""
from __future__ import annotations

import os
import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from common import UserError

import numpy as np

from data import safe_xml
from data.folders import SUFFIXES_AS_WRITTEN, Folder, read_lines
from data.headers import image_size
from data.records import Dataset, Record, Skipped, Unusable

VOC_CLASS_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
VOC_NAMES = tuple(f"voc_{year}_{split}" for year in (2007, 2012) for split in ("train", "val", "trainval", "test"))
LISTS = os.path.join("ImageSets", "Main")
CLASSES_FILE = "classes.txt"


class _Files(NamedTuple):
    """
    A folder in VOC's format.

    Attributes:
        list_file: path of ImageSets/Main/SPLIT.txt
        names: of the images of the split
        annotations, images: Folder
    """

    list_file: str
    names: list[str]
    annotations: Folder
    images: Folder


def load_voc(basedir: str, name: str) -> Dataset:
    """
    Load one of VOC_NAMES, such as "voc_2007_trainval", with VOC's 20 classes. The test set of 2012 has no ground truth.

    Args:
        basedir: the VOCdevkit, or the folder that it is in

    Raises:
        UserError: a file or folder is missing, or more than 10 % of the images or objects are bad
    """
    _, year, split = name.split("_")
    folder = _find_devkit(basedir, name, f"VOC{year}")
    return _load(_find_files(folder, split), name, VOC_CLASS_NAMES, has_ground_truth=name != "voc_2012_test")


def load_voc_folder(folder: str, name: str) -> Dataset:
    """
    Load ImageSets/Main/NAME.txt of any folder in VOC's format. Its classes are the lines of its classes.txt, or
    otherwise all that any of its annotations has, in the order of the alphabet.

    Raises:
        UserError: a file or folder is missing, or more than 10 % of the images or objects are bad
    """
    files = _find_files(folder, name)
    return _load(files, name, _find_classes(folder, files))


def is_voc_folder(folder: str) -> bool:
    """Returns: whether a folder is laid out as VOC's are"""
    parts = [os.path.isdir(os.path.join(folder, part)) for part in (LISTS, "Annotations", "JPEGImages")]
    return parts[0] or all(parts[1:])


# files ------------------------------------------------------------------------------------------------------------
def _find_devkit(basedir, name, year):
    for folder in (os.path.join(basedir, year), os.path.join(basedir, "VOCdevkit", year), basedir):
        if os.path.basename(os.path.normpath(folder)) == year and os.path.isdir(folder):
            return folder
    raise UserError(f"data set {name}: there is no folder {year} in {basedir} or in its VOCdevkit; set DATA.BASEDIR to "
                    "the VOCdevkit")


def _find_files(folder, split):
    paths = {part: os.path.join(folder, part) for part in ("Annotations", "JPEGImages")}
    for part, path in paths.items():
        if not os.path.isdir(path):
            raise UserError(f"{folder}: there is no folder {part}, as VOC's format has it; add it or correct the path")
    list_file = os.path.join(folder, LISTS, f"{split}.txt")
    return _Files(list_file, _read_list(list_file), Folder(paths["Annotations"]), Folder(paths["JPEGImages"]))


def _read_list(path):
    """Returns: list of str, the names of images in a list"""
    names = listed_names(read_lines(path, _other_lists(path)))
    if not names:
        raise UserError(f"{path}: it names no image; write the name of an image without its suffix on each line")
    return names


def listed_names(lines: list[str]) -> list[str]:
    """Returns: the names of images, without suffix, in the lines of a list; that of a class has a number behind each"""
    first_words = [re.sub(r"\s+-?[01]$", "", line) for line in lines]
    is_of_class = all(map(str.__ne__, lines, first_words)) and len(set(first_words)) == len(set(lines))
    lines = first_words if is_of_class else lines    # a name of one's own may end in a number too
    return list(dict.fromkeys(
        os.path.splitext(line)[0] if line.endswith(SUFFIXES_AS_WRITTEN) else line for line in lines))


def _other_lists(path):
    """Returns: str, what to do where a list is missing"""
    try:
        lists = sorted(os.path.splitext(name)[0] for name in os.listdir(os.path.dirname(path)))
    except OSError:
        lists = []
    known = f"take another list ({', '.join(lists[:10])}), or " if lists else ""
    return f"{known}write the name of an image without its suffix on each line of such a file"


def _find_classes(folder, files):
    """Returns: tuple of str"""
    path = os.path.join(folder, CLASSES_FILE)
    if os.path.isfile(path):
        names = dict.fromkeys(read_lines(path, "check its permissions"))
    else:
        names = sorted(set().union(*map(_classes_of, _annotation_files(files.annotations.path))))
    if not names:
        raise UserError(f"{folder}: no annotation has an object; annotate some, or list the classes in {CLASSES_FILE}")
    return tuple(names)


def _annotation_files(folder):
    """Returns: list of str, the paths of the xml files in a folder and in those in it"""
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names if name.endswith(".xml")]


def _classes_of(path):
    """Returns: set of str, the classes in an xml file; it is refused later where it is broken, and in the split"""
    try:
        return {text_of(element, "name") for element in read_xml(path).findall("object")} - {""}
    except Unusable:
        return set()


def read_xml(path: str) -> Element:
    """Returns: the root of an annotation file; raises `Unusable`"""
    try:
        with open(path, "rb") as f:
            return safe_xml.parse(f.read())
    except OSError as e:
        raise Unusable(f"{path} cannot be read ({e.strerror})") from None


# contents ---------------------------------------------------------------------------------------------------------
def _load(files, name, class_names, has_ground_truth=True):
    """Returns: Dataset"""
    labels = {class_name: label for label, class_name in enumerate(class_names, start=1)}
    skipped_images = Skipped("image", files.list_file, len(files.names))
    skipped_objects = Skipped("object", files.annotations.path, 0)
    records = []
    for image_name, image_id in zip(files.names, _image_ids(files.names)):
        try:
            root = read_xml(files.annotations.resolve(image_name + ".xml")) if has_ground_truth else Element("none")
            image = _parse_image(root, files.images, image_name, image_id)
        except Unusable as e:
            skipped_images.add(image_name, e, image_id)
            continue
        records.append(_make_record(image, _parse_objects(root, image, labels, skipped_objects)))
    skipped_images.finish()
    skipped_objects.finish()
    return Dataset(name, class_names, tuple(labels.values()), files.list_file, records, metric="voc",
                   has_ground_truth=has_ground_truth)


def _image_ids(names):
    """
    Returns: list of int, the digits of each name, as in 000005 and 2008_000002; where these do not tell the images
        apart, their numbers in the list, from 1 on
    """
    digits = [name.replace("_", "") for name in names]
    ids = [int(each) for each in digits if each.isdecimal() and len(each) <= 18]
    return ids if len(set(ids)) == len(names) else list(range(1, len(names) + 1))


class _Image(NamedTuple):
    """The first attributes of a `Record`, and the name of the image in the list"""

    file_name: str
    image_id: int
    height: int
    width: int
    name: str


def _parse_image(root, folder, name, image_id):
    """Returns: _Image; raises `Unusable`"""
    try:
        path = folder.resolve(name, SUFFIXES_AS_WRITTEN)
    except Unusable:
        if not text_of(root, "filename"):
            raise
        path = folder.resolve(text_of(root, "filename"))
    return _Image(path, image_id, *(stated_size(root) or image_size(path)), name)


def stated_size(root: Element) -> tuple[int, int] | None:
    """Returns: height and width of the image of an annotation file, where it says them"""
    size = [text_of(root, f"size/{key}") for key in ("height", "width")]
    is_size = all(text.isdecimal() and len(text) < 7 and int(text) > 0 for text in size)
    return (int(size[0]), int(size[1])) if is_size else None


def _parse_objects(root, image, labels, skipped):
    """Returns: list of (corners, label, is difficult) of the objects that can be used"""
    objects = []
    elements = root.findall("object")
    skipped.total += len(elements)
    for number, element in enumerate(elements, start=1):
        try:
            objects.append(_parse_object(element, image, labels))
        except Unusable as e:
            skipped.add(f"{number} of image {image.name}", e, image.image_id)
    return objects


def _parse_object(element, image, labels):
    name = text_of(element, "name")
    if name not in labels:
        raise Unusable(f"there is no class {name[:80]!r}", "category-unknown")
    return parse_corners(element, image.height, image.width), labels[name], is_difficult(element)


def is_difficult(element: Element) -> bool:
    """Returns: whether an <object> is one that is not judged"""
    return text_of(element, "difficult").lower() in ("1", "true")


def parse_corners(element: Element, height: int, width: int) -> tuple[float, float, float, float]:
    """
    Args:
        element: an <object>
        height, width: of the image

    Returns:
        x1, y1, x2, y2 in continuous coordinates, as annotated

    Raises:
        Unusable: these are no box, or have no area within the image
    """
    xmin, ymin, xmax, ymax = (_number(element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    corners = xmin - 1, ymin - 1, xmax, ymax
    if xmin > xmax or ymin > ymax:
        raise Unusable(f"its box from {xmin:g}, {ymin:g} to {xmax:g}, {ymax:g} has no width or no height",
                       "box-empty")
    limits = width, height
    low, high = ([np.float32(min(max(v, 0), limit)) for v, limit in zip(corner, limits)]
                 for corner in (corners[:2], corners[2:]))
    if low[0] >= high[0] or low[1] >= high[1]:
        raise Unusable(f"its box from {xmin:g}, {ymin:g} to {xmax:g}, {ymax:g} is outside of the image, which is "
                       f"{width} wide and {height} high", "box-outside")
    return corners


def _make_record(image, objects):
    corners, labels, is_difficult = zip(*objects) if objects else ((), (), ())
    corners = np.array(corners, dtype=np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    return Record(*image[:4], np.concatenate([corners[:, :2], sides], axis=1), sides.prod(axis=1),
                  np.array(labels, dtype=np.int32), np.zeros(len(objects), dtype=bool), [None] * len(objects),
                  is_difficult=np.array(is_difficult, dtype=bool))


def text_of(element: Element, path: str) -> str:
    """Returns: the text of an element in this one, such as "size/width", without blanks around it; "" for none"""
    return (element.findtext(path) or "").strip()


def _number(element, path):
    text = text_of(element, path)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) < 1e30:    # false for NaN
        raise Unusable(f"its {path} is {text[:80]!r}, not a number", "box-form")
    return value
