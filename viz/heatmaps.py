"""Pictures of what the network thinks of each place: probabilities of masks and of keypoints. Images are BGR uint8."""
import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

from inference.masks import MASK_THRESHOLD
from viz.drawing import draw_box, enlarge, instance_color, line_width, pixel_corners

DIMMED = 0.45         # brightness of the image below the heat
STRONGEST = 0.9       # opacity where a probability is 1
BOX_COLOR = (200, 200, 200)


def draw_mask_heatmap(image, detections, score_threshold=0.5, min_edge=480):
    """
    Draw the probability of each pixel to belong to a mask, from dark to bright, and a line where it is 0.5. Where
    several detections lie, the highest counts.

    Args:
        image: uint8 (h, w, 3), BGR; it is not changed
        detections (inference.detections.Detections): with masks, in the image's pixels
        score_threshold (float), min_edge (int): as of `viz.detections.draw_detections`

    Returns:
        uint8 (h, w, 3), or a whole number of times as large
    """
    canvas, detections = _begin(image, detections, score_threshold, min_edge)
    heat, line = np.zeros(canvas.shape[:2], np.float32), line_width(canvas)
    for probs, box in zip(detections.mask_probs, detections.boxes):
        region, inside = _in_image(probs, box, canvas.shape)
        np.maximum(heat[region], inside, out=heat[region])
    colors = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)
    _blend(canvas, colors, heat ** 0.5)    # low probabilities are to be seen too
    outlines, _ = cv2.findContours((heat >= MASK_THRESHOLD).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, outlines, -1, (255, 255, 255), line, cv2.LINE_AA)
    return _with_boxes(canvas, detections, line)


def draw_keypoint_heatmap(image, detections, score_threshold=0.5, min_edge=480):
    """
    Draw how likely each place is for each keypoint, in the keypoint's `keypoint_color`: opaque where it is likeliest,
    and fainter as the place is less likely than that one.

    Args, returns: as `draw_mask_heatmap`, of detections with keypoints
    """
    canvas, detections = _begin(image, detections, score_threshold, min_edge)
    for logits, box, label in zip(detections.keypoint_logits, detections.boxes, detections.labels.tolist()):
        relative = np.exp((logits - logits.max(axis=(0, 1))) / 2)    # half as sharp, so that it is to be seen
        for k in detections.skeleton.of_label(label):
            region, inside = _in_image(np.ascontiguousarray(relative[:, :, k]), box, canvas.shape)
            _blend(canvas[region], np.array(keypoint_color(k)), inside)
    return _with_boxes(canvas, detections, line_width(canvas))


def keypoint_color(index):
    """Returns: (int, int, int), BGR of a keypoint"""
    return instance_color(index)


def _begin(image, detections, score_threshold, min_edge):
    """Returns: a dimmed grey picture of the image, maybe larger, and the detections to draw, in its pixels"""
    canvas, factor = enlarge(image, min_edge)
    detections = detections.select(np.flatnonzero(detections.scores >= score_threshold))
    detections.boxes = detections.boxes * factor
    grey = cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor((DIMMED * grey).astype(np.uint8), cv2.COLOR_GRAY2BGR), detections


def _in_image(values, box, shape):
    """
    Args:
        values: float32 (h, w), on a grid that spans the box
        box: (4,) inside the image
        shape: of the image

    Returns:
        the slices of rows and columns of the box's pixels, and float32, the values there
    """
    x1, y1, x2, y2 = pixel_corners(box)
    x1, y1 = min(x1, shape[1] - 1), min(y1, shape[0] - 1)
    x2, y2 = min(x2, shape[1] - 1), min(y2, shape[0] - 1)
    resized = cv2.resize(values, (x2 + 1 - x1, y2 + 1 - y1), interpolation=cv2.INTER_LINEAR)
    return (slice(y1, y2 + 1), slice(x1, x2 + 1)), resized


def _blend(canvas, color, share):
    """Draw on a canvas (h, w, 3) a color, (3,) or (h, w, 3), as opaque as share, (h, w) in 0..1, says."""
    share = STRONGEST * share[:, :, None]
    canvas[:] = np.rint((1 - share) * canvas + share * color)


def _with_boxes(canvas, detections, line):
    for box in detections.boxes:
        draw_box(canvas, box, BOX_COLOR, line)
    return canvas
