"""Copy-paste: objects of one image put over another (Ghiasi et al. 2021, "Simple Copy-Paste")."""
from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from typing import NamedTuple

import cv2
import numpy as np

from data.augment.bounds import bounds_of_pixels, has_area, intersect, pixel_range
from data.augment.objects import CROWD_LABEL, Objects, see_pixels
from data.augment.view import View
from data.records import Record
from data.segmentation import sample_pixels

MIN_VISIBLE = 0.1       # share of an object's pixels; with less left it is dropped
FEATHER_SIGMA = 1.0     # pixels, of the Gaussian that softens the edges of what is pasted
_FEATHER_REACH = 4      # pixels around an object that the Gaussian changes
_NOBODY = -1


class Scene(NamedTuple):
    """
    An image as it is seen, and its objects.

    Attributes:
        image: uint8 (h, w, 3)
        objects (Objects)
        record (Record), view (View): where both come from
    """

    image: np.ndarray
    objects: Objects
    record: Record
    view: View


class _Layer:
    """
    The pixels of object i of a scene that lies at a corner.

    Attributes:
        region: ints x1, y1, x2, y2, where its box is
        mask: bool (y2 - y1, x2 - x1), which of these pixels are the object's: all where it has no mask
    """

    def __init__(self, scene, i, corner=(0, 0)):
        self._scene, self._number = scene, scene.objects.numbers[i]
        self._seen = pixel_range(scene.objects.boxes[i], scene.view.size)
        self.region = tuple(np.add(self._seen, [*corner, *corner]).tolist())

    @functools.cached_property    # most objects are not covered, and nobody asks
    def mask(self):
        record, (x1, y1, x2, y2) = self._scene.record, self._seen
        if record.segmentations[self._number] is None:
            return np.ones((y2 - y1, x2 - x1), dtype=bool)
        return see_pixels(record, self._scene.view, self._number, self._seen)

    def part_of(self, canvas):
        x1, y1, x2, y2 = self.region
        return canvas[y1:y2, x1:x2]


def choose_objects(rng, scene):
    """
    Args:
        scene (Scene): whose objects are to be pasted

    Returns:
        Scene with a random number of its objects, at least one, which are no crowds and have a mask
    """
    segmentations = scene.record.segmentations
    usable = [i for i, number in enumerate(scene.objects.numbers)
              if scene.objects.labels[i] != CROWD_LABEL and segmentations[number] is not None]
    if usable:
        usable = np.sort(rng.choice(usable, rng.integers(1, len(usable), endpoint=True), replace=False))
    return scene._replace(objects=scene.objects.select(np.array(usable, dtype=np.intp)))


def paste(scene, source, corner):
    """
    Put all objects of `source` over `scene`, each over those before it, but for those that are smaller than a pixel.

    The pixels of an object are those whose centre is in its mask. Pasted edges are feathered in the image alone. What
    is covered of an object is no longer its own: its box becomes the bounds of the pixels that are left, its mask is
    sampled from them, and its covered keypoints are hidden ones. With less than MIN_VISIBLE of its pixels left it is
    dropped. Crowd regions stay as they are.

    Args:
        scene (Scene)
        source (Scene): its objects have masks
        corner: ints x, y of where in `scene` the top left corner of `source` lies; all of it lies inside

    Returns:
        uint8 (h, w, 3), and Objects: those of `scene` before the pasted ones
    """
    canvas = np.full(scene.image.shape[:2], _NOBODY, dtype=np.int32)    # which of the pasted is uppermost
    above = [_Layer(source, i, corner) for i in range(len(source.objects.labels))]
    has_pixels = np.array([layer.mask.any() for layer in above], dtype=bool)
    above = list(itertools.compress(above, has_pixels))
    for i, layer in enumerate(above):
        layer.part_of(canvas)[layer.mask] = i
    pasted = _uncovered(_moved(source.objects.select(has_pixels), corner), above, canvas, range(len(above)))
    below = [_Layer(scene, i) for i in range(len(scene.objects.labels))]
    left = _uncovered(scene.objects, below, canvas, [_NOBODY] * len(below))
    return _blend(scene.image, source.image, corner, canvas != _NOBODY), left.join(pasted)


def _moved(objects, corner):
    keypoints = objects.keypoints
    if keypoints is not None:
        keypoints = keypoints + np.float32([*corner, 0]) * (keypoints[..., 2:] > 0)
    return dataclasses.replace(objects, boxes=objects.boxes + np.float32([*corner, *corner]), keypoints=keypoints)


def _uncovered(objects, layers, canvas, heights):
    """What is left of objects under those of the canvas that have a greater number than their height."""
    objects = copy.deepcopy(objects)
    is_left = np.ones(len(layers), dtype=bool)
    for i, (layer, height) in enumerate(zip(layers, heights)):
        covered = layer.part_of(canvas) > height
        if objects.labels[i] != CROWD_LABEL and covered.any() and (covered & layer.mask).any():
            visible = layer.mask & ~covered
            is_enough = np.count_nonzero(visible) >= max(1, MIN_VISIBLE * np.count_nonzero(layer.mask))
            is_left[i] = is_enough and _cut(objects, i, layer.region, visible)
        if objects.keypoints is not None:
            _hide(objects.keypoints[i], canvas, height)
    return objects.select(is_left)


def _cut(objects, i, region, visible):
    """Reduce object i to pixels of a region, at least one. Returns: bool, whether its box and mask have any"""
    corner = np.float32([*region[:2], *region[:2]])
    objects.boxes[i] = box = intersect(bounds_of_pixels(visible) + corner, objects.boxes[i])
    if objects.masks is None or not has_area(box):
        return has_area(box)
    objects.masks[i] = sample_pixels(visible, box - corner, objects.masks.shape[1:])
    return objects.masks[i].any()


def _hide(keypoints, canvas, height):
    """Make those of float32 (K, 3) keypoints hidden ones that lie under an object of the canvas."""
    height_limit, width_limit = canvas.shape
    xs = np.clip(keypoints[:, 0], 0, width_limit - 1).astype(np.intp)
    ys = np.clip(keypoints[:, 1], 0, height_limit - 1).astype(np.intp)
    keypoints[:, 2] = np.where(canvas[ys, xs] > height, np.minimum(keypoints[:, 2], 1), keypoints[:, 2])


def _blend(image, pasted, corner, mask):
    """
    Args:
        image: uint8 (h, w, 3)
        pasted: uint8 (h', w', 3), which lies at a corner of the image
        corner: ints x, y
        mask: bool (h, w), what of it replaces the image

    Returns:
        uint8 (h, w, 3)
    """
    bounds = bounds_of_pixels(mask)
    if bounds is None:
        return image
    (x, y), (height, width) = corner, pasted.shape[:2]
    reach = np.array([-1, -1, 1, 1]) * _FEATHER_REACH
    x1, y1, x2, y2 = intersect(bounds + reach, [x, y, x + width, y + height]).astype(int)
    # what is beyond the pasted image shows nothing, so its border is not feathered
    alpha = cv2.GaussianBlur(mask[y1:y2, x1:x2].astype(np.float32), (0, 0), FEATHER_SIGMA,
                             borderType=cv2.BORDER_REPLICATE)[..., None]
    blended = image.copy()
    before, after = image[y1:y2, x1:x2], pasted[y1 - y:y2 - y, x1 - x:x2 - x]
    blended[y1:y2, x1:x2] = before + alpha * (after.astype(np.float32) - before) + 0.5
    return blended
