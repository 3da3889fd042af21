"""What is drawn on pictures: boxes, masks, keypoints and labels. Images are BGR uint8, as OpenCV has them."""
import colorsys

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
MASK_OPACITY = 0.45
HIDDEN, VISIBLE = 1, 2      # keypoints, as COCO has them
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


def text_color(background):
    """Black or white, whichever is easier to read on a BGR colour (luma of ITU-R BT.601)."""
    blue, green, red = background
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 110 else (255, 255, 255)


def line_width(canvas):
    """Returns: int, pixels of the lines on a picture of this size"""
    return max(round(min(canvas.shape[:2]) / 300), 1)


def enlarge(image, min_edge):
    """
    Returns: a copy, larger by the smallest whole number that makes the short edge `min_edge`, or less where the long
        edge would exceed MAX_ENLARGED_EDGE; and that number
    """
    height, width = image.shape[:2]
    factor = max(min(-(-min_edge // min(height, width)), MAX_ENLARGED_EDGE // max(height, width)), 1)
    return cv2.resize(image, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC) if factor > 1 \
        else image.copy(), factor


def draw_mask(canvas, crop, corner, color, line):
    """
    Tint the pixels of a mask, and draw its outline.

    Args:
        canvas: uint8 (h, w, 3), is drawn on
        crop: bool (h', w'), the mask inside a rectangle of the canvas
        corner: (x, y) of the rectangle, in whole pixels
        color: BGR
        line (int): pixels of the outline, 0 for none
    """
    if not crop.any():
        return
    x, y = corner
    region = canvas[y:y + crop.shape[0], x:x + crop.shape[1]]
    region[crop] = (1 - MASK_OPACITY) * region[crop] + MASK_OPACITY * np.array(color)
    if line:
        contours, _ = cv2.findContours(crop.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, color, line, cv2.LINE_AA, offset=(x, y))


def pixel_corners(box):
    """Returns: (int, int, int, int), x1, y1, x2, y2 of the outermost pixels of a box"""
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    return x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)


def draw_box(canvas, box, color, line):
    """Draw a box, x1, y1, x2, y2, with a line of so many pixels."""
    x1, y1, x2, y2 = pixel_corners(box)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), color, line)


def draw_dashed_box(canvas, box, color, line):
    """Draw a box, x1, y1, x2, y2, with dashes of ten times their thickness."""
    x1, y1, x2, y2 = pixel_corners(box)
    for begin, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x1, y2), (x2, y2)), ((x1, y1), (x1, y2))):
        length = max(end[0] - begin[0], end[1] - begin[1])
        num_parts = length // (10 * line) | 1    # odd, so that corners are drawn
        points = np.linspace(begin, end, num_parts + 1).round().astype(int).tolist()
        for first, last in list(zip(points, points[1:]))[::2]:
            cv2.line(canvas, first, last, color, line)


def draw_keypoints(canvas, keypoints, edges, color, line):
    """
    Draw the keypoints of an object: a disk for a visible one, a ring for a hidden one, lines between them.

    Args:
        canvas: uint8 (h, w, 3), is drawn on
        keypoints: float (K, 3) x, y in continuous coordinates, and HIDDEN, VISIBLE, or 0 for one that is not there
        edges: pairs of numbers in 0..K - 1
        color: BGR
        line (int): pixels of the lines
    """
    # the centre of pixel 0 is at 0.5
    points = np.floor(keypoints[:, :2]).astype(int).tolist()
    for first, second in edges:
        if keypoints[first, 2] > 0 and keypoints[second, 2] > 0:
            cv2.line(canvas, points[first], points[second], color, line, cv2.LINE_AA)
    for point, visible in zip(points, keypoints[:, 2]):
        if visible > 0:
            cv2.circle(canvas, point, 2 * line + 1, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, point, 2 * line, color, cv2.FILLED if visible == VISIBLE else line, cv2.LINE_AA)


def overlaps(rectangle, others):
    x1, y1, x2, y2 = rectangle
    return any(x1 < b[2] and b[0] < x2 and y1 < b[3] and b[1] < y2 for b in others)


def label_place(box, label_width, label_height, shape, taken):
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
    return next((place for place in places if not overlaps(place, taken)), places[0])


def draw_label(canvas, text, box, color, taken):
    """Write a label on a filled background; `taken` are the rectangles of the labels so far, to which it is added."""
    height, width = canvas.shape[:2]
    scale = max(min(height, width) / 1100, 0.4)
    (text_width, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    scale *= min(1, 0.95 * width / max(text_width, 1))
    thickness = max(round(scale * 1.6), 1)
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, scale, thickness)
    pad = max(text_height // 4, 2)
    place = label_place(box, text_width + 2 * pad, text_height + baseline // 2 + 2 * pad, canvas.shape, taken)
    taken.append(place)
    x1, y1, x2, y2 = place
    cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), color, cv2.FILLED)
    origin = x1 + pad, y1 + pad + text_height
    cv2.putText(canvas, text, origin, FONT, scale, text_color(color), thickness, cv2.LINE_AA)
