"""
Masks of detections. They stay as the network gives them, probabilities inside their box. `mask_edges` finds where the
image's columns of pixels enter and leave one; run-length codes are made of that, and pixels only where they are asked
for.
"""
import math

import numpy as np
import pycocotools.mask as mask_util

MASK_THRESHOLD = 0.5


def _pixels_inside(low, high, size):
    """Returns: first and one past the last of the pixels 0..size-1 whose centres lie in [low, high]"""
    first = min(max(math.ceil(low - 0.5), 0), size)
    return first, max(min(math.floor(high - 0.5) + 1, size), first)


def _interpolation_weights(pixels, low, high, cells):
    """
    Weights of linear interpolation from `cells` samples that divide [low, high] evenly, zero beyond them.

    Args:
        pixels (range): their centres are pixel + 0.5

    Returns:
        float32 (len(pixels), cells)
    """
    at = (np.arange(pixels.start, pixels.stop) + (0.5 - low)) * (cells / (high - low)) - 0.5
    return np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0).astype(np.float32)


def mask_edges(probs, box, height, width):
    """
    Bring a mask from its box to the image's pixels.

    The grid's cell j spans [j, j + 1] / m of the box. A pixel takes the bilinear interpolation of the cells' centres at
    its own centre, with zeros outside of the grid, as `grid_sample(align_corners=False)` does; it belongs to the mask
    from 0.5 on. Down a column of pixels that is linear from one centre to the next, so where it passes 0.5 follows from
    the values there, and no pixel between is looked at.

    Args:
        probs: float (m, m), row first
        box: (4,) in pixels; may reach beyond the image
        height, width (int): of the image

    Returns:
        range, the columns of pixels and range, the rows whose centres lie inside the box; int (E,), the column, and int
        (E,), the row from which on each column enters or leaves the mask by turns, column by column; a row past the
        last ends a mask there, and two equal ones undo each other
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    columns, rows = range(*_pixels_inside(x1, x2, width)), range(*_pixels_inside(y1, y2, height))
    if not columns or not rows or x2 <= x1 or y2 <= y1:
        return columns, rows, np.zeros(0, int), np.zeros(0, int)
    cells = len(probs)
    # zeros beyond the first and the last cell
    values = np.zeros((len(columns), cells + 2), np.float32)
    np.matmul(_interpolation_weights(columns, x1, x2, probs.shape[1]), np.asarray(probs, np.float32).T,
              out=values[:, 1:-1])
    inside = values >= MASK_THRESHOLD
    column, cell = np.nonzero(inside[:, 1:] != inside[:, :-1])
    before, after = (values[column, cell + i].astype(np.float64) for i in (0, 1))
    # in cells from the centre before the first one, then in pixels
    at = cell - 0.5 + (MASK_THRESHOLD - before) / (after - before)
    row = y1 + at * ((y2 - y1) / cells) - 0.5
    # a pixel right on the edge is inside
    row = np.where(inside[column, cell], np.floor(row) + 1, np.ceil(row)).astype(int)
    return columns, rows, column + columns.start, np.clip(row, rows.start, rows.stop)


def paste_mask(probs, box, height, width):
    """
    The pixels of a mask; see `mask_edges`.

    Returns:
        bool (h, w), the pixels of the image whose centres lie inside the box, then x and y of its top-left pixel
    """
    columns, rows, column, row = mask_edges(probs, box, height, width)
    # one row more, so that what ends behind the last ends there
    turns = np.zeros((len(columns), len(rows) + 1), bool)
    np.logical_xor.at(turns, (column - columns.start, row - rows.start), True)
    return np.logical_xor.accumulate(turns, axis=1)[:, :-1].T, columns.start, rows.start


def encode_mask(probs, box, height, width):
    """
    Run-length encode a mask of `mask_edges`. No array of the image's or the box's size is made.

    Returns:
        dict: COCO's compressed RLE {"size": [height, width], "counts": str}
    """
    _, _, column, row = mask_edges(probs, box, height, width)
    # COCO counts down the columns one after the other; a run that goes on in the next column has no edge between
    positions, times = np.unique(column * height + row, return_counts=True)
    total = height * width
    counts = np.diff(positions[(times % 2 == 1) & (positions < total)], prepend=0, append=total)
    rle = mask_util.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
