"""
LabelMe's json files, one for each image, in a folder and in those below it.

A file has imagePath, from the file's own folder, or the image itself as imageData; imageHeight and imageWidth; and
shapes with label, points, shape_type and group_id, which is the same for the parts of one object.
"""
from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os

import cv2
import numpy as np

from data.convert.objects import Contents, Groups, Part, Picture, circle, class_name, numbers, place_mask
from data.convert.source import split_of
from data.headers import image_size, read_header
from data.records import Unusable

# but for a point with the group of one object, which is a keypoint of it
NO_AREA = ("point", "points", "line", "linestrip", "polyline")
MAX_SNIFFED = 50    # json files that are looked into


def looks_like(source) -> bool:
    return any(_shapes_of(source, file) is not None for file in source.with_suffix(".json")[:MAX_SNIFFED])


def read(source, left_out) -> Contents:
    files = source.with_suffix(".json")
    return Contents(_pictures(source, files, left_out), len(files))


def _shapes_of(source, file):
    """Returns: the dict of a json file that has shapes, or None"""
    try:
        content = json.loads(source.read(file))
    except (ValueError, RecursionError, Unusable):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("shapes"), list) else None


def _pictures(source, files, left_out):
    for file in files:
        path = source.path(file)
        with left_out.unusable("file", path):
            content = _shapes_of(source, file)
            if content is None:
                raise Unusable("it is not json with \"shapes\"")
            image, data = _image(source, file, content)
            size = _size(source, image, data, content)
            left_out.count("flag", _num_flags(content, *content["shapes"]))
            yield Picture(image, size, _objects(content["shapes"], size, path, left_out), split_of(file), data)


def _num_flags(*parts):
    """Returns: how many flags are set, of the image and of its shapes"""
    flags = [part.get("flags") for part in parts if isinstance(part, dict)]
    return sum(value is True for some in flags if isinstance(some, dict) for value in some.values())


# the image ----------------------------------------------------------------------------------------------------------
def _image(source, file, content):
    """Returns: the name of the image, and None or its bytes where they are in the json file and there is no other"""
    folder, name = os.path.split(file)
    for image in (content.get("imagePath"), os.path.basename(str(content.get("imagePath")).replace("\\", "/"))):
        with contextlib.suppress(Unusable):
            return source.find(image, folder), None
    if not isinstance(content.get("imageData"), str):
        raise Unusable(f"there is no image {str(content.get('imagePath'))[:200]!r} in the folder")
    try:
        data = base64.b64decode(content["imageData"], validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("its imageData is not base64") from None
    suffix = read_header(data).suffix
    return os.path.join(folder, os.path.splitext(name)[0] + suffix), data


def _size(source, image, data, content):
    annotated = content.get("imageHeight"), content.get("imageWidth")
    annotated = annotated if all(isinstance(v, int) for v in annotated) else None
    return image_size(source.path(image) if data is None else data, annotated)


# objects ------------------------------------------------------------------------------------------------------------
def _objects(shapes, size, path, left_out):
    """Returns: list of Object"""
    groups = Groups()
    for number, shape in enumerate(shapes, start=1):
        where = f"{path}: shape {number}"
        with left_out.unusable("shape", where):
            if not isinstance(shape, dict):
                raise Unusable("it is not a dict")
            kind, group = shape.get("shape_type", "polygon"), shape.get("group_id")
            if kind == "point" and group is not None:
                groups.add_point(class_name(shape.get("label")), *numbers(_points(shape), 2, "a point"), where, group)
            elif kind in NO_AREA:
                left_out.add(f"shape that is a {kind}", where, "it has no area")
            else:
                groups.add(class_name(shape.get("label")), _part(shape, kind, size), where, group)
    return groups.join(size, left_out)


def _points(shape):
    """Returns: list of x, y, x, y, ..."""
    points = shape.get("points")
    if not isinstance(points, list):
        raise Unusable("it has no points")
    return [value for point in points for value in numbers(point, 2, "a point")]


def _part(shape, kind, size):
    flat = _points(shape)
    if kind == "polygon":
        return Part("polygon", flat)
    if kind not in ("rectangle", "circle", "mask"):
        raise Unusable(f"its shape_type is {str(kind)[:40]!r}")
    corners = numbers(_box_corners(flat) if kind == "rectangle" else flat, 4, f"the points of a {kind}")
    if kind == "rectangle":
        return Part("box", corners)
    if kind == "mask":
        return Part("mask", place_mask(_decode_mask(shape.get("mask")), round(corners[0]), round(corners[1]), size))
    radius = float(np.hypot(corners[2] - corners[0], corners[3] - corners[1]))
    return Part("polygon", circle(corners[0], corners[1], radius, radius))


def _box_corners(flat):
    """Two opposite corners of a rectangle, which some programs write as four points"""
    if len(flat) != 8:
        return flat
    return [min(flat[0::2]), min(flat[1::2]), max(flat[0::2]), max(flat[1::2])]


def _decode_mask(text):
    """Returns: (h, w) of a PNG in base64"""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Unusable("its mask is not base64") from None
    read_header(data)    # refuses what would take all memory
    mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise Unusable("its mask is not an image")
    return mask
