"""Pictures of what was found beside what is there. Images are BGR uint8, as OpenCV has them."""
from __future__ import annotations

from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

from viz.drawing import FONT, draw_box, draw_label, enlarge, line_width
from viz.ground_truth import MARK, draw_ground_truth, of_record

FOUND = (200, 140, 40)      # BGR: of a detection that is not what the picture is about
PANEL_EDGE = 640            # pixels, to which a panel is shrunk
TITLE, GAP = 26, 8          # pixels
PAPER, INK = (245, 245, 245), (30, 30, 30)


class Panel(NamedTuple):
    """
    The n detections that are drawn on a copy of the image.

    Attributes:
        title: what stands above
        boxes: float (n, 4) x, y, width, height in pixels
        texts: of n
        is_marked: bool (n,), drawn in red and on top
    """

    title: str
    boxes: np.ndarray
    texts: list[str]
    is_marked: np.ndarray


def draw_beside_truth(image, record, class_names, is_marked, panels):
    """
    Args:
        image: uint8 (h, w, 3), BGR, of the record; it is not changed
        record (data.Record), class_names (tuple of str)
        is_marked: bool (objects of the record,), those with a red frame
        panels (list[Panel])

    Returns:
        uint8 (h', w', 3): the ground truth, and beside it the panels
    """
    truth = draw_ground_truth(image, of_record(record, class_names))
    factor = truth.shape[0] / image.shape[0]
    for box in record.boxes[np.asarray(is_marked, dtype=bool)]:
        draw_box(truth, box * factor, MARK, 2 * line_width(truth) + 1)
    pictures = [_titled("ground truth", truth), *(_titled(panel.title, draw_found(image, panel)) for panel in panels)]
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)


def draw_found(image, panel, min_edge=480):
    """Returns: uint8 (h', w', 3), the detections of a Panel on the image, enlarged as ground truth is"""
    canvas, factor = enlarge(image, min_edge)
    corners = np.concatenate([panel.boxes[:, :2], panel.boxes[:, :2] + panel.boxes[:, 2:]], axis=1) * factor
    corners = np.clip(corners, 0, [canvas.shape[1], canvas.shape[0]] * 2)
    line = line_width(canvas)
    order = np.argsort(panel.is_marked, kind="stable")
    for i in order:
        is_marked = panel.is_marked[i]
        draw_box(canvas, corners[i], MARK if is_marked else FOUND, line * (1 + is_marked))
    taken = []
    for i in order[::-1]:
        draw_label(canvas, panel.texts[i], corners[i], MARK if panel.is_marked[i] else FOUND, taken)
    return canvas


def _titled(title, picture):
    height, width = picture.shape[:2]
    scale = min(PANEL_EDGE / max(height, width), 1)
    if scale < 1:
        picture = cv2.resize(picture, (max(round(scale * width), 1), max(round(scale * height), 1)),
                             interpolation=cv2.INTER_AREA)
    strip = np.full((TITLE, picture.shape[1], 3), PAPER, dtype=np.uint8)
    cv2.putText(strip, title, (4, TITLE - 8), FONT, 0.5, INK, 1, cv2.LINE_AA)
    return np.concatenate([strip, picture])
