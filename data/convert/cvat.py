"""
CVAT's XML 1.1, for images and for video, with the images beside it or in images/.

For images there is an <image> with its name and size, with a shape each for its objects. For video there is a <track>
for each object, with a shape for each frame; frames are files such as images/frame_000012.PNG.
"""
from __future__ import annotations

import os
import re

import numpy as np

from data import safe_xml
from data.convert.objects import (
    Contents,
    Groups,
    Part,
    Picture,
    circle,
    class_name,
    numbers,
    place_mask,
    rotated,
    rotated_box,
)
from data.convert.source import SPLITS, split_of
from data.headers import image_size
from data.records import Unusable

ROOT = "annotations"
MAX_SNIFFED = 20    # xml files that are looked into
NO_AREA = ("points", "polyline", "tag", "cuboid")


def looks_like(source) -> bool:
    return bool(_files(source))


def read(source, left_out) -> Contents:
    files = _files(source)
    names, keypoint_names = [], {}
    for name, parent in (label for file in files for label in _labels(source.path(file))):
        (names if parent is None else keypoint_names.setdefault(parent, [])).append(name)
    total = sum(_count_images(source.path(file)) for file in files)
    return Contents(_pictures(source, files, left_out), total, list(dict.fromkeys(names)), keypoint_names)


def _files(source):
    xml = source.with_suffix(".xml")
    return [file for file in xml[:MAX_SNIFFED] if safe_xml.root_of(source.path(file)) == ROOT]


def _labels(path):
    """Yields: name of a label that the file lists in front of its images, and of the skeleton that it is a point of"""
    try:
        for element in safe_xml.stream(path, ("label", "image", "track")):
            if element.tag != "label":
                return
            if element.findtext("name"):
                parent = element.findtext("parent")
                yield class_name(element.findtext("name")), None if parent is None else class_name(parent)
    except Unusable:
        return    # said when its images are read


def _count_images(path):
    """Returns: int, about how many images there are; a few may be counted wrongly, as this only moves a bar"""
    with open(path, "rb") as f:
        return sum(chunk.count(b"<image ") for chunk in iter(lambda: f.read(2**20), b""))


def _pictures(source, files, left_out):
    for file in files:
        frames = {}
        with left_out.unusable("rest of a file", source.path(file)):
            for number, element in enumerate(safe_xml.stream(source.path(file), ("image", "track"))):
                if element.tag == "track":
                    _add_track(element, frames)
                    continue
                where = f"{source.path(file)}: image {element.get('name', str(number))[:200]!r}"
                with left_out.unusable("image", where):
                    yield _picture(source, file, element, where, left_out)
        if frames:
            yield from _frame_pictures(source, file, frames, left_out)


# images -------------------------------------------------------------------------------------------------------------
def _picture(source, file, element, where, left_out):
    folder, subset = os.path.dirname(file), element.get("subset", "")
    folders = [os.path.join(folder, place) for place in ("", "images", f"images/{subset}", subset)]
    image = source.find(element.get("name"), *folders)
    size = image_size(source.path(image), _stated_size(element))
    objects = _objects([(shape, shape) for shape in element], size, where, left_out)
    return Picture(image, size, objects, SPLITS.get(subset.lower()) or split_of(image))


def _stated_size(element):
    values = element.get("height", ""), element.get("width", "")
    return tuple(map(int, values)) if all(re.fullmatch("[0-9]{1,6}", value) for value in values) else None


# video --------------------------------------------------------------------------------------------------------------
def _add_track(track, frames):
    """Add the shapes of a track to those of their frames: `frames` is a dict of number to (shape, track)"""
    for shape in track:
        if shape.get("outside") != "1" and re.fullmatch("[0-9]{1,9}", shape.get("frame", "")):
            frames.setdefault(int(shape.get("frame")), []).append((shape, track))


