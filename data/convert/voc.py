"""
VOC's XML files, one for each image, of any classes and in any folders.

ImageSets/Main beside the folder of annotations may have train.txt, val.txt and test.txt; where there is only
trainval.txt, that is train. Without such lists folders may name the splits.
"""
from __future__ import annotations

import os

from data import safe_xml
from data.convert.objects import Contents, Picture, box_object, class_name
from data.convert.source import split_of
from data.folders import SUFFIXES_AS_WRITTEN
from data.headers import image_size
from data.records import Unusable
from data.voc import is_difficult, listed_names, parse_corners, read_xml, stated_size, text_of

ROOT = "annotation"
LISTS = "ImageSets/Main"
MAX_SNIFFED = 20    # xml files that are looked into


def looks_like(source) -> bool:
    return any(safe_xml.root_of(source.path(file)) == ROOT for file in source.with_suffix(".xml")[:MAX_SNIFFED])


def read(source, left_out) -> Contents:
    files = source.with_suffix(".xml")
    return Contents(_pictures(source, files, _Lists(source, left_out), left_out), len(files))


class _Lists:
    """Which splits an image is in, of all folders ImageSets/Main of a source."""

    def __init__(self, source, left_out):
        self._splits = {}    # of the folder that ImageSets is in, a dict of split to names
        for file in source.with_suffix(".txt"):
            folder, name = os.path.split(file)
            if folder.endswith(LISTS) and name in ("train.txt", "val.txt", "test.txt", "trainval.txt"):
                with left_out.unusable("list of a split", source.path(file)):
                    names = listed_names([line.strip() for line in source.read(file).splitlines() if line.strip()])
                    self._splits.setdefault(folder[:-len(LISTS)], {})[name[:-len(".txt")]] = set(names)
        for splits in self._splits.values():
            both = splits.pop("trainval", set())
            if not splits.keys() & {"train", "val"}:
                splits["train"] = both

    def of(self, file):
        """Returns: list of str or None, the splits of an annotation file"""
        roots = [root for root in self._splits if file.startswith(root)]
        if not roots:
            return [split_of(file)]
        stem = os.path.splitext(os.path.basename(file))[0]
        return [split for split, names in self._splits[max(roots, key=len)].items() if stem in names]


def _pictures(source, files, lists, left_out):
    for file in files:
        path = source.path(file)
        with left_out.unusable("file", path):
            root = read_xml(path)
            if root.tag != ROOT:
                raise Unusable(f"its root is {root.tag[:40]!r}, not {ROOT!r}")
            splits = lists.of(file)
            if not splits:
                left_out.count("(image that no list of a split names)")
                continue
            image = _find_image(source, file, text_of(root, "filename"))
            size = image_size(source.path(image), stated_size(root))
            objects = _objects(root, size, path, left_out)
            for split in splits:
                yield Picture(image, size, objects, split)


def _find_image(source, file, name):
    """Returns: the image of the name of its annotation file, or the one that the file names"""
    folder, base = os.path.split(file)
    stem = os.path.splitext(base)[0]
    folders = [folder, *(os.path.normpath(os.path.join(folder, "..", images)) for images in ("JPEGImages", "images"))]
    own = (f"{place}/{stem}{suffix}".lstrip("/") for place in folders for suffix in SUFFIXES_AS_WRITTEN)
    return next(filter(source.has, own), None) or source.find(name, *folders)


def _objects(root, size, path, left_out):
    objects = []
    for number, element in enumerate(root.findall("object"), start=1):
        with left_out.unusable("object", f"{path}: object {number}"):
            name = class_name(text_of(element, "name"))
            objects.append(box_object(name, parse_corners(element, *size), size, is_difficult(element)))
            left_out.count("(difficult: an object as others are, in COCO's format)", is_difficult(element))
    return objects
