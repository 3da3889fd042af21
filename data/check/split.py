"""A data set to check, with what is computed of all of its objects at once."""
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as mask_utils

from data.flat_records import FlatRecords
from data.records import Dataset, Problem
from data.segmentation import to_rle

IMAGES_AT_ONCE = 4096


@dataclass
class Split:
    """
    A data set and its N objects, in the order of the images.

    Attributes:
        dataset: that they are of
        is_train: whether it is trained on, and not evaluated on
        records: of the data set
        images: int64 (N,), the number of the record that each object is in
        numbers: int64 (N,), of the object in its image, from 1 on
        extents: float64 (N, 4) x1, y1, x2, y2 around each mask; NaN without a mask
        is_mask_empty: bool (N,), there is a mask, and it has no area
    """

    dataset: Dataset
    is_train: bool
    records: FlatRecords
    images: np.ndarray
    numbers: np.ndarray
    extents: np.ndarray
    is_mask_empty: np.ndarray

    @property
    def objects(self):
        """`data.flat_records.Objects`"""
        return self.records.objects

    @property
    def corners(self):
        """float64 (N, 4) x1, y1, x2, y2 of the boxes, as annotated"""
        bboxes = self.objects.bboxes
        return np.concatenate([bboxes[:, :2], bboxes[:, :2] + bboxes[:, 2:]], axis=1)

    @property
    def limits(self):
        """int32 (N, 2), width and height of the image of each object"""
        return self.records.sizes[self.images, ::-1]

    @property
    def class_counts(self):
        """int64 (classes,), objects of each class that are no crowd"""
        labels = self.objects.labels[~self.objects.is_crowd]
        return np.bincount(labels - 1, minlength=len(self.dataset.class_names))

    def problem(self, kind, index, text):
        """Returns: Problem of object `index`"""
        image_id = int(self.records.image_ids[self.images[index]])
        return Problem(kind, self.dataset.annotation_file, f"object {self.numbers[index]} of image {image_id}", text,
                       image_id, self.objects.bboxes[index].tolist())

    def image_problem(self, kind, number, text):
        """Returns: Problem of the image of record `number`"""
        image_id = int(self.records.image_ids[number])
        return Problem(kind, self.records.file_name(number), f"image {image_id}", text, image_id)

    def set_problem(self, kind, text):
        """Returns: Problem of the data set as a whole"""
        return Problem(kind, self.dataset.annotation_file, "", text)


def make_split(dataset, is_train):
    """Returns: Split of a Dataset; no image is opened"""
    records = FlatRecords.of(dataset.records)
    images = np.repeat(np.arange(len(records)), records.object_counts)
    numbers = 1 + np.arange(len(images)) - records.images.object_offsets[images]
    # a part at a time, as the segmentations of a whole data set fill gigabytes as lists
    measured = [_measure_masks(records[first:first + IMAGES_AT_ONCE])
                for first in range(0, len(records), IMAGES_AT_ONCE)]
    extents, is_empty = zip(*measured or [_measure_masks([])])
    return Split(dataset, is_train, records, images, numbers, np.concatenate(extents), np.concatenate(is_empty))


def _measure_masks(records):
    """Returns: float64 (n, 4) and bool (n,), `extents` and `is_mask_empty` of the n objects of a list of Record"""
    segmentations = [segmentation for record in records for segmentation in record.segmentations]
    extents, is_empty = np.full((len(segmentations), 4), np.nan), np.zeros(len(segmentations), dtype=bool)
    rles = [i for i, segmentation in enumerate(segmentations) if isinstance(segmentation, dict)]
    polygons = [i for i, segmentation in enumerate(segmentations) if isinstance(segmentation, list)]
    if rles:
        boxes = mask_utils.toBbox([to_rle(segmentations[i], *segmentations[i]["size"]) for i in rles])
        extents[rles] = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        is_empty[rles] = boxes[:, 2] == 0
    if polygons:
        extents[polygons], areas = measure_polygons([segmentations[i] for i in polygons])
        is_empty[polygons] = areas == 0
    return extents, is_empty


def measure_polygons(objects):
    """
    Args:
        objects: list of n lists of polygons, float64 (2k,) x, y, x, y, ...; each at least one

    Returns:
        float64 (n, 4) x1, y1, x2, y2 around the polygons of each object, and (n,) the sum of their areas, by the
        shoelace formula
    """
    flat = [polygon for polygons in objects for polygon in polygons]
    points = np.concatenate(flat).reshape(-1, 2)
    starts = _starts([len(polygon) // 2 for polygon in flat])
    first_polygons = _starts([len(polygons) for polygons in objects])
    following = np.roll(points, -1, axis=0)
    following[np.append(starts[1:], len(points)) - 1] = points[starts]
    crossed = points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]
    areas = np.add.reduceat(np.abs(np.add.reduceat(crossed, starts)) / 2, first_polygons)
    first_points = starts[first_polygons]
    return np.concatenate([np.minimum.reduceat(points, first_points), np.maximum.reduceat(points, first_points)],
                          axis=1), areas


def _starts(lengths):
    """Returns: int64, where each of the pieces begins that have these lengths and stand one behind the other"""
    return np.cumsum(lengths) - lengths
