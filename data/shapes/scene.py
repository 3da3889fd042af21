"""
One image of the `shapes` data set: which objects it has, what is visible of them, and their annotations.

An image is a function of (seed, split, index) alone. Objects are painted one after the other; their masks, boxes and
areas are those of the pixels that stay visible.
"""
from dataclasses import dataclass

import cv2
import numpy as np
import pycocotools.mask as mask_utils

from data.shapes.drawing import CLASS_NAMES, HEIGHT, WIDTH, background, draw_shape, paint, photograph
from data.shapes.tips import NAMES, to_keypoints

SIZE_RANGE = 12, 96      # longer edge of a whole shape, pixels
OBJECTS_RANGE = 2, 12    # in an image that has any
MIN_VISIBLE = 0.7        # share of an object's pixels that others and the image's border leave visible
EMPTY_SHARE = 0.04       # of the images
CROWD_SHARE = 0.05       # of the images that have objects
CROWD_OBJECTS_RANGE = 8, 15
CROWD_SIZE_RANGE = 7, 13
MAX_TRIES = 60           # to place the objects of an image
JPEG_QUALITY = 90


@dataclass
class _Object:
    """
    A painted object: its class 0..5, how many pixels it has when whole, bool (H, W), which of them one sees, and its
    tips, none of a crowd.
    """

    class_index: int
    is_crowd: bool
    num_pixels: int
    visible: np.ndarray
    tips: np.ndarray


def render_image(seed, split, index):
    """
    Draw one image.

    Args:
        seed (int)
        split (str): "train" or "val"
        index (int)

    Returns:
        bytes: a JPEG file of HEIGHT x WIDTH pixels
        list[dict]: COCO annotations without "id" and "image_id"
    """
    canvas, objects = draw_scene(seed, split, index)
    jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    annotations, above = [], np.zeros((HEIGHT, WIDTH), dtype=bool)
    for obj in objects[::-1]:
        annotations.append({**_annotation(obj), **_keypoints(obj, above)})
        above |= obj.visible
    return jpeg, annotations[::-1]


def draw_scene(seed, split, index):
    """Returns: uint8 (H, W, 3) BGR, and a list of `_Object`"""
    rng = np.random.default_rng([seed, ("train", "val").index(split), index])
    canvas = background(rng)
    objects = []
    if rng.random() >= EMPTY_SHARE:
        if rng.random() < CROWD_SHARE:
            _paint_crowd(rng, canvas, objects)
        num_objects = len(objects) + rng.integers(*OBJECTS_RANGE, endpoint=True)
        for _ in range(MAX_TRIES):
            _paint_object(rng, canvas, objects)
            if len(objects) == num_objects:
                break
    return photograph(rng, canvas), objects


def _paint_object(rng, canvas, objects):
    """Paint one shape at random, unless it would hide too much; append it to objects."""
    class_index = int(rng.integers(len(CLASS_NAMES)))
    size = rng.uniform(*np.sqrt(SIZE_RANGE)) ** 2
    shape = draw_shape(rng, class_index, size, rng.uniform((0, 0), (WIDTH, HEIGHT)))
    if _place(objects, class_index, shape.mask(), shape.num_pixels, tips=shape.tips):
        paint(rng, canvas, shape, has_rim=size > 24 and rng.random() < 0.3)


def _paint_crowd(rng, canvas, objects):
    """Paint a cluster of tiny shapes of one class, annotated as one crowd region."""
    class_index = int(rng.integers(len(CLASS_NAMES)))
    spread = rng.uniform(14, 24)
    centre = rng.uniform((3 * spread, 3 * spread), (WIDTH - 3 * spread, HEIGHT - 3 * spread))
    union = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for _ in range(rng.integers(*CROWD_OBJECTS_RANGE, endpoint=True)):
        offset = np.clip(rng.normal(0, spread, 2), -2.5 * spread, 2.5 * spread)
        shape = draw_shape(rng, class_index, rng.uniform(*CROWD_SIZE_RANGE), centre + offset)
        paint(rng, canvas, shape, has_rim=False)
        union |= shape.mask()
    _place(objects, class_index, union, int(union.sum()), is_crowd=True)


def _place(objects, class_index, mask, num_pixels, is_crowd=False, tips=()):
    """Append an object that covers all before it, unless too little of one would be left. Returns: bool, appended"""
    left = [obj.visible & ~mask for obj in objects]
    if mask.sum() < MIN_VISIBLE * num_pixels:
        return False
    if any(rest.sum() < MIN_VISIBLE * obj.num_pixels for rest, obj in zip(left, objects)):
        return False
    for obj, rest in zip(objects, left):
        obj.visible = rest
    objects.append(_Object(class_index, is_crowd, num_pixels, mask, np.reshape(tips, (-1, 2))))
    return True


def _annotation(obj):
    ys, xs = np.flatnonzero(obj.visible.any(axis=1)), np.flatnonzero(obj.visible.any(axis=0))
    x, y, w, h = (int(v) for v in (xs[0], ys[0], xs[-1] + 1 - xs[0], ys[-1] + 1 - ys[0]))
    segmentation = _crowd_rle(obj.visible) if obj.is_crowd else _polygons_or_rle(obj.visible)
    return {"category_id": obj.class_index + 1, "bbox": [x, y, w, h], "area": int(obj.visible.sum()),
            "iscrowd": int(obj.is_crowd), "segmentation": segmentation}


def _keypoints(obj, above):
    """Returns: dict, "keypoints" and "num_keypoints" of an object; empty for a class without tips"""
    count = len(NAMES.get(CLASS_NAMES[obj.class_index], ()))
    if obj.is_crowd and count:
        return {"keypoints": [0, 0, 0] * count, "num_keypoints": 0}
    return to_keypoints(obj.tips, above) if count else {}


# segmentations ----------------------------------------------------------------------------------------------------
def _crowd_rle(mask):
    """Uncompressed runs in column order, the first of zeros, as COCO writes its crowds."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()}


def _polygons_or_rle(mask):
    """One polygon along the edges of the pixels when it gives the mask exactly, else compressed RLE."""
    encoded = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    polygon = _outline_polygon(mask)
    if polygon and mask_utils.merge(mask_utils.frPyObjects([polygon], HEIGHT, WIDTH))["counts"] == encoded["counts"]:
        return [polygon]
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode("ascii")}


def _outline_polygon(mask):
    """Returns: list of int x, y, x, y, ... along the edges of the pixels; None when there is more than one outline"""
    # in an image three times as large, the outermost pixels of each pixel tell on which side of it the outline runs
    large = cv2.resize(mask.astype(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) != 1:
        return None
    points = (contours[0].reshape(-1, 2) + 1) // 3
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    return points.ravel().tolist() if len(points) >= 3 else None