def _frame_pictures(source, file, frames, left_out):
    """Yields: Picture, of all frames that there are files of, also of those without objects"""
    folder = os.path.dirname(file)
    images = {}
    for image in source.images(folder):
        if match := re.fullmatch("frame_([0-9]{1,9})", os.path.splitext(os.path.basename(image))[0]):
            images.setdefault(int(match[1]), image)
    for number in sorted(frames.keys() | images.keys()):
        where = f"{source.path(file)}: frame {number}"
        with left_out.unusable("image", where):
            if number not in images:
                raise Unusable("there is no image of it; export the video with its images")
            size = image_size(source.path(images[number]))
            yield Picture(images[number], size, _objects(frames.get(number, []), size, where, left_out))


# objects ------------------------------------------------------------------------------------------------------------
def _objects(shapes, size, where, left_out):
    """Args: shapes: of (the shape, the element that has its label and group)"""
    groups = Groups()
    for number, (shape, owner) in enumerate(shapes, start=1):
        name_of_shape = f"{where}: {shape.tag[:20]} {number}"
        with left_out.unusable("shape", name_of_shape):
            if shape.tag in NO_AREA:
                left_out.add(f"shape that is a {shape.tag}", name_of_shape, "it has no box and no mask")
                continue
            name, group = class_name(owner.get("label")), owner.get("group_id")
            groups.add(name, _part(shape, size, left_out), name_of_shape, None if group in ("0", "") else group)
            left_out.count("attribute of an object", len(shape.findall("attribute")))
    return groups.join(size, left_out)


def _part(shape, size, left_out):
    if shape.tag not in _PARTS:
        raise Unusable("it is of no known kind")
    degrees = _number(shape, "rotation") if "rotation" in shape.keys() else 0.0    # noqa: SIM118  (an element)
    left_out.count("rotation of a box", shape.tag == "box" and degrees != 0)
    return _PARTS[shape.tag](shape, degrees, size)


def _box(shape, degrees, size):
    corners = [_number(shape, key) for key in ("xtl", "ytl", "xbr", "ybr")]
    return Part("box", rotated_box(*corners, degrees) if degrees else corners)


def _polygon(shape, degrees, size):
    try:
        points = [[float(number) for number in point.split(",")] for point in shape.get("points", "").split(";")]
    except ValueError:
        raise Unusable("its points have something that is not a number") from None
    if any(len(point) != 2 for point in points):
        raise Unusable("one of its points is not two numbers")
    polygon = [number for point in points for number in point]
    return Part("polygon", polygon)


def _ellipse(shape, degrees, size):
    x, y, radius_x, radius_y = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    return Part("polygon", rotated(circle(x, y, radius_x, radius_y), (x, y), degrees))


def _mask(shape, degrees, size):
    """CVAT's run lengths go through the mask's own box row by row; the first is of zeros"""
    left, top, width, height = (int(_number(shape, key)) for key in ("left", "top", "width", "height"))
    if not (0 < width <= size[1] and 0 < height <= size[0]):
        raise Unusable(f"its mask is {width} wide and {height} high, which is not within the image")
    words = shape.get("rle", "").replace(" ", "").split(",")
    if not all(re.fullmatch("[0-9]{1,9}", word) for word in words):
        raise Unusable("its rle is not a list of run lengths")
    runs = np.array(list(map(int, words)))
    if runs.sum() != width * height:
        raise Unusable(f"its run lengths add up to {runs.sum()}, not to {width} x {height}")
    mask = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    return Part("mask", place_mask(mask, left, top, size))


def _skeleton(shape, degrees, size):
    """A point that is outside is not labelled"""
    keypoints = {}
    for point in shape.findall("points"):
        if point.get("outside") != "1":
            x, y = numbers(_polygon(point, degrees, size).shape, 2, "a point")
            keypoints[class_name(point.get("label"))] = x, y, 1 if point.get("occluded") == "1" else 2
    return Part("keypoints", keypoints)


_PARTS = {"box": _box, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask, "skeleton": _skeleton}


def _number(shape, key):
    try:
        value = float(shape.get(key, ""))
    except ValueError:
        value = np.nan
    if not abs(value) < 1e9:    # false for NaN
        raise Unusable(f"its {key} is {shape.get(key, '')[:40]!r}, not a number")
    return value
