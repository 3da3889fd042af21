"""What a reader of another format gives: images, and their objects as COCO has them."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pycocotools.mask as mask_utils

from data.convert.keypoints import Keypoints, around, within
from data.records import Unusable
from data.segmentation import parse_segmentation, to_rle

MAX_NAME = 200     # characters of a class
CIRCLE_CORNERS = 64
_ANGLES = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


class Object(NamedTuple):
    """
    Attributes:
        name: of its class
        bbox: float64 (4,) x, y, width, height in pixels, within the image
        area: square pixels
        segmentation: None; a list of polygons, float64 (2k,) x, y, x, y, ...; or COCO's RLE, a dict
        is_difficult: an object that VOC does not judge
        keypoints: those that are labelled; None where it cannot have any
    """

    name: str
    bbox: np.ndarray
    area: float
    segmentation: list | dict | None = None
    is_difficult: bool = False
    keypoints: Keypoints | None = None


class Picture(NamedTuple):
    """
    Attributes:
        file: path from the source's folder
        size: height and width in pixels, which the objects belong to
        objects
        split: "train", "val" or "test"; None where the source does not say
        content: the bytes of an image file, where it is in the annotation file; `file` is then what to call it
    """

    file: str
    size: tuple[int, int]
    objects: list[Object]
    split: str | None = None
    content: bytes | None = None


class Contents(NamedTuple):
    """
    Attributes:
        pictures: read while they are iterated
        total: how many there are to read, good or bad
        class_names: of the format's own list, in its order; others that objects have follow by the alphabet
        keypoint_names: likewise of the keypoints of a class, by its name
    """

    pictures: Iterator[Picture]
    total: int
    class_names: Sequence[str] = ()
    keypoint_names: Mapping[str, Sequence[str]] = MappingProxyType({})


# objects; what cannot be used raises Unusable -------------------------------------------------------------------------
def class_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise Unusable(f"its class is {str(name)[:40]!r}")
    if len(name) > MAX_NAME:
        raise Unusable(f"the name of its class has {len(name)} characters")
    return name.strip()


def numbers(values: object, count: int, what: str) -> list[float]:
    """Returns: `values`, a list of `count` finite numbers; `what` they are is said where they are not"""
    if not isinstance(values, (list, tuple)) or len(values) != count or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e9 for v in values):
        raise Unusable(f"{what} is not {count} numbers")
    return [float(v) for v in values]


def box_object(name: str, corners: Sequence[float], size: tuple[int, int], is_difficult: bool = False) -> Object:
    """
    Args:
        corners: x1, y1, x2, y2 in pixels, in any order of the two corners
        size: height and width of the image, which the box is clipped to
    """
    bbox = _clipped(corners, size)
    return Object(name, bbox, float(bbox[2] * bbox[3]), is_difficult=is_difficult)


def polygon_object(name: str, polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Object:
    """
    Args:
        polygons: the parts of one object, each x, y, x, y, ... in pixels
        size: height and width of the image
    """
    parts = parse_segmentation([list(polygon) for polygon in polygons], *size)
    if parts is None:
        raise Unusable("its polygon has no points")
    corners = np.concatenate(parts).reshape(-1, 2)
    bbox = _clipped([*corners.min(axis=0), *corners.max(axis=0)], size)
    is_inside = (corners >= 0).all() and (corners <= size[::-1]).all()
    is_plain = len(parts) == 1 and is_inside    # others may overlap, or be cut off by the image
    area = _polygon_area(parts[0]) if is_plain else float(mask_utils.area(to_rle(parts, *size)))
    return Object(name, bbox, area, parts)


def mask_object(name: str, rle: dict) -> Object:
    """Args: rle: COCO's compressed one, of the whole image"""
    bbox = mask_utils.toBbox(rle)
    if not bbox[2:].all():
        raise Unusable("its mask is empty")
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return Object(name, bbox, float(mask_utils.area(rle)), {"size": list(rle["size"]), "counts": text})


class Part(NamedTuple):
    """
    What was drawn of an object, which may be all of it.

    Attributes:
        kind: "box", "polygon", "mask" or "keypoints"
        shape: x1, y1, x2, y2 of a box; x, y, x, y, ... of a polygon; COCO's compressed RLE of a mask; `Keypoints`
    """

    kind: str
    shape: Sequence[float] | dict


