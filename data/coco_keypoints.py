"""
The keypoints of categories and annotations in COCO's format.

Each category lists keypoints of its own. In memory those of all classes are one list, joined by their names, so that
what classes share, such as a left eye, is one keypoint; an object has zeros for what its class lacks.
"""
from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from data import coco_rules as rules
from data.records import Skeleton

# of a person in COCO
COCO_KEYPOINT_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle")
COCO_KEYPOINT_EDGES = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6))
MAX_KEYPOINTS = 1000    # of a category; an object takes as many places in memory


# categories ---------------------------------------------------------------------------------------------------------
def parse_skeleton(categories: list[dict]) -> Skeleton | None:
    """
    Args:
        categories: of a json file, each with an id

    Returns:
        the keypoints of all categories joined, in the order in which the categories, sorted by their ids, list them;
        None without any
    """
    categories = sorted(categories, key=lambda category: category["id"])
    lists = [_names(category.get("keypoints")) for category in categories]
    numbers = {}    # of each name in the joined list
    of_class = tuple(tuple(numbers.setdefault(name, len(numbers)) for name in names) for names in lists)
    if not numbers:
        return None
    edges = {}
    for own, category in zip(of_class, categories):
        for edge in _edges(category.get("skeleton"), own):
            edges.setdefault(frozenset(edge), edge)
    everything = tuple(range(len(numbers)))
    return Skeleton(tuple(name for name, _ in numbers), tuple(edges.values()),
                    () if set(of_class) == {everything} else of_class)


def _names(names):
    """Returns: list of (name, how many of this name are before it); empty where that is no list of names"""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MAX_KEYPOINTS:
        return []
    return [(name, names[:i].count(name)) for i, name in enumerate(names)]


def _edges(pairs, own):
    """Returns: list of pairs of joined numbers, of a category's pairs that count its own keypoints from 1 on"""
    pairs = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2] if isinstance(pairs, list) else []
    return [(own[a - 1], own[b - 1]) for a, b in pairs
            if rules.is_id(a) and rules.is_id(b) and 1 <= min(a, b) and max(a, b) <= len(own)]


# annotations --------------------------------------------------------------------------------------------------------
class Layout(NamedTuple):
    """
    Where the keypoints of an annotation belong.

    Attributes:
        count: K of all classes together, 0 where objects have none
        numbers: int (K_c,), the joined numbers of each category's keypoints, by the category's id
    """

    count: int
    numbers: dict

    @classmethod
    def of(cls, skeleton: Skeleton | None, category_ids: tuple[int, ...]) -> Layout:
        count = len(skeleton.names) if skeleton else 0
        numbers = {category_id: np.array(skeleton.of_label(label) if skeleton else (), dtype=np.intp)
                   for label, category_id in enumerate(category_ids, start=1)}
        return cls(count, numbers)

    def parse(self, values: object, category_id: int, height: int, width: int) -> np.ndarray | None:
        """
        Returns:
            float64 (K, 3), zeros for an object without keypoints and for what its category lacks; None where `count`
            is 0

        Raises:
            Unusable
        """
        if not self.count:
            return None
        keypoints, own = np.zeros((self.count, 3)), self.numbers[category_id]
        if len(own):
            keypoints[own] = rules.parse_keypoints(values, len(own), height, width)
        return keypoints

    def column(self, block: list[dict]) -> np.ndarray | None:
        """
        Returns:
            float64 (n, K, 3) as the file has them, of annotations with known categories; None where `count` is 0

        Raises:
            TypeError, ValueError: something has another type or length than usual
        """
        if not self.count:
            return None
        keypoints = np.zeros((len(block), self.count, 3))
        categories = np.array([annotation["category_id"] for annotation in block])
        for category_id in np.unique(categories).tolist():
            own = self.numbers.get(category_id, ())
            if len(own):
                members = np.flatnonzero(categories == category_id)
                rows = [list_or_none(block[i].get("keypoints")) or [0] * (3 * len(own)) for i in members.tolist()]
                keypoints[members[:, None], own] = _regular(rows, len(own))
        return keypoints


def _regular(rows, count):
    """Returns: float64 (n, count, 3) of lists of numbers; raises ValueError"""
    if set(map(len, rows)) != {3 * count} or not set(map(type, itertools.chain.from_iterable(rows))) <= {int, float}:
        raise ValueError
    return np.array(rows, dtype=np.float64).reshape(-1, count, 3)


def list_or_none(value):
    """Returns: a list, which is empty for None; raises TypeError for others"""
    if value is not None and type(value) is not list:
        raise TypeError
    return value or []
