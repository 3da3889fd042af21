"""Pictures of detections. Images are BGR uint8, as OpenCV has them."""
import common  # noqa: F401  (prepares the environment)

import numpy as np

from inference.masks import paste_mask
from viz.drawing import (
    VISIBLE,
    draw_box,
    draw_keypoints,
    draw_label,
    draw_mask,
    enlarge,
    instance_color,
    line_width,
)

UNTRACKED = (160, 160, 160)    # BGR


def draw_detections(image, detections, score_threshold=0.5, keypoint_threshold=0.05, min_edge=480, colors=None):
    """
    Draw masks, boxes, keypoints and "class score" labels; the highest scores lie on top.

    Args:
        image: uint8 (h, w, 3), BGR; it is not changed
        detections (inference.detections.Detections): in the image's pixels
        score_threshold (float): detections below it are not drawn
        keypoint_threshold (float): of the keypoints' own scores; such a score is the share of one among 3,136 places,
            so that those of good keypoints are low too. The default is Detectron2's
        min_edge (int): an image with a shorter short edge is enlarged by a whole number, for legibility, but not so
            far that its long edge exceeds MAX_ENLARGED_EDGE; 0: never
        colors (list): BGR of each of the detections; None: those of their tracks, or else each its own, the best
            always the same

    Returns:
        uint8 (h, w, 3), or a whole number of times as large
    """
    canvas, factor = enlarge(image, min_edge)
    drawn = np.flatnonzero(detections.scores >= score_threshold)
    detections = detections.select(drawn)
    order = np.argsort(detections.scores, kind="stable")
    colors = _own_colors(detections, order) if colors is None else [colors[i] for i in drawn]
    boxes = detections.boxes * factor
    line = line_width(canvas)
    for i in order:
        if detections.mask_probs is not None:
            crop, x, y = paste_mask(detections.mask_probs[i], boxes[i], *canvas.shape[:2])
            draw_mask(canvas, crop, (x, y), colors[i], line)
        draw_box(canvas, boxes[i], colors[i], line)
        if detections.keypoints is not None:
            draw_keypoints(canvas, _to_draw(detections.keypoints[i], keypoint_threshold) * [factor, factor, 1],
                           detections.skeleton.edges, colors[i], line)
    taken = []
    for i in order[::-1]:
        draw_label(canvas, _text(detections, i), boxes[i], colors[i], taken)
    return canvas


def _own_colors(detections, order):
    """Args: order: int (N,), by growing score. Returns: dict of each number to BGR"""
    if detections.track_ids is None:
        return {i: instance_color(rank) for rank, i in enumerate(order[::-1])}
    return {i: instance_color(number) if number else UNTRACKED
            for i, number in enumerate(detections.track_ids.tolist())}


def _text(detections, i):
    number = "" if detections.track_ids is None or not detections.track_ids[i] else f" #{detections.track_ids[i]}"
    return f"{detections.class_names[detections.labels[i] - 1]}{number} {detections.scores[i]:.2f}"


def _to_draw(keypoints, threshold):
    """Returns: float (K, 3), x, y, and VISIBLE, or 0 below the threshold and where the class has no such keypoint"""
    is_drawn = keypoints[:, 2:] >= max(threshold, np.finfo(np.float32).tiny)
    return np.concatenate([keypoints[:, :2], VISIBLE * is_drawn], axis=1)
