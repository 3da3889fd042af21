"""
YOLO's labels, as Ultralytics has them: for each image a text file, with a line for each object.

    data.yaml       path, train, val, test: folders of images, or text files that list them; names: a list or a dict
    images/a.jpg    any image; "images" is the last folder of this name on its path
    labels/a.txt    class cx cy w h, or class x1 y1 x2 y2 ..., in shares of the image's width and height

Without a yaml file, classes.txt or obj.names lists the classes, and folders may name the splits.
"""
from __future__ import annotations

import os

from common import UserError

import numpy as np
import yaml

from data.convert.objects import Contents, Object, Picture, box_object, class_name, polygon_object
from data.convert.source import SPLITS, split_of
from data.headers import image_size
from data.records import Unusable

CLASS_FILES = ("classes.txt", "obj.names")
MAX_YAML = 1_000_000    # characters: PyYAML reads a megabyte in some seconds
OUTSIDE = 0.01          # shares of the image that a corner may be outside of it, as in Ultralytics


def looks_like(source) -> bool:
    return _find_yaml(source) is not None or _find_classes(source) is not None


def read(source, left_out) -> Contents:
    """
    Raises:
        UserError: there is neither a yaml file with names nor a list of classes, or it is broken
    """
    file = _find_yaml(source)
    if file is not None:
        config = _load_yaml(source, file)
        names, images = _names(config, source.path(file)), _splits(source, file, config, left_out)
    elif (file := _find_classes(source)) is not None:
        config = {}
        names = dict(enumerate(filter(None, map(str.strip, _text(source, file).splitlines()))))
        images = [(image, split_of(image)) for image in source.images()]
    else:
        raise UserError(f"{source.folder}: there is no data.yaml with \"names\", and no classes.txt; export it as YOLO")
    if not names:
        raise UserError(f"{source.path(file)}: there are no classes in it; list their names")
    labels = _Labels(names, _num_keypoint_values(config), left_out)
    return Contents(_pictures(source, images, labels, left_out), len(images),
                    [names[number] for number in sorted(names)])


# classes and splits -------------------------------------------------------------------------------------------------
def _find_yaml(source):
    """Returns: the first yaml file at the top that has names; data.yaml before others"""
    files = [file for file in source.with_suffix(".yaml", ".yml") if "/" not in file]
    for file in sorted(files, key=lambda file: (os.path.splitext(file)[0] != "data", file)):
        try:
            has_names = any(line.startswith(("names:", "names :", '"names"', "'names'", "{"))
                            for line in source.read(file).splitlines())
        except Unusable:
            continue
        if has_names:
            return file
    return None


def _find_classes(source):
    return next((file for file in source.files if os.path.basename(file) in CLASS_FILES), None)


def _text(source, file):
    try:
        return source.read(file)
    except Unusable as e:
        raise UserError(f"{source.path(file)}: {e}; correct the file") from None


def _load_yaml(source, file):
    """Returns: dict; BaseLoader makes texts, lists and dicts alone, so a class may be called "no" """
    text = _text(source, file)
    if len(text) > MAX_YAML:
        raise UserError(f"{source.path(file)}: {len(text)} characters are too many for a description; shorten it")
    try:
        config = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UserError(f"{source.path(file)}: it is not YAML; correct the file") from None
    if not isinstance(config, dict):
        raise UserError(f"{source.path(file)}: it is not a dict of keys and values; correct the file")
    return config


def _names(config, path):
    """Returns: dict of the number of each class to its name"""
    names = config.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    try:
        return {_whole(number): class_name(name) for number, name in names.items()}
    except (AttributeError, ValueError, Unusable):
        raise UserError(f"{path}: \"names\" must be a list of texts, or a dict of numbers to texts; correct the "
                        "file") from None


def _whole(number):
    value = int(number)
    if value < 0:
        raise ValueError
    return value


def _num_keypoint_values(config):
    """Returns: how many numbers of a line are keypoints, with `kpt_shape: [K, 2 or 3]`"""
    shape = config.get("kpt_shape")
    is_shape = isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, str) and n.isdigit() for n in shape)
    return int(shape[0][:4]) * int(shape[1][:1]) if is_shape else 0


def _splits(source, yaml_file, config, left_out):
    """Returns: list of (image, split)"""
    images = {}
    for key, split in SPLITS.items():
        entries = config.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            with left_out.unusable("split", f"{source.path(yaml_file)}: {key}"):
                images.update(dict.fromkeys((image, split) for image in _entry_images(source, entry)))
    return list(images)


def _entry_images(source, entry):
    """Returns: the images of a folder, or of a text file that lists them"""
    if not isinstance(entry, str):
        raise Unusable("it is not the name of a folder")
    if (listed := source.tail(entry)) is not None and listed.endswith(".txt"):
        found = (source.tail(line) for line in source.read(listed).splitlines())
        return [image for image in found if image is not None]
    folder = source.tail(entry, source.has_folder)
    if folder is None:
        if entry.strip() in (".", "./"):
            return source.images()
        raise Unusable(f"there is no folder {entry[:200]!r}")
    return source.images(folder)


# labels -------------------------------------------------------------------------------------------------------------
def _pictures(source, images, labels, left_out):
    for image, split in images:
        file = _label_file(image)
        with left_out.unusable("image", source.path(image)):
            size = image_size(source.path(image))
            if not source.has(file):
                left_out.count("(no label file: an image without objects)")
            objects = labels.read(source.path(file), source.read(file), size) if source.has(file) else []
            yield Picture(image, size, objects, split)


def _label_file(image):
    """Returns: "a/labels/b.txt" of "a/images/b.jpg", and "a/b.txt" of "a/b.jpg" """
    folder, name = os.path.split(os.path.splitext(image)[0] + ".txt")
    parts = folder.split("/")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
    return "/".join([*filter(None, parts), name])


class _Labels:
    """Reads the lines of label files: `names` is a dict of numbers of classes to names."""

    def __init__(self, names, num_keypoint_values, left_out):
        self.names, self.num_keypoint_values, self.left_out = names, num_keypoint_values, left_out

    def read(self, path: str, text: str, size: tuple[int, int]) -> list[Object]:
        objects, seen = [], set()
        for number, line in enumerate(text.splitlines(), start=1):
            words = tuple(line.split())
            if not words:
                continue
            with self.left_out.unusable("object", f"{path}:{number}"):
                if words in seen:
                    raise Unusable("the line is there twice")
                seen.add(words)
                objects.append(self._object(words, size))
        return objects

    def _object(self, words, size):
        try:
            values = np.array(words, dtype=np.float64)
        except ValueError:
            raise Unusable("the line has something that is not a number") from None
        name = self.names.get(values[0])
        if name is None:
            raise Unusable(f"there is no class {words[0][:40]}")
        values = values[1:]
        if self.num_keypoint_values and len(values) == 4 + self.num_keypoint_values:
            self.left_out.count("keypoints of an object")
            values = values[:4]
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise Unusable(f"{len(words)} numbers are neither a class and a box, nor a class and a polygon")
        # false for NaN
        if not ((values >= -OUTSIDE) & (values <= 1 + OUTSIDE)).all():
            raise Unusable("it has a number that is no share of the image, within 0..1")
        values = values * np.tile(size[::-1], len(values) // 2)
        if len(values) == 4:
            return box_object(name, [*(values[:2] - values[2:] / 2), *(values[:2] + values[2:] / 2)], size)
        return polygon_object(name, [values.tolist()], size)
