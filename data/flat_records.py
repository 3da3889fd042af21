"""
The records of a data set in a few flat arrays, whatever their number.

A million Python objects take gigabytes. Processes that are forked share them at first, but each that looks at an object
counts it, and so gets a copy of the memory around it. Of an array there is one count.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from common import UserError

import numpy as np

from data.flat_segmentations import Parts, PartsBuilder
from data.records import Dataset, Record, Skipped, Unusable

BLOCK = 1024    # records that are taken in at a time


class Images(NamedTuple):
    """
    N images.

    Attributes:
        names: uint8, UTF-8 of all paths, one behind the other
        name_offsets: int64 (N + 1,), where each begins and the last one ends in `names`
        ids: int64 (N,)
        sizes: int32 (N, 2), height and width
        object_offsets: int64 (N + 1,), likewise in `Objects`
    """

    names: np.ndarray
    name_offsets: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    object_offsets: np.ndarray


class Objects(NamedTuple):
    """
    M objects, image by image. The first five and keypoints are those of `Record`.

    Attributes:
        first_parts: int64 (M,), the first part of each segmentation in `Parts`
        num_parts: int32 (M,), how many parts it has, 0 for an object without a segmentation
        keypoints: float64 (M, K, 3), or None
    """

    bboxes: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    is_difficult: np.ndarray
    first_parts: np.ndarray
    num_parts: np.ndarray
    keypoints: np.ndarray | None = None

    @property
    def has_keypoints(self) -> np.ndarray:
        """bool (M,), whether a keypoint of an object is labelled"""
        if self.keypoints is None:
            return np.zeros(len(self.labels), dtype=bool)
        return (self.keypoints[..., 2] > 0).any(axis=1)

    def take(self, index: np.ndarray) -> Objects:
        """Returns: those that an index or a bool array says"""
        return Objects(*(None if array is None else array[index] for array in self))


class FlatRecords(Sequence):
    """
    A sequence of `Record`s, each of which is made when it is asked for. Its arrays cannot be written to.

    Attributes:
        image_ids: int64 (N,)
        sizes: int32 (N, 2), height and width in pixels
        object_counts: int64 (N,)
    """

    def __init__(self, images: Images, objects: Objects, parts: Parts):
        self.images, self.objects, self.parts = images, objects, parts
        for array in (*images, *objects, *parts):
            if array is not None:
                array.setflags(write=False)

    @property
    def image_ids(self) -> np.ndarray:
        return self.images.ids

    @property
    def sizes(self) -> np.ndarray:
        return self.images.sizes

    @property
    def object_counts(self) -> np.ndarray:
        return np.diff(self.images.object_offsets)

    def __len__(self):
        return len(self.images.ids)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        begin, end = self.images.object_offsets[number:number + 2].tolist()
        objects, size = self.objects, self.images.sizes[number].tolist()
        segmentations = [self.parts.segmentation(first, count, size) for first, count in zip(
            objects.first_parts[begin:end].tolist(), objects.num_parts[begin:end].tolist())]
        return Record(self.file_name(number), int(self.images.ids[number]), *size, objects.bboxes[begin:end],
                      objects.areas[begin:end], objects.labels[begin:end], objects.is_crowd[begin:end], segmentations,
                      None if objects.keypoints is None else objects.keypoints[begin:end],
                      objects.is_difficult[begin:end])

    def file_name(self, number: int) -> str:
        """Returns: absolute path of the image of a record, without making the record"""
        begin, end = self.images.name_offsets[number:number + 2]
        return self.images.names[begin:end].tobytes().decode("utf-8", "surrogatepass")

    def select_objects(self, keep: np.ndarray) -> FlatRecords:
        """Returns: all images with the objects alone that `keep`, bool (M,), says"""
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        images = self.images._replace(object_offsets=kept_before[self.images.object_offsets])
        return FlatRecords(images, self.objects.take(keep), self.parts)

    def select_images(self, keep: np.ndarray) -> FlatRecords:
        """Returns: the images alone, with their objects, that `keep`, bool (N,), says"""
        numbers = np.flatnonzero(keep)
        names = pack_names(map(self.file_name, numbers.tolist()))
        images = Images(*names, self.images.ids[numbers], self.images.sizes[numbers],
                        offsets_of(self.object_counts[numbers]))
        return FlatRecords(images, self.objects.take(np.repeat(keep, self.object_counts)), self.parts)

    @classmethod
    def of(cls, records: Iterable[Record]) -> FlatRecords:
        """
        Returns: the same records; `records` itself where they are flat already

        Raises:
            UserError: the fields of a record do not fit together
        """
        if isinstance(records, FlatRecords):
            return records
        builder, images, blocks = PartsBuilder(), [], []
        stream = iter(records)
        while block := list(itertools.islice(stream, BLOCK)):
            for record in block:
                _check(record)
            images += [(r.file_name, r.image_id, r.size, len(r.labels)) for r in block]
            blocks.append(_objects_of(block, builder))
        names, ids, sizes, counts = zip(*images) if images else ((), (), (), ())
        images = Images(*pack_names(names), np.array(ids, dtype=np.int64),
                        np.array(sizes, dtype=np.int32).reshape(-1, 2), offsets_of(counts))
        return cls(images, _join_objects(blocks or [_objects_of([], builder)]), builder.finish())

    @classmethod
    def join(cls, several: Sequence[FlatRecords]) -> FlatRecords:
        """Returns: the records of all, in their order; without keypoints in some, these objects have none labelled"""
        if len(several) == 1:
            return several[0]
        first_parts = np.cumsum([0, *(len(records.parts.kinds) for records in several)])
        objects = [records.objects._replace(first_parts=records.objects.first_parts + first)
                   for records, first in zip(several, first_parts)]
        images = [records.images for records in several]
        lengths = np.concatenate([np.diff(part.name_offsets) for part in images])
        joined = Images(np.concatenate([part.names for part in images]), offsets_of(lengths),
                        np.concatenate([part.ids for part in images]), np.concatenate([part.sizes for part in images]),
                        offsets_of(np.concatenate([records.object_counts for records in several])))
        return cls(joined, _join_objects(objects), Parts.join([records.parts for records in several]))


def offsets_of(lengths) -> np.ndarray:
    """Returns: int64 (n + 1,), where each of n pieces of these lengths begins, and where the last one ends"""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.asarray(lengths, dtype=np.int64))])


def pack_names(names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns: `names` and `name_offsets` of `Images`"""
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets_of(list(map(len, encoded)))


