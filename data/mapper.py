"""One training image: read, augmented, and with its ground truth."""
import traceback
from dataclasses import dataclass

from common import UserError

import numpy as np

from data import augment
from data.batch import Sample
from data.images import load_image, resize_image, resize_shape
from data.segmentation import box_frame_mask

CROWD_LABEL = -1    # of crowd regions in gt_labels


@dataclass
class BadFile:
    """Takes the place of a `Sample` whose file cannot be used."""

    path: str
    reason: str


@dataclass
class Failure:
    """Takes the place of a `Sample` when there is an error in the program, which must not die with its process."""

    traceback: str


class TrainMapper:
    """
    Reads and augments one image: a random size, and a flip in half of the cases.

    Args:
        records (sequence of Record): the images that there are
        short_edge_range: shortest and longest short edge in pixels, drawn uniformly
        max_size (int): longest long edge in pixels
        mask_resolution (int): M of the box-frame masks, or None for no masks
    """

    def __init__(self, records, short_edge_range, max_size, mask_resolution):
        self.records = records
        self.short_edge_range = tuple(short_edge_range)
        self.max_size = max_size
        self.mask_resolution = mask_resolution

    def __call__(self, datapoint):
        """
        Args:
            datapoint: [index, number of a record, seed]

        Returns:
            [index, Sample | BadFile | Failure]
        """
        index, number, seed = datapoint
        record = self.records[number]
        try:
            return [index, self.make_sample(record, seed)]
        except UserError as e:
            return [index, BadFile(record.file_name, str(e))]
        except Exception:    # noqa: B902  (any other error would end the worker, and the training would wait forever)
            return [index, Failure(traceback.format_exc())]

    def make_sample(self, record, seed):
        """
        Args:
            record (Record)
            seed (int): of the random choices

        Returns:
            Sample

        Raises:
            UserError: the file cannot be used; the message starts with its path
        """
        rng = np.random.default_rng(seed)
        short_edge = int(rng.integers(self.short_edge_range[0], self.short_edge_range[1], endpoint=True))
        flip = rng.random() < 0.5

        image, boxes = load_image(record.file_name, record.size), record.boxes
        masks = self._make_masks(record, boxes)
        new_size = resize_shape(*record.size, short_edge, self.max_size)
        image, boxes = resize_image(image, *new_size), augment.resize_boxes(boxes, record.size, new_size)
        if flip:
            image, boxes = augment.flip_image(image), augment.flip_boxes(boxes, new_size[1])
            masks = None if masks is None else augment.flip_masks(masks)
        labels = np.where(record.is_crowd, CROWD_LABEL, record.labels).astype(np.int32)
        return Sample(image, record.image_id, seed, record.is_portrait, boxes, labels, masks)

    def _make_masks(self, record, boxes):
        """Returns: uint8 (n, M, M) box-frame masks, zeros for crowds; None without mask_resolution"""
        if self.mask_resolution is None:
            return None
        masks = np.zeros((len(boxes), self.mask_resolution, self.mask_resolution), dtype=np.uint8)
        for i in np.flatnonzero(~record.is_crowd):
            masks[i] = box_frame_mask(record.segmentations[i], boxes[i], record.size, self.mask_resolution)
        return masks