def join_parts(name: str, parts: Sequence[Part], size: tuple[int, int]) -> Object:
    """
    Returns:
        the union of what was drawn of an object; with a polygon or a mask beside it, a box is filled. Keypoints alone
        have the box around them
    """
    drawn = [part for part in parts if part.kind != "keypoints"]
    if len(drawn) == len(parts):
        return _join_drawn(name, drawn, size)
    points = within({point: place for part in parts if part.kind == "keypoints"
                     for point, place in part.shape.items()}, size)
    found = _join_drawn(name, drawn, size) if drawn else box_object(name, around(points), size)
    return found._replace(keypoints=points)


def _join_drawn(name, parts, size):
    if len(parts) == 1 and parts[0].kind == "box":
        return box_object(name, parts[0].shape, size)
    masks = [part.shape for part in parts if part.kind == "mask"]
    polygons = [_corners(*part.shape) if part.kind == "box" else part.shape for part in parts if part.kind != "mask"]
    outlines = polygon_object(name, polygons, size) if polygons else None
    if not masks:
        return outlines
    if outlines:
        masks.append(to_rle(outlines.segmentation, *size))
    return mask_object(name, mask_utils.merge(masks))


class Groups:
    """Collects the parts of the objects of an image; those of one class and one group are one object."""

    def __init__(self):
        self._objects, self._points = {}, {}

    def add(self, name: str, part: Part, where: str, group: object = None):
        """Args: where: it is in which file, for messages; group: None for an object of its own"""
        key = len(self._objects) if group is None else (name, str(group)[:80])
        self._objects.setdefault(key, (name, where, []))[2].append(part)

    def add_point(self, name: str, x: float, y: float, where: str, group: object):
        """Args: name, x, y: of a visible keypoint of the object of a group, whatever its class"""
        self._points.setdefault(str(group)[:80], []).append((where, Part("keypoints", {name: (x, y, 2)})))

    def _join_points(self, left_out):
        for group, points in self._points.items():
            owners = [parts for key, (_, _, parts) in self._objects.items()
                      if isinstance(key, tuple) and key[1] == group]
            for where, part in points:
                if len(owners) == 1:
                    owners[0].append(part)
                else:
                    left_out.add("shape that is a point", where, f"{len(owners)} objects have its group, not one")

    def join(self, size: tuple[int, int], left_out) -> list[Object]:
        self._join_points(left_out)
        objects = []
        for name, where, parts in self._objects.values():
            with left_out.unusable("shape", where):
                objects.append(join_parts(name, parts, size))
        return objects


def circle(x: float, y: float, radius_x: float, radius_y: float) -> list[float]:
    """Returns: an ellipse as a polygon in it, whose area is 0.2 % less: x, y, x, y, ..."""
    return (np.array([x, y]) + _CIRCLE * [radius_x, radius_y]).ravel().tolist()


def rotated(polygon: Sequence[float], centre: Sequence[float], degrees: float) -> list[float]:
    """Returns: a polygon, x, y, x, y, ..., turned around a point, clockwise as y points down"""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = (np.reshape(polygon, (-1, 2)) - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return turned.ravel().tolist()


def rotated_box(x1: float, y1: float, x2: float, y2: float, degrees: float) -> list[float]:
    """Returns: x1, y1, x2, y2 around a box that is turned around its centre"""
    corners = rotated(_corners(x1, y1, x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2), degrees)
    return [min(corners[0::2]), min(corners[1::2]), max(corners[0::2]), max(corners[1::2])]


def place_mask(mask: np.ndarray, x: int, y: int, size: tuple[int, int]) -> dict:
    """
    Args:
        mask: (h, w), 0 or not
        x, y: of its left top pixel in the image
        size: height and width of the image; what is beyond is cut off

    Returns:
        COCO's compressed RLE of the image
    """
    whole = np.zeros(size, dtype=np.uint8, order="F")
    top, left = max(y, 0), max(x, 0)
    part = mask[top - y:max(size[0] - y, 0), left - x:max(size[1] - x, 0)] != 0
    whole[top:top + part.shape[0], left:left + part.shape[1]] = part
    return mask_utils.encode(whole)


def _clipped(corners, size):
    height, width = size
    x1, x2 = sorted(corners[0::2])
    y1, y2 = sorted(corners[1::2])
    box = np.clip([x1, y1, x2, y2], 0, [width, height, width, height])
    # two numbers can be different as they are and equal as float32; false for NaN
    if not (np.float32(box[:2]) < np.float32(box[2:])).all():
        raise Unusable("it has no area within the image" if x1 < x2 and y1 < y2 else "it has no area")
    return np.concatenate([box[:2], box[2:] - box[:2]])


def _corners(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def _polygon_area(polygon):
    """Gauss's formula: float64 (2k,) to square pixels"""
    x, y = polygon[0::2], polygon[1::2]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
