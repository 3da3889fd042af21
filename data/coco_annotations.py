"""
The annotations of a file in COCO's format: what an object must have, and how a million of them are looked at.

There is one set of rules. Blocks of annotations of the usual form are checked by NumPy, and what does not surely pass
there is checked alone, which says what is wrong with it.
"""
from __future__ import annotations

import itertools
from array import array
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from data import coco_rules as rules
from data.coco_keypoints import Layout, list_or_none
from data.flat_records import Objects, offsets_of
from data.flat_segmentations import Parts, PartsBuilder
from data.records import Skipped, Unusable
from data.segmentation import parse_segmentation

BLOCK = 8192    # annotations that are looked at together
_REQUIRED = itemgetter("image_id", "category_id", "bbox")


class Known(NamedTuple):
    """
    What annotations refer to.

    Attributes:
        image_ids: int64 (N,), all different
        sizes: int (N, 2), height and width
        bad_ids: of images that are left out, with their annotations
        category_ids: ascending
        keypoints: where those of the categories belong
    """

    image_ids: np.ndarray
    sizes: np.ndarray
    bad_ids: Collection[int]
    category_ids: Sequence[int]
    keypoints: Layout = Layout(0, {})


class _Rows(NamedTuple):
    """n objects: their places in the file, the numbers of their images, and columns of `Objects`."""

    positions: np.ndarray
    images: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    keypoints: np.ndarray | None
    first_parts: np.ndarray
    num_parts: np.ndarray


def read_annotations(annotations: list, known: Known, skipped: Skipped) -> tuple[np.ndarray, Objects, Parts]:
    """
    Args:
        annotations: of the json file; is emptied, as its lists take more memory than the arrays that they become

    Returns:
        object_offsets of `Images`; the objects image by image, in the order of the file; their parts
    """
    builder, reader, blocks = PartsBuilder(), _Reader(known, skipped), []
    for first in range(0, len(annotations), BLOCK):
        block = annotations[first:first + BLOCK]
        annotations[first:first + BLOCK] = [None] * len(block)
        blocks += reader.read(block, first, builder)
    rows = _join(blocks, known.keypoints.count)
    order = np.lexsort((rows.positions, rows.images))
    rows = _Rows(*(None if column is None else column[order] for column in rows))
    objects = Objects(rows.bboxes, rows.areas, rows.labels, rows.is_crowd, np.zeros(len(rows.labels), dtype=bool),
                      rows.first_parts, rows.num_parts, rows.keypoints)
    return offsets_of(np.bincount(rows.images, minlength=len(known.image_ids))), objects, builder.finish()


def _join(blocks, num_keypoints):
    """Returns: _Rows of all, as arrays; keypoints are None without any"""
    kinds = _Rows(positions=(np.int64,), images=(np.int64,), bboxes=(np.float64, 4), areas=(np.float64,),
                  labels=(np.int32,), is_crowd=(bool,), keypoints=(np.float64, num_keypoints, 3),
                  first_parts=(np.int64,), num_parts=(np.int32,))

    def column(name, dtype, *shape):
        arrays = [np.asarray(getattr(block, name), dtype=dtype).reshape(-1, *shape) for block in blocks]
        return np.concatenate([np.zeros((0, *shape), dtype=dtype), *arrays])

    return _Rows(**{name: None if name == "keypoints" and not num_keypoints else column(name, *kind)
                    for name, kind in kinds._asdict().items()})


