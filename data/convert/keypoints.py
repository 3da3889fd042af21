"""Keypoints of objects in other formats: named points, which become COCO's lists."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from data.coco_rules import KEYPOINT_SHIFT
from data.records import Unusable

DIGITS = 3    # of coordinates in pixels

# x, y in pixels and 1 for hidden or 2 for visible, by names; what is not labelled is not there
Keypoints = Mapping[str, tuple[float, float, int]]


def within(keypoints: Keypoints, size: tuple[int, int]) -> Keypoints:
    """Returns: those within an image of (height, width); raises Unusable where there are none"""
    found = {name: (x, y, v) for name, (x, y, v) in keypoints.items() if 0 <= x <= size[1] and 0 <= y <= size[0]}
    if not found:
        raise Unusable("it has no keypoint within the image")
    return found


def around(keypoints: Keypoints) -> list[float]:
    """Returns: x1, y1, x2, y2 of the smallest box that has all, at least one"""
    xs, ys, _ = zip(*keypoints.values())
    return [min(xs), min(ys), max(xs), max(ys)]


def names_of_classes(listed: Mapping[str, Sequence[str]], objects: Iterable) -> dict[str, tuple[str, ...]]:
    """
    Args:
        listed: the keypoints that the format lists for a class
        objects: all `Object`s

    Returns:
        dict of classes with keypoints to their names: those that are listed, in their order, and others that objects
        have by the alphabet
    """
    found = {name: set() for name in listed}
    for o in objects:
        if o.keypoints:
            found.setdefault(o.name, set()).update(o.keypoints)
    return {name: tuple(dict.fromkeys([*listed.get(name, ()), *sorted(some)])) for name, some in found.items()}


def annotated(keypoints: Keypoints | None, names: Sequence[str]) -> dict:
    """Returns: dict, "keypoints" and "num_keypoints" of an annotation of COCO; empty for a class without keypoints"""
    if not names:
        return {}
    flat = []
    for name in names:
        x, y, visibility = (keypoints or {}).get(name, (KEYPOINT_SHIFT, KEYPOINT_SHIFT, 0))
        flat += [round(x - KEYPOINT_SHIFT, DIGITS), round(y - KEYPOINT_SHIFT, DIGITS), visibility]
    return {"keypoints": flat, "num_keypoints": len(keypoints or {})}
