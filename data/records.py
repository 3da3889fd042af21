"""Data sets in memory, for training and for the metrics; and what a reader of annotations leaves out."""
from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common import UserError

import numpy as np
from tensorpack.utils import logger

MAX_BAD_SHARE = 0.1      # of a file's images or annotations; beyond it the file is taken to be wrong as a whole
MAX_BAD_LINES = 20       # printed for one file
MAX_REASON = 400         # characters of why, which may quote what a file has


@dataclass
class Record:
    """
    One image and its n annotated objects, in the order of the annotation file.

    Attributes:
        file_name: absolute path
        image_id: of 64 bits
        height, width: pixels, according to the annotations
        bboxes: float64 (n, 4) x, y, width, height, as annotated
        areas: float64 (n,) square pixels, as annotated, or else of the box
        labels: int32 (n,) in 1..N
        is_crowd: bool (n,), a region of many objects and not one
        segmentations: of n; each None, a list of polygons (float64 x, y, x, y, ...) or COCO's RLE as a dict with "size"
            and "counts", where counts is a list, or a string when compressed
        keypoints: float64 (n, K, 3) x, y in continuous coordinates, and 0 for not labelled, 1 for hidden or 2 for
            visible; None where the data set has no keypoints
        is_difficult: bool (n,), an object whose detection neither counts nor is a mistake; None: none is
    """

    file_name: str
    image_id: int
    height: int
    width: int
    bboxes: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    segmentations: list
    keypoints: np.ndarray | None = None
    is_difficult: np.ndarray | None = None

    def __post_init__(self):
        if self.is_difficult is None:
            self.is_difficult = np.zeros(len(self.labels), dtype=bool)

    @classmethod
    def of_boxes(cls, file_name: str, image_id: int, height: int, width: int, boxes: Sequence, labels: Sequence,
                 segmentations: list | None = None) -> Record:
        """
        What a program knows at least of an image: no crowds, and areas of the boxes.

        Args:
            boxes: (n, 4) x1, y1, x2, y2 in pixels
            labels: (n,) in 1..N
            segmentations: as those of a record; None for no masks
        """
        corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        sides = corners[:, 2:] - corners[:, :2]
        return cls(file_name, image_id, height, width, np.concatenate([corners[:, :2], sides], axis=1),
                   sides.prod(axis=1), np.array(labels, dtype=np.int32), np.zeros(len(corners), dtype=bool),
                   segmentations or [None] * len(corners))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width"""
        return self.height, self.width

    @property
    def boxes(self) -> np.ndarray:
        """float32 (n, 4) x1, y1, x2, y2, clipped to the image"""
        corners = np.concatenate([self.bboxes[:, :2], self.bboxes[:, :2] + self.bboxes[:, 2:]], axis=1)
        return np.clip(corners, 0, [self.width, self.height] * 2).astype(np.float32)

    def select(self, keep: np.ndarray) -> Record:
        """Returns: the image with those objects alone that `keep`, bool (n,), says"""
        return dataclasses.replace(
            self, bboxes=self.bboxes[keep], areas=self.areas[keep], labels=self.labels[keep],
            is_crowd=self.is_crowd[keep], segmentations=[s for s, kept in zip(self.segmentations, keep) if kept],
            keypoints=None if self.keypoints is None else self.keypoints[keep], is_difficult=self.is_difficult[keep])


class Skeleton(NamedTuple):
    """
    The K keypoints of a data set's objects, of all classes together.

    Attributes:
        names: of the keypoints, in the order of `Record.keypoints`
        edges: pairs of numbers in 0..K-1 of keypoints that a line joins
        of_class: for each of the classes 1..N, the numbers of its keypoints in its own order; (): each class has all
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    of_class: tuple[tuple[int, ...], ...] = ()

    def of_label(self, label: int) -> tuple[int, ...]:
        """Returns: the numbers of the keypoints that a class, 1..N, has, in its own order"""
        return self.of_class[label - 1] if self.of_class else tuple(range(len(self.names)))


