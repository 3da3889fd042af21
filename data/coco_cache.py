"""
What was read of a large annotation file, in a file beside it: read at once where reading json takes long.

A cache may be damaged, old, or of a stranger who wrote it, so it is held against all rules that the annotations were.
One that does not pass, or cannot be written, is silently done without.
"""
from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

from common import UserError, whole_file

import numpy as np

from data import coco_rules as rules
from data.flat_records import FlatRecords, Images, Objects, pack_names
from data.flat_segmentations import COUNTS, HUNDREDTHS, ITEM_SIZES, TEXT, TYPES, Parts
from data.folders import Folder
from data.records import Dataset, Skeleton, Skipped, Unusable, are_problems_collected
from data.segmentation import MAX_REACH, parse_segmentation

VERSION = 2
MIN_BYTES = 2**22    # of an annotation file; a smaller one is read in no time
_GROUPS = {"images": Images, "objects": Objects, "parts": Parts}


class Origin(NamedTuple):
    """
    Where the records of a data set come from, as far as their file does not say it.

    Attributes:
        stamp: of the annotation file before it was read; see `stamp_of`
        folder: which one of the folders that may hold the images does
        names: of the images in that folder
        missing: names that the folder did not have
        skipped: what was left out
    """

    stamp: list
    folder: int
    names: Sequence[str]
    missing: Sequence[str]
    skipped: Sequence[Skipped]


def stamp_of(annotation_file: str) -> list:
    """Returns: what is another when the file is: version of the cache, size, time of the last change"""
    status = os.stat(annotation_file)
    return [VERSION, status.st_size, status.st_mtime_ns]


def cache_path(annotation_file: str) -> str:
    return f"{annotation_file}.cache"


def save(dataset: Dataset, origin: Origin):
    """Keep a data set for the next time, if its annotation file is large and its folder can be written to."""
    if origin.stamp[1] < MIN_BYTES or are_problems_collected():
        return
    meta = {"stamp": origin.stamp, "folder": origin.folder, "missing": list(origin.missing),
            "skipped": [[s.kind, s.total, s.count, s.lines] for s in origin.skipped],
            "class_names": dataset.class_names, "category_ids": dataset.category_ids, "skeleton": dataset.skeleton,
            "has_ground_truth": dataset.has_ground_truth}
    records = dataset.records
    names, name_offsets = pack_names(origin.names)
    groups = {"images": records.images._replace(names=names, name_offsets=name_offsets),
              "objects": records.objects, "parts": records.parts}
    arrays = {f"{group}.{field}": array for group, fields in groups.items()
              for field, array in fields._asdict().items() if array is not None}
    try:
        with whole_file(cache_path(dataset.annotation_file), "wb") as f:
            np.savez(f, meta=np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8), **arrays)
    except (OSError, UserError):
        pass


