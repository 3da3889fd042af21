"""Pictures of annotated images. Images are BGR uint8, as OpenCV has them."""
from __future__ import annotations

from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np
import pycocotools.mask as mask_utils

from data.augment import CROWD_LABEL
from data.segmentation import to_rle
from inference.masks import paste_mask
from viz.drawing import (
    draw_box,
    draw_dashed_box,
    draw_keypoints,
    draw_label,
    draw_mask,
    enlarge,
    instance_color,
    line_width,
)

MARK, OUTSIDE = (40, 40, 255), (128, 128, 128)    # BGR: of the frame around what is wrong, of what is no image


class GroundTruth(NamedTuple):
    """
    The n objects of an image, to be drawn.

    Attributes:
        boxes: float (n, 4) x1, y1, x2, y2 in pixels
        names: of n, what is written at each
        is_region: bool (n,), a crowd or a difficult object, whose box is dashed
        masks: of n, each None, or a bool (h, w) part of the image with the (x, y) of its corner
        keypoints: float (n, K, 3) x, y, and 0 for not labelled, 1 for hidden or 2 for visible; or None
    """

    boxes: np.ndarray
    names: list[str]
    is_region: np.ndarray
    masks: list
    keypoints: np.ndarray | None = None

    def select(self, keep):
        """Returns: GroundTruth, the objects alone that `keep`, bool (n,), says"""
        index = np.flatnonzero(keep)
        return GroundTruth(self.boxes[index], [self.names[i] for i in index], self.is_region[index],
                           [self.masks[i] for i in index],
                           None if self.keypoints is None else self.keypoints[index])

    def moved(self, x, y):
        """Returns: GroundTruth, all moved to the right and down by whole pixels"""
        return GroundTruth(
            self.boxes + [x, y, x, y], self.names, self.is_region,
            [mask and (mask[0], (mask[1][0] + x, mask[1][1] + y)) for mask in self.masks],
            None if self.keypoints is None else self.keypoints + [x, y, 0])


def of_record(record, class_names):
    """Returns: GroundTruth of a `data.Record`; class_names are of its data set"""
    names = [_name(class_names[label - 1], crowd, difficult)
             for label, crowd, difficult in zip(record.labels, record.is_crowd, record.is_difficult)]
    masks = [None if s is None else _cropped(mask_utils.decode(to_rle(s, *record.size)).astype(bool))
             for s in record.segmentations]
    return GroundTruth(record.boxes, names, record.is_crowd | record.is_difficult, masks, record.keypoints)


def of_sample(boxes, labels, masks, image_size, class_names, keypoints=None):
    """
    Args:
        boxes, labels, masks, keypoints: of one image of a `data.batch.Batch`, the masks with a byte a pixel; its
            padding is left out. masks and keypoints may be None
        image_size: (height, width)
        class_names (tuple of str): of the classes 1..N

    Returns:
        GroundTruth
    """
    there = np.flatnonzero(labels)
    is_crowd = labels[there] == CROWD_LABEL
    names = ["crowd" if label == CROWD_LABEL else class_names[label - 1] for label in labels[there].tolist()]
    pasted = [None if masks is None or crowd else paste_mask(masks[i].astype(np.float32), boxes[i], *image_size)
              for i, crowd in zip(there, is_crowd)]
    return GroundTruth(boxes[there], names, is_crowd, [mask and (mask[0], mask[1:]) for mask in pasted],
                       None if keypoints is None else keypoints[there])


def _name(class_name, is_crowd, is_difficult):
    return class_name + " (crowd)" * bool(is_crowd) + " (difficult)" * bool(is_difficult)


def _cropped(mask):
    """Returns: bool (h, w), what is around the True of a whole image's mask, and its corner (x, y)"""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return mask[:0, :0], (0, 0)
    return mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1], (int(columns[0]), int(rows[0]))


def draw_ground_truth(image, truth, edges=(), min_edge=480, colors=None):
    """
    Draw masks, boxes, keypoints and class names; small objects lie on top. Boxes of crowds and of difficult objects are
    dashed.

    Args:
        image: uint8 (h, w, 3), BGR; it is not changed
        truth (GroundTruth): in the image's pixels
        edges: pairs of numbers of keypoints that a line joins, as `data.Skeleton` has them
        min_edge (int), colors (list): as of `viz.detections.draw_detections`

    Returns:
        uint8 (h, w, 3), or a whole number of times as large
    """
    canvas, factor = enlarge(image, min_edge)
    colors = colors or [instance_color(i) for i in range(len(truth.names))]
    line = line_width(canvas)
    boxes = np.asarray(truth.boxes, dtype=np.float64) * factor
    order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable").tolist()
    for i in order:
        color = colors[i]
        if truth.masks[i] is not None:
            crop, (x, y) = truth.masks[i]
            draw_mask(canvas, crop.repeat(factor, axis=0).repeat(factor, axis=1), (x * factor, y * factor), color, line)
        (draw_dashed_box if truth.is_region[i] else draw_box)(canvas, boxes[i], color, line)
        if truth.keypoints is not None:
            draw_keypoints(canvas, truth.keypoints[i] * [factor, factor, 1], edges, color, line)
    taken = []
    for i in order[::-1]:
        draw_label(canvas, truth.names[i], boxes[i], colors[i], taken)
    return canvas


def draw_marked(image, record, class_names, bbox, edges=()):
    """
    Draw one object of an image, or what an annotation file has for one, with a red frame around its box. Where the box
    leaves the image the picture is extended, though not beyond three images' width and height.

    Args:
        image: uint8 (h, w, 3), BGR, of the record
        record (data.Record), class_names (tuple of str)
        bbox: x, y, width, height; an object of the record with just this box is drawn too
        edges: as `draw_ground_truth` takes them

    Returns:
        uint8 (h', w', 3)
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]
    reach = 0.03 * max(height, width)    # of the frame around the box, so that a point is seen too
    frame = np.clip([min(x1, x2) - reach, min(y1, y2) - reach, max(x1, x2) + reach, max(y1, y2) + reach],
                    [-width, -height] * 2, [2 * width, 2 * height] * 2)
    left, top = np.ceil(np.maximum(-frame[:2], 0)).astype(int).tolist()
    right, bottom = np.ceil(np.maximum(frame[2:] - [width, height], 0)).astype(int).tolist()
    extended = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=OUTSIDE)
    truth = of_record(record, class_names).select((record.bboxes == bbox).all(axis=1)).moved(left, top)
    canvas = draw_ground_truth(extended, truth, edges)
    factor = canvas.shape[0] // extended.shape[0]
    draw_box(canvas, (frame + [left, top, left, top]) * factor, MARK, 2 * line_width(canvas))
    return canvas