class _Reader:
    def __init__(self, known, skipped):
        self.known, self.skipped = known, skipped
        self.numbers = {image_id: number for number, image_id in enumerate(known.image_ids.tolist())}
        self.labels = {category_id: label for label, category_id in enumerate(known.category_ids, start=1)}
        self.by_id = np.argsort(known.image_ids)
        self.sorted_ids = known.image_ids[self.by_id]

    def read(self, block, first, builder):
        """Returns: list of _Rows of the good annotations of a block, whose first one has the place `first`"""
        regular, columns = _find_regular(block, self.known.keypoints)
        rows, is_good = [], np.zeros(len(block), dtype=bool)
        if columns is not None and len(self.sorted_ids):
            good, read = self._read_regular(columns, first + regular, builder)
            is_good[regular[good]] = True
            rows.append(read)
        others = np.flatnonzero(~is_good)
        if len(others):
            rows.append(self._read_others([block[i] for i in others], (first + others).tolist(), builder))
        return rows

    def _read_regular(self, columns, positions, builder):
        """Returns: bool (n,), which annotations are surely good, and _Rows of these"""
        places = np.searchsorted(self.sorted_ids, columns.image_ids).clip(max=len(self.sorted_ids) - 1)
        images = self.by_id[places]
        categories = np.asarray(self.known.category_ids, dtype=np.int64)
        labels = np.searchsorted(categories, columns.category_ids).clip(max=len(categories) - 1)
        sizes = self.known.sizes[images]
        good = ((self.sorted_ids[places] == columns.image_ids) & (categories[labels] == columns.category_ids)
                & (np.abs(columns.areas) < rules.MAX_NUMBER) & rules.are_good_boxes(columns.bboxes, sizes)
                & rules.are_good_keypoints(columns.keypoints, sizes))
        polygons = _collect_polygons(columns.segmentations)
        good &= polygons.counts >= 0
        is_bad_part = ~rules.are_good_polygons(polygons.values, polygons.lengths,
                                         np.repeat(sizes, polygons.counts.clip(min=0), axis=0))
        good[np.repeat(np.arange(len(good)), polygons.counts.clip(min=0))[is_bad_part]] = False
        keypoints = None if columns.keypoints is None else rules.shift_keypoints(columns.keypoints[good])
        return good, _Rows(positions[good], images[good], columns.bboxes[good], columns.areas[good], labels[good] + 1,
                           columns.is_crowd[good], keypoints, *polygons.store(good, builder))

    def _read_others(self, annotations, positions, builder):
        """Returns: _Rows of the good ones; the others are skipped, each with its reason"""
        kept = []
        for annotation, position in zip(annotations, positions):
            try:
                parsed = self._parse(annotation)
                if parsed:
                    kept.append((position, *parsed))
            except Unusable as e:
                fields = annotation if isinstance(annotation, dict) else {}
                known_id = fields.get("id")
                self.skipped.add(f"number {position + 1}" if known_id is None else known_id, e,
                                 fields.get("image_id"), fields.get("bbox"))
        *columns, segmentations = zip(*kept) if kept else [()] * len(_Rows._fields[:-1])
        return _Rows(*columns, *builder.add(segmentations))

    def _parse(self, annotation):
        """Returns: number of the image, bbox, area, label, is_crowd, keypoints, segmentation; None: its image is bad"""
        if not isinstance(annotation, dict):
            raise Unusable("it is not an object", "annotation-form")
        image_id = annotation.get("image_id")
        if rules.is_id(image_id) and image_id in self.known.bad_ids:
            return None
        if not rules.is_id(image_id) or image_id not in self.numbers:
            raise Unusable(f"there is no image {image_id!r}", "annotation-image")
        number = self.numbers[image_id]
        return (number, *self._parse_object(annotation, *self.known.sizes[number].tolist()))

    def _parse_object(self, annotation, height, width):
        category_id = annotation.get("category_id")
        if not rules.is_id(category_id) or category_id not in self.labels:
            raise Unusable(f"there is no category {category_id!r}", "category-unknown")
        is_crowd = annotation.get("iscrowd", 0)
        if is_crowd not in (0, 1):
            raise Unusable(f"iscrowd is {is_crowd!r}, not 0 or 1", "annotation-crowd")
        bbox, area = annotation.get("bbox"), annotation.get("area")
        rules.check_box(bbox, height, width)
        if area is None:
            area = bbox[2] * bbox[3]
        elif not rules.is_number(area):
            raise Unusable(f"area is {str(area)[:80]}, not a number", "area")
        segmentation = parse_segmentation(annotation.get("segmentation"), height, width)
        keypoints = self.known.keypoints.parse(annotation.get("keypoints"), category_id, height, width)
        return bbox, area, self.labels[category_id], bool(is_crowd), keypoints, segmentation


# annotations of the usual form --------------------------------------------------------------------------------------
class _Columns(NamedTuple):
    """n annotations whose values have the usual types, which says nothing of what they are."""

    image_ids: np.ndarray
    category_ids: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    is_crowd: np.ndarray
    segmentations: list
    keypoints: np.ndarray | None


def _find_regular(block, layout):
    """Returns: int (n,), places in the block of annotations of the usual form, and _Columns of these, or None"""
    columns = _columns(block, layout)
    if columns is not None:
        return np.arange(len(block)), columns
    kept = [i for i, annotation in enumerate(block) if _columns([annotation], layout) is not None]
    return np.array(kept, dtype=np.int64), _columns([block[i] for i in kept], layout)


def _columns(block, layout):
    """Returns: _Columns, or None where something has another type than usual"""
    try:
        image_ids, category_ids, bboxes = zip(*map(_REQUIRED, block))
        areas, crowds, segmentations = ([annotation.get(*key) for annotation in block] for key in (
            ("area",), ("iscrowd", 0), ("segmentation",)))
        numbers = itertools.chain.from_iterable(bboxes)
        is_usual = (_types(image_ids) == _types(category_ids) == {int} and _types(bboxes) == {list}
                    and set(map(len, bboxes)) == {4} and _types(numbers) <= {int, float}
                    and _types(areas) <= {int, float, type(None)} and set(crowds) <= {0, 1})
        if not is_usual:
            return None
        bboxes = np.array(bboxes, dtype=np.float64)
        missing, known = [area is None for area in areas], [area or 0 for area in areas]
        areas = np.where(missing, bboxes[:, 2] * bboxes[:, 3], np.array(known, dtype=np.float64))
        return _Columns(np.array(image_ids, dtype=np.int64), np.array(category_ids, dtype=np.int64), bboxes, areas,
                        np.array(crowds, dtype=bool), segmentations, layout.column(block))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _types(values):
    return set(map(type, values))


class _Polygons(NamedTuple):
    """Polygons of a block: float64 coordinates, how many each polygon has, and of each object how many polygons"""

    values: np.ndarray
    lengths: np.ndarray
    counts: np.ndarray    # -1: neither polygons nor nothing

    def store(self, good, builder):
        """Returns: first_parts and num_parts of the good objects"""
        counts = self.counts.clip(min=0)
        kept = np.repeat(good, counts)
        values, lengths = self.values, self.lengths
        if not kept.all():
            values, lengths = values[np.repeat(kept, lengths)], lengths[kept]
        first, counts = builder.add_polygons(values, lengths), counts[good]
        return first + np.cumsum(counts) - counts, counts


def _collect_polygons(segmentations):
    """Returns: _Polygons of what json files have as segmentations"""
    values, lengths, counts = array("d"), array("q"), array("q")
    for segmentation in segmentations:
        num_values, num_polygons = len(values), len(lengths)
        try:
            for polygon in list_or_none(segmentation):
                values.fromlist(polygon)    # lists of numbers alone
                lengths.append(len(polygon))
            counts.append(len(lengths) - num_polygons)
        except (TypeError, OverflowError):
            del values[num_values:], lengths[num_polygons:]
            counts.append(-1)
    return _Polygons(np.frombuffer(values, dtype=np.float64), np.frombuffer(lengths, dtype=np.int64),
                     np.frombuffer(counts, dtype=np.int64))
