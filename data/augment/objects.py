"""The objects of an image as they are seen in a view of it."""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from data.augment.bounds import visible_box
from data.segmentation import box_frame_mask

CROWD_LABEL = -1    # of crowd regions


@dataclass
class Objects:
    """
    n objects in the pixels of a view.

    Attributes:
        boxes: float32 (n, 4)
        labels: int32 (n,) in 1..N, or CROWD_LABEL
        numbers: int (n,), of each object in its record
        masks: uint8 (n, M, M) box-frame masks, zeros for crowds; None where none are wanted
        keypoints: float32 (n, K, 3); None where none are wanted
    """

    boxes: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    masks: np.ndarray | None = None
    keypoints: np.ndarray | None = None

    def select(self, keep) -> Objects:
        """Returns: those of the objects that `keep`, bool or int (n,), says"""
        return Objects(*(None if field is None else field[keep] for field in self._fields()))

    def join(self, others: Objects) -> Objects:
        """Returns: these objects and then the others, which have masks and keypoints where these do"""
        return Objects(*(None if mine is None else np.concatenate([mine, theirs])
                         for mine, theirs in zip(self._fields(), others._fields())))

    def with_pixels(self) -> Objects:
        """Returns: without the objects that have a mask of zeros and are no crowd"""
        if self.masks is None:
            return self
        return self.select((self.labels == CROWD_LABEL) | self.masks.any(axis=(1, 2)))

    def _fields(self):
        return [getattr(self, field.name) for field in dataclasses.fields(self)]


def see_objects(record, view, resolution=None, partners=None):
    """
    Args:
        record (Record)
        view (View): of its image
        resolution (int): M of the masks, or None for none
        partners: int (K,) or (N, K) of `mirror_partners`, or None for no keypoints

    Returns:
        Objects: those of which something is in the view. A box is the bounds of what is seen; see `visible_box`.
    """
    numbers, boxes = np.arange(len(record.labels)), record.boxes
    is_cut = view.window != (0, 0, record.width, record.height)
    if is_cut:
        found = [visible_box(segmentation, box, view.window, record.size)
                 for segmentation, box in zip(record.segmentations, boxes)]
        numbers = np.array([number for number, box in enumerate(found) if box is not None], dtype=np.intp)
        boxes = np.array([box for box in found if box is not None], dtype=np.float32).reshape(-1, 4)
    labels = np.where(record.is_crowd, CROWD_LABEL, record.labels).astype(np.int32)[numbers]
    objects = Objects(view.see_boxes(boxes), labels, numbers,
                      None if resolution is None else view.see_masks(_masks(record, numbers, boxes, resolution)),
                      None if partners is None else _see_keypoints(record, view, numbers, partners))
    return objects.with_pixels() if is_cut else objects


def see_pixels(record, view, number, region):
    """
    Args:
        record (Record), view (View): of its image
        number (int): of an object
        region: ints x1, y1, x2, y2 in the view's pixels

    Returns:
        bool (y2 - y1, x2 - x1), the pixels of the region whose centre is in the object's mask
    """
    x1, y1, x2, y2 = region
    (box,) = view.find_boxes(np.array([region]))
    mask = box_frame_mask(record.segmentations[number], box, record.size, (y2 - y1, x2 - x1))
    return view.see_masks(mask[None])[0] > 0


def _masks(record, numbers, boxes, resolution):
    """Returns: uint8 (n, M, M), in the frames of the boxes in the image"""
    masks = np.zeros((len(numbers), resolution, resolution), dtype=np.uint8)
    segmentations = record.segmentations
    for mask, number, box in zip(masks, numbers, boxes):
        if not record.is_crowd[number]:
            mask[:] = box_frame_mask(segmentations[number], box, record.size, resolution)
    return masks


def _see_keypoints(record, view, numbers, partners):
    """Returns: float32 (n, K, 3), zeros where the data set has none"""
    if record.keypoints is None:
        return np.zeros((len(numbers), partners.shape[-1], 3), dtype=np.float32)
    partners = partners if partners.ndim == 1 else partners[record.labels[numbers] - 1]
    return view.see_keypoints(record.keypoints[numbers], partners)
