"""Which part of an image is taken: windows and sizes, drawn from an image's own generator of random numbers."""
import math

import numpy as np

# A window is x1, y1, x2, y2 in whole pixels. Sizes are (height, width).


def aspect_window(rng, size, boxes, limits):
    """
    Cut an image that is too long, as Detectron.pytorch's aspect cropping: width / height is brought into the limits.

    Args:
        size: of the image
        boxes: float (n, 4) of its objects
        limits: smallest and largest width / height

    Returns:
        the window, uniform among those that hold all boxes; where the boxes span more than it, among all
    """
    height, width = size
    lengths = min(width, math.ceil(height * limits[1])), min(height, math.ceil(width / limits[0]))
    return _place(rng, lengths, size, _around(boxes))


def random_window(rng, size, boxes, side_range):
    """
    A window of random sides that keeps an object.

    Args:
        size: of the image
        boxes: float (n, 4) of its objects
        side_range: shortest and longest side, each drawn by itself: shares of the image's up to 1, pixels above

    Returns:
        the window. One object is drawn: it is uniform among those that hold the object's box, and along an edge of the
        box that is longer, among those inside it. Without objects it is uniform among all.
    """
    lengths = [_draw_side(rng, side_range, limit) for limit in size[::-1]]
    box = boxes[rng.integers(len(boxes))] if len(boxes) else None
    return _place(rng, lengths, size, box, is_inside=True)


def jitter(rng, size, scale_range, canvas):
    """
    Large-scale jitter (Ghiasi et al. 2021, sec. 3): resize an image by a random factor, and cut it to the canvas.

    Args:
        size: of the image
        scale_range: smallest and largest factor, drawn uniformly; at 1 the whole image just fits the canvas
        canvas: (height, width), the largest that may come out

    Returns:
        the window, uniform among all of its sides, and the (height, width) that it is resized to
    """
    factor = rng.uniform(*scale_range) * min(canvas[0] / size[0], canvas[1] / size[1])
    lengths = [min(length, max(1, round(limit / factor))) for length, limit in zip(size, canvas)]
    new_size = tuple(limit if cut < length else min(limit, max(1, round(length * factor)))
                     for cut, length, limit in zip(lengths, size, canvas))
    return _place(rng, lengths[::-1], size), new_size


def _around(boxes):
    """Returns: float (4,), the smallest box that holds all boxes; None without any"""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]) if len(boxes) else None


def _draw_side(rng, side_range, limit):
    low, high = (limit * side if side <= 1 else side for side in side_range)
    return min(limit, max(1, round(rng.uniform(low, high))))


def _place(rng, lengths, size, box=None, is_inside=False):
    """A window of the given (width, height), which holds the box, see `_offset`."""
    spans = [None, None] if box is None else [(box[0], box[2]), (box[1], box[3])]
    x1, y1 = (_offset(rng, *args, is_inside) for args in zip(lengths, size[::-1], spans))
    return x1, y1, x1 + lengths[0], y1 + lengths[1]


def _offset(rng, length, limit, span, is_inside):
    """
    Where a window of some length begins on an axis of 0..limit, uniform among the places where it holds the span of two
    ends. Where the span is longer it lies within it, or anywhere without `is_inside`.
    """
    low, high = 0, limit - length
    if span is not None:
        first, last = math.ceil(span[1]) - length, math.floor(span[0])
        if first <= last:
            low, high = max(first, low), min(last, high)
        elif is_inside:
            low, high = last, first
    return int(rng.integers(low, high, endpoint=True))
