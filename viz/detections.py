"""Pictures of detections. Images are BGR uint8, as OpenCV has them."""
import colorsys

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

from inference.masks import paste_mask

FONT = cv2.FONT_HERSHEY_SIMPLEX
MASK_OPACITY = 0.45
MAX_ENLARGED_EDGE = 8192    # pixels, to which a small image is enlarged at most


def instance_color(index):
    """
    A bright colour for each instance; neighbouring indices are far apart on the colour wheel.

    Returns:
        (int, int, int): BGR
    """
    # steps of the golden angle never come back to an earlier hue
    hue = index * 0.381966 % 1
    return tuple(round(255 * c) for c in reversed(colorsys.hsv_to_rgb(hue, 0.8, 1.0)))


def _text_color(background):
    """Black or white, whichever is easier to read on a BGR colour (luma of ITU-R BT.601)."""
    blue, green, red = background
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 110 else (255, 255, 255)


def _enlarge(image, min_edge):
    """
    Returns: a copy, larger by the smallest whole number that makes the short edge `min_edge`, or less where the long
        edge would exceed MAX_ENLARGED_EDGE; and that number
    """
    height, width = image.shape[:2]
    factor = max(min(-(-min_edge // min(height, width)), MAX_ENLARGED_EDGE // max(height, width)), 1)
    return cv2.resize(image, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC) if factor > 1 \
        else image.copy(), factor


def _draw_mask(canvas, probs, box, color, line):
    crop, x, y = paste_mask(probs, box, *canvas.shape[:2])
    if not crop.any():
        return
    region = canvas[y:y + crop.shape[0], x:x + crop.shape[1]]
    region[crop] = (1 - MASK_OPACITY) * region[crop] + MASK_OPACITY * np.array(color)
    contours, _ = cv2.findContours(crop.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, contours, -1, color, line, cv2.LINE_AA, offset=(x, y))


def _overlaps(rectangle, others):
    x1, y1, x2, y2 = rectangle
    return any(x1 < b[2] and b[0] < x2 and y1 < b[3] and b[1] < y2 for b in others)


def _label_place(box, label_width, label_height, shape, taken):
    """
    Where a label stands: above its box, else inside at the top, else below; where all of these are taken, above.

    Returns:
        (int, int, int, int): x1, y1, x2, y2, inside the image
    """
    x = int(np.clip(box[0], 0, max(shape[1] - label_width, 0)))
    places = []
    for top in (box[1] - label_height, box[1], box[3]):
        y = int(np.clip(top, 0, max(shape[0] - label_height, 0)))
        places.append((x, y, x + label_width, y + label_height))
    return next((place for place in places if not _overlaps(place, taken)), places[0])


def _draw_label(canvas, text, box, color, taken):
    """Write a label on a filled background; `taken` are the rectangles of the labels so far, to which it is added."""
    height, width = canvas.shape[:2]
    scale = max(min(height, width) / 1100, 0.4)
    (text_width, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    scale *= min(1, 0.95 * width / max(text_width, 1))
    thickness = max(round(scale * 1.6), 1)
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, scale, thickness)
    pad = max(text_height // 4, 2)
    place = _label_place(box, text_width + 2 * pad, text_height + baseline // 2 + 2 * pad, canvas.shape, taken)
    taken.append(place)
    x1, y1, x2, y2 = place
    cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), color, cv2.FILLED)
    origin = x1 + pad, y1 + pad + text_height
    cv2.putText(canvas, text, origin, FONT, scale, _text_color(color), thickness, cv2.LINE_AA)


def draw_detections(image, detections, score_threshold=0.5, min_edge=480):
    """
    Draw masks, boxes and "class score" labels; the highest scores lie on top.

    Args:
        image: uint8 (h, w, 3), BGR; it is not changed
        detections (inference.detections.Detections): in the image's pixels
        score_threshold (float): detections below it are not drawn
        min_edge (int): an image with a shorter short edge is enlarged by a whole number, for legibility, but not so
            far that its long edge exceeds MAX_ENLARGED_EDGE; 0: never

    Returns:
        uint8 (h, w, 3), or a whole number of times as large
    """
    canvas, factor = _enlarge(image, min_edge)
    detections = detections.select(np.flatnonzero(detections.scores >= score_threshold))
    order = np.argsort(detections.scores, kind="stable")
    colors = {i: instance_color(rank) for rank, i in enumerate(order[::-1])}
    boxes = detections.boxes * factor
    line = max(round(min(canvas.shape[:2]) / 300), 1)
    for i in order:
        if detections.mask_probs is not None:
            _draw_mask(canvas, detections.mask_probs[i], boxes[i], colors[i], line)
        x1, y1, x2, y2 = (int(round(float(v))) for v in boxes[i])
        cv2.rectangle(canvas, (x1, y1), (max(x2 - 1, x1), max(y2 - 1, y1)), colors[i], line)
    taken = []
    for i in order[::-1]:
        text = f"{detections.class_names[detections.labels[i] - 1]} {detections.scores[i]:.2f}"
        _draw_label(canvas, text, boxes[i], colors[i], taken)
    return canvas
