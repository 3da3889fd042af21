"""Masks of augmented objects made the slow way: each point is looked up in the annotation, and pixels are stacked."""
import numpy as np
import pycocotools.mask as mask_utils

from data.records import Record
from data.segmentation import to_rle

HEIGHT, WIDTH = 60, 80


def random_record(rng, num_objects=5, first_label=1, has_keypoints=True, file_name="", has_crowd=True):
    """
    A record of HEIGHT x WIDTH pixels with stars, rings and blobs as polygons and RLE, each with a label of its own; the
    last may be a crowd. Boxes are the bounds of the masks.
    """
    segmentations = [_random_segmentation(rng) for _ in range(num_objects)]
    boxes = np.array([_bounds(s) for s in segmentations]).reshape(-1, 4)
    boxes = boxes.clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    is_crowd = np.arange(num_objects) == (num_objects - 1 if has_crowd and rng.random() < 0.5 else -1)
    keypoints = np.dstack([rng.uniform(0, (WIDTH, HEIGHT), (num_objects, 3, 2)), rng.integers(0, 3, (num_objects, 3))])
    bboxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return Record(file_name, 1, HEIGHT, WIDTH, bboxes, bboxes[:, 2:].prod(axis=1), np.arange(num_objects) + first_label,
                  is_crowd, segmentations, keypoints if has_keypoints else None)


def _random_segmentation(rng):
    x, y = rng.uniform((5, 5), (WIDTH - 5, HEIGHT - 5))
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 12)))
    radii = rng.uniform(3, 22, len(angles))
    corners = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
    polygon = corners.clip(0, (WIDTH, HEIGHT)).round(2).ravel()
    if rng.random() < 0.5:
        return [polygon]
    mask = mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects([polygon], HEIGHT, WIDTH)))
    mask[int(y) - 1:int(y) + 2, int(x) - 2:int(x) + 3] = 0    # a ring
    mask[int(y) % 50:int(y) % 50 + 2, int(x) % 70:int(x) % 70 + 2] = 1    # and a spot elsewhere
    return mask_utils.encode(np.asfortranarray(mask))


def _bounds(segmentation):
    if isinstance(segmentation, list):
        points = np.concatenate(segmentation).reshape(-1, 2)
        return [*points.min(axis=0), *points.max(axis=0)]
    x, y, w, h = mask_utils.toBbox(segmentation)
    return [x, y, x + w, y + h]


def mask_at(segmentation, xs, ys, reach):
    """
    Args:
        segmentation: as a record has it
        xs, ys: (...) points of the image
        reach (float): pixels

    Returns:
        bool (...), whether each point is in the mask
        bool (...), whether that is beyond doubt: for polygons, rounded to tenths of a cell in pycocotools, the point is
            further than `reach` from their outline; for RLE it is not on the border of two pixels
    """
    if isinstance(segmentation, dict):
        mask = mask_utils.decode(to_rle(segmentation, HEIGHT, WIDTH)) > 0
        columns, rows = (np.floor(v).astype(int).clip(0, n - 1) for v, n in ((xs, WIDTH), (ys, HEIGHT)))
        is_sure = np.minimum(*(np.abs(v - np.round(v)) for v in (xs, ys))) > 1e-3
        return mask[rows, columns], is_sure
    inside, is_sure = np.zeros(xs.shape, dtype=bool), np.ones(xs.shape, dtype=bool)
    for polygon in segmentation:
        points = polygon.reshape(-1, 2)
        odd = np.zeros(xs.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0)):
            if ay != by:
                odd ^= ((ay > ys) != (by > ys)) & (xs < ax + (ys - ay) / (by - ay) * (bx - ax))
            length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-12)
            t = (((xs - ax) * (bx - ax) + (ys - ay) * (by - ay)) / length).clip(0, 1)
            is_sure &= np.hypot(xs - ax - t * (bx - ax), ys - ay - t * (by - ay)) > reach
        inside |= odd
    return inside, is_sure


def point_seen(view, xs, ys):
    """Returns: (...) x and y in the image of the points xs, ys of a view"""
    (x1, y1, x2, y2), (height, width) = view.window, view.size
    xs = width - xs if view.mirror_x else xs
    ys = height - ys if view.mirror_y else ys
    return x1 + xs * (x2 - x1) / width, y1 + ys * (y2 - y1) / height


def cell_centres(box, rows, columns):
    """Returns: (rows, columns) x and y of the centres of the cells of a box"""
    x1, y1, x2, y2 = (float(v) for v in box)
    return np.meshgrid(x1 + (np.arange(columns) + 0.5) / columns * (x2 - x1),
                       y1 + (np.arange(rows) + 0.5) / rows * (y2 - y1))


def seen_mask(record, view, number, xs, ys, reach):
    """As `mask_at`, of an object of a record, at points of a view; `reach` in the view's pixels"""
    (x1, y1, x2, y2), (height, width) = view.window, view.size
    return mask_at(record.segmentations[number], *point_seen(view, xs, ys),
                   reach * max((x2 - x1) / width, (y2 - y1) / height))
