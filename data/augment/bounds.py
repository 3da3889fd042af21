"""What is left of an object in a window of its image: the exact bounds of its polygons, or of its pixels."""
import numpy as np
import pycocotools.mask as mask_utils

from data.segmentation import to_rle

_TINY = 1e-6    # pixels from a corner of the window into it
_ROUNDING = 1e-12    # of shares of an edge


def visible_box(segmentation, box, window, image_size):
    """
    Args:
        segmentation: as `Record` has it
        box: float32 (4,) x1, y1, x2, y2 of the object
        window: x1, y1, x2, y2 in whole pixels
        image_size: (height, width) that the segmentation belongs to

    Returns:
        float32 (4,), the bounds of the part of the object that is in its box and in the window: a box inside the window
        stays, and that of an object without a mask is clipped; None where nothing is left
    """
    clipped = intersect(box, np.float32(window))
    if not has_area(clipped):
        return None
    if segmentation is None or (clipped == box).all():
        return clipped
    if isinstance(segmentation, dict):
        found = _bounds_of_pixels(mask_utils.decode(to_rle(segmentation, *image_size)), clipped)
    else:
        found = _bounds_of_polygons(segmentation, clipped)
    return found if found is not None and has_area(found) else None


def intersect(box, other):
    """Returns: float (4,), what two boxes share, without area where they share nothing"""
    return np.concatenate([np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])])


def has_area(box):
    return (box[:2] < box[2:]).all()


def pixel_range(box, size):
    """Returns: ints x1, y1, x2, y2, the pixels that a box touches in an image of (height, width), at least one"""
    height, width = size
    x1, y1 = np.clip(np.floor(box[:2]), 0, [width - 1, height - 1]).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(box[2:]), [x1 + 1, y1 + 1], [width, height]).astype(int).tolist()
    return x1, y1, x2, y2


def bounds_of_pixels(mask):
    """Returns: float32 (4,) of the pixels of an (h, w) mask that are not 0; None without any"""
    xs, ys = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], dtype=np.float32) if len(xs) else None


def _bounds_of_pixels(mask, box):
    """The bounds of what an (h, w) mask has inside of a box."""
    x1, y1, x2, y2 = pixel_range(box, mask.shape)
    found = bounds_of_pixels(mask[y1:y2, x1:x2])
    return None if found is None else intersect(found + np.float32([x1, y1, x1, y1]), box)


def _bounds_of_polygons(polygons, box):
    """The bounds of what the union of polygons has inside of a box."""
    # rounded as the box is, so that a corner on the box's edge stays there
    points = [_extremes(np.float32(polygon).reshape(-1, 2).astype(np.float64), box.astype(np.float64))
              for polygon in polygons]
    points = np.concatenate(points)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32) if len(points) else None


def _extremes(polygon, box):
    """
    Points whose bounds are those of a polygon's part in a box: ends of the parts of its edges that run through the box,
    and corners of the box that are inside it.

    Args:
        polygon: float64 (k, 2)
        box: float64 (4,)

    Returns:
        float64 (m, 2)
    """
    starts, steps = polygon, np.roll(polygon, -1, axis=0) - polygon
    # Liang and Barsky 1984: where each edge, start + t * step, enters and leaves the box
    with np.errstate(divide="ignore", invalid="ignore"):
        times = (box.reshape(2, 1, 2) - starts) / steps
    outside = (steps == 0) & ((starts <= box[:2]) | (starts >= box[2:]))
    enter = np.where(steps == 0, -np.inf, times.min(axis=0)).max(axis=1).clip(0, 1)
    leave = np.where(steps == 0, np.inf, times.max(axis=0)).min(axis=1).clip(0, 1)
    through = (leave - enter > _ROUNDING) & ~outside.any(axis=1)    # false for one that only touches a corner
    ends = [starts[through] + t[through, None] * steps[through] for t in (enter, leave)]
    corners = box[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    inward = corners + _TINY * np.sign(box.reshape(2, 2).mean(axis=0) - corners)
    corners = corners[[_is_inside(polygon, point) for point in inward]]
    return np.concatenate([*ends, corners]).clip(box[:2], box[2:])


def _is_inside(polygon, point):
    """Whether a ray from the point to the right meets an odd number of the polygon's edges."""
    x, y = point
    (x1, y1), (x2, y2) = polygon.T, np.roll(polygon, -1, axis=0).T
    crosses = (y1 > y) != (y2 > y)
    at = x1[crosses] + (y - y1[crosses]) * (x2[crosses] - x1[crosses]) / (y2[crosses] - y1[crosses])
    return np.count_nonzero(at > x) % 2 == 1
