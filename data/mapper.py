"""One training image: read, augmented, and with its ground truth."""
import numpy as np

from data import augment
from data.batch import Sample, pack_masks
from data.images import load_image, resize_image, resize_shape
from data.segmentation import box_frame_mask

CROWD_LABEL = -1    # of crowd regions in gt_labels


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
        return Sample(image, record.image_id, seed, boxes, labels, None if masks is None else pack_masks(masks))

    def _make_masks(self, record, boxes):
        """Returns: uint8 (n, M, M) box-frame masks, zeros for crowds; None without mask_resolution"""
        if self.mask_resolution is None:
            return None
        masks = np.zeros((len(boxes), self.mask_resolution, self.mask_resolution), dtype=np.uint8)
        for i in np.flatnonzero(~record.is_crowd):
            masks[i] = box_frame_mask(record.segmentations[i], boxes[i], record.size, self.mask_resolution)
        return masks