def load(annotation_file: str, image_dirs: Sequence[str]) -> Dataset | None:
    """
    Returns:
        what was read of the file the last time, if it would be read the same now: the file has not changed, and the
        folder has the same images. Says again what was skipped. None without a cache of which this is true

    Args:
        image_dirs: folders that may hold the images
    """
    if are_problems_collected():
        return None
    try:
        meta, groups = _read(cache_path(annotation_file), stamp_of(annotation_file))
        dataset = _make_dataset(annotation_file, image_dirs, meta, groups)
        skipped = [Skipped.repeated(annotation_file, *fields) for fields in meta["skipped"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError, EOFError,
            NotImplementedError, RuntimeError, zipfile.BadZipFile, Unusable):
        return None
    for one in skipped:
        one.say_again()
    return dataset


def _read(path, stamp):
    """Returns: meta (dict), groups (dict of Images, Objects and Parts); raises much of what there is"""
    with np.load(path, allow_pickle=False) as file:
        if any(info.compress_type != zipfile.ZIP_STORED for info in file.zip.infolist()):
            raise ValueError    # it could be far larger than it looks
        meta = json.loads(file["meta"].tobytes())
        if meta["stamp"] != stamp:
            raise ValueError
        return meta, {group: fields(**{field: file.get(f"{group}.{field}")
                                       for field in fields._fields}) for group, fields in _GROUPS.items()}


def _make_dataset(annotation_file, image_dirs, meta, groups):
    class_names, category_ids = tuple(map(str, meta["class_names"])), tuple(map(int, meta["category_ids"]))
    skeleton = meta["skeleton"] and _make_skeleton(*meta["skeleton"], len(class_names))
    _require(len(class_names) == len(category_ids) > 0, sorted(set(category_ids)) == list(category_ids))
    images, objects, parts = groups.values()
    _check_forms(images, objects, parts, len(skeleton.names) if skeleton else 0)
    _check_values(images, objects, len(class_names))
    _check_keypoints(objects, skeleton)
    _check_parts(images, objects, parts)
    folder = Folder(image_dirs[meta["folder"]])
    bounds = images.name_offsets.tolist()
    text = images.names.tobytes()
    names = [text[begin:end].decode("utf-8", "surrogatepass") for begin, end in zip(bounds, bounds[1:])]
    paths, offsets = pack_names(map(folder.resolve, names))
    _require(not any(map(folder.has, meta["missing"])))
    records = FlatRecords(images._replace(names=paths, name_offsets=offsets), objects, parts)
    return Dataset(annotation_file, class_names, category_ids, annotation_file, records, skeleton=skeleton,
                   has_ground_truth=bool(meta["has_ground_truth"]))


def _make_skeleton(names, edges, of_class, num_classes):
    skeleton = Skeleton(tuple(map(str, names)), tuple((int(a), int(b)) for a, b in edges),
                        tuple(tuple(map(int, numbers)) for numbers in of_class))
    known = set(range(len(skeleton.names)))
    _require(known, len(of_class) in (0, num_classes), *(known.issuperset(edge) for edge in skeleton.edges),
             *(known.issuperset(own) and len(set(own)) == len(own) for own in skeleton.of_class))
    return skeleton


# rules --------------------------------------------------------------------------------------------------------------
def _require(*conditions):
    if not all(conditions):
        raise ValueError


def _check_forms(images, objects, parts, num_keypoints):
    """Raises: ValueError: an array has another type or shape than it must have, or an offset leads out of one"""
    count, num_objects, num_parts = len(images.ids), len(objects.labels), len(parts.kinds)
    _require_all(images, names=(np.uint8, None), name_offsets=(np.int64, count + 1), ids=(np.int64, count),
                 sizes=(np.int32, count, 2), object_offsets=(np.int64, count + 1))
    _require_all(objects, bboxes=(np.float64, num_objects, 4), areas=(np.float64, num_objects),
                 labels=(np.int32, num_objects), is_crowd=(np.bool_, num_objects), is_difficult=(np.bool_, num_objects),
                 first_parts=(np.int64, num_objects), num_parts=(np.int32, num_objects))
    _require_all(parts, content=(np.uint8, None), offsets=(np.int64, num_parts + 1), kinds=(np.uint8, num_parts))
    if num_keypoints:
        _require_all(objects, keypoints=(np.float64, num_objects, num_keypoints, 3))
    _require(num_keypoints or objects.keypoints is None)
    for offsets, length in ((images.name_offsets, len(images.names)), (images.object_offsets, num_objects),
                            (parts.offsets, len(parts.content))):
        _require(offsets[0] == 0, offsets[-1] == length, (np.diff(offsets) >= 0).all())


def _require_all(arrays, **forms):
    for name, (dtype, *shape) in forms.items():
        array = getattr(arrays, name)
        _require(array.dtype == dtype, array.ndim == len(shape),
                 all(a == b or b is None for a, b in zip(array.shape, shape)))


def _check_values(images, objects, num_classes):
    _require((images.sizes >= 1).all(), len(np.unique(images.ids)) == len(images.ids),
             ((objects.labels >= 1) & (objects.labels <= num_classes)).all(),
             (np.abs(objects.areas) < rules.MAX_NUMBER).all())
    sizes = np.repeat(images.sizes, np.diff(images.object_offsets), axis=0)
    _require(rules.are_good_boxes(objects.bboxes, sizes).all(),
             rules.are_good_keypoints(objects.keypoints, sizes + 1).all())


def _check_keypoints(objects, skeleton):
    """Raises: ValueError: an object has keypoints that its class lacks"""
    if skeleton and skeleton.of_class:
        lacks = np.ones((len(skeleton.of_class), len(skeleton.names)), dtype=bool)
        for row, own in zip(lacks, skeleton.of_class):
            row[list(own)] = False
        _require(not objects.keypoints[lacks[objects.labels - 1]].any())


def _check_parts(images, objects, parts):
    """Raises: ValueError or Unusable: a polygon or an RLE is not what it must be"""
    firsts, counts = objects.first_parts, objects.num_parts.astype(np.int64)
    _require((counts >= 0).all(), (firsts >= 0).all(), (firsts + counts <= len(parts.kinds)).all(),
             (parts.kinds <= TEXT).all())
    owners = np.repeat(np.arange(len(counts)), counts)
    used = np.repeat(firsts - (np.cumsum(counts) - counts), counts) + np.arange(len(owners))
    _require(len(np.unique(used)) == len(used))
    lengths, rest = np.divmod(np.diff(parts.offsets), ITEM_SIZES[parts.kinds])
    is_polygon = parts.kinds < COUNTS
    _require((rest == 0).all(), (is_polygon[used] | (counts[owners] == 1)).all())
    sizes = np.repeat(images.sizes, np.diff(images.object_offsets), axis=0)
    edges = np.full(len(parts.kinds), np.inf)
    edges[used] = sizes[owners].max(axis=1)
    # a small number of hundredths reaches nowhere in most images
    in_reach = ~is_polygon | (parts.kinds == HUNDREDTHS) & (edges * MAX_REACH > 2**16 / 100)
    _require(((lengths >= 6) & (lengths % 2 == 0) | ~is_polygon).all(),
             (_reaches(parts, lengths, in_reach) < MAX_REACH * edges).all())
    for part, owner in zip(used[~is_polygon[used]].tolist(), owners[~is_polygon[used]].tolist()):
        size = sizes[owner].tolist()
        parse_segmentation(parts.segmentation(part, 1, size), *size)


def _reaches(parts, lengths, is_known):
    """Returns: float (P,), the largest coordinate of each polygon, 0 where it is known to be small enough"""
    reaches = np.zeros(len(lengths))
    changes = np.flatnonzero(np.diff(parts.kinds)) + 1
    for begin, end in zip([0, *changes], [*changes, len(lengths)]):
        if not is_known[begin:end].all():
            kind = parts.kinds[begin]
            values = parts.content[parts.offsets[begin]:parts.offsets[end]].view(TYPES[kind])
            starts = np.cumsum(lengths[begin:end]) - lengths[begin:end]
            # NaN stays what it is, and is refused
            largest = np.maximum.reduceat(np.abs(values.astype(np.float64)), starts)
            reaches[begin:end] = largest if TYPES[kind] == np.float64 else largest / 100
    return reaches