def _check(record):
    count = len(record.labels)
    fields = {"bboxes": (count, 4), "areas": (count,), "labels": (count,), "is_crowd": (count,),
              "is_difficult": (count,)}
    for name, shape in fields.items():
        if np.shape(getattr(record, name)) != shape:
            raise UserError(f"record of {record.file_name}: {name} has shape {np.shape(getattr(record, name))}, not "
                            f"{shape}; mend the program that makes the records")
    if len(record.segmentations) != count:
        raise UserError(f"record of {record.file_name}: {len(record.segmentations)} segmentations of {count} objects; "
                        "mend the program that makes the records")
    for segmentation in record.segmentations:
        if isinstance(segmentation, dict) and tuple(segmentation["size"]) != record.size:
            raise UserError(f"record of {record.file_name}: an RLE of size {segmentation['size']} in an image of "
                            f"{list(record.size)}; mend the program that makes the records")


def _objects_of(records, builder):
    """Returns: Objects of a block of records, whose segmentations go to the builder"""
    def column(name, dtype, *shape):
        arrays = [np.asarray(getattr(record, name), dtype=dtype) for record in records]
        return np.concatenate([np.zeros((0, *shape), dtype=dtype), *arrays])

    keypoints = None
    if any(record.keypoints is not None for record in records):
        keypoints = _join_keypoints([record.keypoints for record in records], [len(r.labels) for r in records])
    return Objects(column("bboxes", np.float64, 4), column("areas", np.float64), column("labels", np.int32),
                   column("is_crowd", bool), column("is_difficult", bool),
                   *builder.add(itertools.chain.from_iterable(record.segmentations for record in records)), keypoints)


def _join_objects(blocks):
    columns = list(zip(*blocks))
    keypoints = _join_keypoints(columns.pop(), [len(block.labels) for block in blocks])
    return Objects(*map(np.concatenate, columns), keypoints)


def _join_keypoints(several, counts):
    """Returns: float64 (sum of counts, K, 3) of arrays (count, K, 3) or None each, with zeros for None; or None"""
    shapes = {keypoints.shape[1:] for keypoints in several if keypoints is not None}
    if not shapes:
        return None
    if len(shapes) > 1:
        raise UserError(f"records with {' and '.join(str(shape[0]) for shape in sorted(shapes))} keypoints cannot be "
                        "joined; use data sets with the same skeleton together")
    (shape,) = shapes
    return np.concatenate([np.zeros((count, *shape)) if keypoints is None else keypoints
                           for keypoints, count in zip(several, counts)]).astype(np.float64, copy=False)


# what is trained on -------------------------------------------------------------------------------------------------
def records_with_masks(dataset: Dataset) -> FlatRecords:
    """
    The data set's records without the objects that have no segmentation, which training masks cannot use. Crowd regions
    stay.

    Raises:
        UserError: more than a tenth of the objects have none
    """
    records = FlatRecords.of(dataset.records)
    skipped = Skipped("object", dataset.annotation_file, len(records.objects.labels),
                      "add the segmentations, or set MODE_MASK=False")
    usable = (records.objects.num_parts > 0) | records.objects.is_crowd
    missing = np.flatnonzero(~usable)
    images = np.searchsorted(records.images.object_offsets, missing, side="right") - 1
    places = missing - records.images.object_offsets[images]
    for place, image, bbox in zip(places, images, records.objects.bboxes[missing]):
        skipped.add(f"{place + 1} of image {records.image_ids[image]}",
                    Unusable("it has no segmentation, which MODE_MASK=True needs", "no-mask"),
                    int(records.image_ids[image]), bbox.tolist())
    skipped.finish()
    return records if usable.all() else records.select_objects(usable)


def without_difficult(records: FlatRecords) -> FlatRecords:
    """Returns: the records without the objects that are marked difficult"""
    is_difficult = records.objects.is_difficult
    return records.select_objects(~is_difficult) if is_difficult.any() else records


def records_with_objects(records: FlatRecords) -> FlatRecords:
    """Returns: the records with at least one object that is no crowd"""
    return _records_with(records, ~records.objects.is_crowd)


def records_with_keypoints(records: FlatRecords) -> FlatRecords:
    """Returns: the records with at least one object that is no crowd and has a labelled keypoint"""
    return _records_with(records, ~records.objects.is_crowd & records.objects.has_keypoints)


def _records_with(records, is_wanted):
    """Returns: the records with at least one object that `is_wanted`, bool (M,), says"""
    num_before = np.concatenate([[0], np.cumsum(is_wanted)])
    has_one = np.diff(num_before[records.images.object_offsets]) > 0
    return records if has_one.all() else records.select_images(has_one)
