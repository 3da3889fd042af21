"""
Masks of objects as annotation files have them: polygons, or COCO's run-length encodings (RLE) with and without
compression. RLEs go through an image column by column; the first run is of zeros.
"""
import numpy as np
import pycocotools.mask as mask_utils

from data.records import Unusable

MAX_REACH = 20    # of a polygon's corners, in image sizes: pycocotools walks along every edge, however far


def parse_segmentation(segmentation, height, width):
    """
    Args:
        segmentation: what a json file has
        height, width (int): of the image

    Returns:
        None for no mask; a list of polygons, float64 (2k,) x, y, x, y, ...; or the RLE, a dict, as it is

    Raises:
        Unusable: saying why
    """
    if segmentation is None or segmentation in ([], [[]]):
        return None
    if isinstance(segmentation, dict):
        _check_rle(segmentation, height, width)
        return segmentation
    if not isinstance(segmentation, list):
        raise Unusable("its segmentation is neither polygons nor RLE", "mask-form")
    reach = MAX_REACH * max(height, width)
    return [_parse_polygon(polygon, reach) for polygon in segmentation]


def _parse_polygon(polygon, reach):
    if not isinstance(polygon, list):
        raise Unusable("its segmentation is not a list of polygons", "mask-form")
    if len(polygon) < 6 or len(polygon) % 2:
        raise Unusable(f"a polygon has {len(polygon)} numbers, not an even number of at least 6", "polygon-points")
    try:
        array = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Unusable("a polygon holds something that is not a number", "polygon-corner") from None
    # false for NaN
    if array.ndim != 1 or not (np.abs(array) < reach).all():
        raise Unusable("a polygon has a corner that is not a number, or far outside of the image", "polygon-corner")
    return array


def _check_rle(rle, height, width):
    if rle.get("size") != [height, width]:
        raise Unusable(f"its RLE has size {str(rle.get('size'))[:40]}, the image [{height}, {width}]", "rle-size")
    counts = rle.get("counts")
    if isinstance(counts, list):
        is_whole = all(isinstance(c, int) and c >= 0 for c in counts) and sum(counts) == height * width
    elif isinstance(counts, str) and counts and all(48 <= ord(c) < 112 for c in counts):
        runs = _run_lengths(counts)
        is_whole = runs is not None and runs.min() >= 0 and runs.sum() == height * width
    else:
        raise Unusable("its RLE has no counts", "rle-counts")
    if not is_whole:
        raise Unusable("the counts of its RLE do not add up to the image", "rle-counts")


def _run_lengths(counts):
    """
    What COCO's compressed counts stand for. pycocotools does not check them, and may never end on some that are wrong.

    A character from "0" on has five bits of a number, the lowest first, and a sixth that is set where more follow. The
    numbers are signed; from the fourth on they are differences to the run before the last.

    Returns:
        int64 (n,), or None where the last number is cut short, or one is too long
    """
    codes = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(codes < 32)
    if not len(ends) or ends[-1] != len(codes) - 1:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        return None
    place = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 31) << place, starts)
    runs -= (codes[ends] >> 4) << 5 * lengths    # the sign
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs


def to_rle(segmentation, height, width):
    """Returns: COCO's compressed RLE, a dict, of polygons or of an RLE"""
    if isinstance(segmentation, list):
        return mask_utils.merge(mask_utils.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return mask_utils.frPyObjects(segmentation, height, width)
    return segmentation


def box_frame_mask(segmentation, box, image_size, resolution):
    """
    Sample an object's mask inside its box.

    Cell (i, j) of M x M is the mask at x = x1 + (j + 0.5) / M * width, y = y1 + (i + 0.5) / M * height.

    Args:
        segmentation: list of polygons (x, y, x, y, ...), or COCO's RLE dict
        box: float32 (4,) x1, y1, x2, y2 with a positive size
        image_size: (height, width) that the segmentation belongs to
        resolution: M, or numbers of rows and columns

    Returns:
        uint8 (M, M), or (rows, columns), of 0 and 1
    """
    shape = (resolution, resolution) if isinstance(resolution, int) else tuple(resolution)
    if isinstance(segmentation, dict):
        return sample_pixels(mask_utils.decode(to_rle(segmentation, *image_size)), box, shape)
    return _fill_polygons(segmentation, box, shape)


def sample_pixels(mask, box, shape):
    """
    Args:
        mask: (h, w)
        box: float (4,) in the mask's pixels
        shape: numbers of rows and columns

    Returns:
        (rows, columns), the pixels of the mask that the centres of the cells of the box fall in
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    (rows, columns), (height, width) = shape, mask.shape
    xs = np.clip(x1 + (np.arange(columns) + 0.5) / columns * (x2 - x1), 0, width - 1).astype(np.intp)
    ys = np.clip(y1 + (np.arange(rows) + 0.5) / rows * (y2 - y1), 0, height - 1).astype(np.intp)
    return mask[ys[:, None], xs]


def _fill_polygons(polygons, box, shape):
    """The union of polygons, drawn with the box stretched to `shape` pixels."""
    x1, y1, x2, y2 = (float(v) for v in box)
    rows, columns = shape
    offset, scale = np.array([x1, y1]), np.array([columns, rows]) / np.array([x2 - x1, y2 - y1])
    # pycocotools walks along every edge, so a polygon far larger than its box would take all memory
    limit = 20 * max(shape)
    # rounded as the box is, so that a corner on the box's edge stays there
    corners = [np.float32(polygon).reshape(-1, 2).astype(np.float64) for polygon in polygons]
    scaled = [np.clip((corner - offset) * scale, -limit, limit).ravel().tolist() for corner in corners]
    return mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects(scaled, rows, columns)))