@dataclass
class Dataset:
    """
    A data set in memory.

    Attributes:
        name: what its results are called
        class_names: of the classes 1..N, without the background
        category_ids: the id in the file of each class, ascending
        annotation_file: path of the file that it was read from
        records: one for each image
        metric: the name in `metrics` of what detections are judged by
        skeleton: of the keypoints, None where there are none
        has_ground_truth: False for a test set, whose results are written and not judged
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    annotation_file: str
    records: Sequence[Record]
    metric: str = "coco"
    skeleton: Skeleton | None = None
    has_ground_truth: bool = True

    def require_skeleton(self) -> Skeleton:
        """Returns: its skeleton; raises UserError where it has none"""
        if self.skeleton is None:
            raise UserError(f"{self.annotation_file}: no category has keypoints, which MODE_KEYPOINT=True needs; add "
                            "them, or set MODE_KEYPOINT=False")
        return self.skeleton


class Unusable(Exception):
    """
    Why one image, annotation or object cannot be used.

    Args:
        reason (str): for people
        kind (str): a short name of what is wrong, as in `data.check.kinds`
    """

    def __init__(self, reason, kind="unusable"):
        super().__init__(reason)
        self.kind = kind


def in_one_line(text: object) -> str:
    """Returns: its beginning, in characters that do nothing to a terminal"""
    text = str(text)
    printable = "".join(character if character.isprintable() else " " for character in text[:MAX_REASON])
    return printable + ("…" if len(text) > MAX_REASON else "")


class Problem(NamedTuple):
    """
    Something that is wrong with a data set.

    Attributes:
        kind: a short name of what is wrong, as in `data.check.kinds`
        path: of the file that has it
        item: what it is in the file, such as "annotation 17"; empty for the file as a whole
        text: what is wrong with it
        image_id: of the image that it is in, or None
        bbox: x, y, width, height as annotated, whatever the file has there; None for no box
    """

    kind: str
    path: str
    item: str
    text: str
    image_id: int | None = None
    bbox: Sequence[float] | None = None


_collected = None    # list of problems, in `collecting_problems`


@contextlib.contextmanager
def collecting_problems():
    """
    A context in which all that is skipped goes into a list of `Problem`s, which it gives, and is neither printed nor
    ever too much. A reader with a cache of what it read before reads the file itself, as problems are not in the cache.
    """
    global _collected    # noqa: PLW0603  (a reader is called by name, and knows nothing of who listens)
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


def are_problems_collected():
    """Returns: bool, whether `collecting_problems` listens"""
    return _collected is not None


class Skipped:
    """
    Counts what is skipped of one file, says so, and gives up when it is too much.

    Args:
        kind (str): what is counted, in the singular
        path (str): of the file
        total (int): how many the file has
        remedy (str): what to do when it is too much
    """

    def __init__(self, kind, path, total, remedy="mend the file"):
        self.kind, self.path, self.total, self.remedy = kind, path, total, remedy
        self.count = 0
        self.lines = []    # the first of what `add` was told

    @classmethod
    def repeated(cls, path, kind, total, count, lines):
        """
        Returns: Skipped, what was counted before, of which `lines` were said

        Raises:
            ValueError: it cannot be so
        """
        skipped = cls(str(kind), path, int(total))
        skipped.count, skipped.lines = int(count), list(map(in_one_line, lines))
        if not len(skipped.lines) <= skipped.count <= MAX_BAD_SHARE * skipped.total:
            raise ValueError
        return skipped

    def say_again(self):
        """Print what was printed when it was counted."""
        for line in self.lines:
            self._say(line)
        self.finish()

    def _say(self, line):
        logger.warn(f"{self.path}: skipped {self.kind} {line}")

    def add(self, item, reason, image_id=None, bbox=None):
        """
        Args:
            item: its id, or other words for which one it is
            reason (Unusable or str)
            image_id, bbox: see `Problem`, for who wants to look at it
        """
        item, text = in_one_line(item), in_one_line(reason)
        if are_problems_collected():
            _collected.append(Problem(getattr(reason, "kind", "unusable"), self.path, f"{self.kind} {item}", text,
                                      image_id, bbox))
            return
        self.count += 1
        if self.count <= MAX_BAD_LINES:
            self.lines.append(f"{item}: {text}")
            self._say(self.lines[-1])

    def finish(self):
        """Raises: UserError: more than a tenth of all were skipped"""
        if self.count > MAX_BAD_LINES:
            logger.warn(f"{self.path}: skipped {self.count} of {self.total} {self.kind}s in all")
        if self.count > MAX_BAD_SHARE * self.total:
            raise UserError(f"{self.path}: {self.count} of {self.total} {self.kind}s cannot be used, more than "
                            f"{MAX_BAD_SHARE:.0%}, the first is {self.kind} {self.lines[0]}; {self.remedy}")
