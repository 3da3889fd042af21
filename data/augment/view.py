"""What part of an image the network sees, and how: one description that pixels, boxes, masks and keypoints follow."""
from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np

from data.images import resize_image


class View(NamedTuple):
    """
    A window of an image, resized and then mirrored.

    A point (x, y) of the image is seen at ((x - x1) * width / (x2 - x1), (y - y1) * height / (y2 - y1)), before it is
    mirrored. Masks travel as box-frame masks, samples of an object inside its own box (`segmentation.box_frame_mask`):
    resizing leaves them as they are and mirroring only mirrors them.

    Attributes:
        window: whole pixels x1, y1, x2, y2 of the image
        size: (height, width) that the window is resized to
        mirror_x (bool): left and right are swapped
        mirror_y (bool): up and down are swapped
    """

    window: tuple[int, int, int, int]
    size: tuple[int, int]
    mirror_x: bool = False
    mirror_y: bool = False

    def see_image(self, image):
        """uint8 (h, w, 3), the whole image, to (height, width, 3)"""
        x1, y1, x2, y2 = self.window
        seen = resize_image(image[y1:y2, x1:x2], *self.size)
        return cv2.flip(seen, self._flip_code) if self.mirror_x or self.mirror_y else seen

    def see_boxes(self, boxes):
        """float32 (n, 4) boxes of the image, inside the window, to float32 (n, 4)"""
        x1, y1 = self.window[:2]
        seen = (boxes - np.array([x1, y1, x1, y1], dtype=np.float32)) * self._scale
        return self._mirror_boxes(seen)

    def find_boxes(self, boxes):
        """Where in the image (n, 4) boxes are that are seen: float64 (n, 4), the inverse of `see_boxes`"""
        x1, y1, x2, y2 = self.window
        height, width = self.size
        shares = self._mirror_boxes(np.asarray(boxes, dtype=np.float64)) / [width, height, width, height]
        return shares * [x2 - x1, y2 - y1, x2 - x1, y2 - y1] + [x1, y1, x1, y1]

    def see_masks(self, masks):
        """(n, h, w) masks in the frame of boxes, to the same of what the boxes are seen as"""
        masks = masks[:, :, ::-1] if self.mirror_x else masks
        return masks[:, ::-1] if self.mirror_y else masks

    def see_keypoints(self, keypoints, partners):
        """
        Args:
            keypoints: float64 (n, K, 3) of the image, as `Record` has them
            partners: int (K,) or (n, K), the number of what each keypoint is called in a mirror (`mirror_partners`)

        Returns:
            float32 (n, K, 3); those that are not labelled or not in the window are 0, 0, 0
        """
        x1, y1, x2, y2 = self.window
        points, is_seen = keypoints[..., :2], keypoints[..., 2:] > 0
        is_seen &= ((points >= (x1, y1)) & (points <= (x2, y2))).all(axis=-1, keepdims=True)
        points = (points - (x1, y1)) * self._scale[:2].astype(np.float64)
        height, width = self.size
        if self.mirror_x:
            points[..., 0] = width - points[..., 0]
        if self.mirror_y:
            points[..., 1] = height - points[..., 1]
        seen = np.where(is_seen, np.concatenate([points, keypoints[..., 2:]], axis=-1), 0).astype(np.float32)
        # a left hand is a right one in a mirror, and a left one again in two
        if self.mirror_x == self.mirror_y:
            return seen
        return np.take_along_axis(seen, np.broadcast_to(partners, seen.shape[:2])[..., None], axis=1)

    @property
    def _scale(self):
        x1, y1, x2, y2 = self.window
        return np.array([self.size[1] / (x2 - x1), self.size[0] / (y2 - y1)] * 2, dtype=np.float32)

    @property
    def _flip_code(self):
        """of cv2.flip"""
        return -1 if self.mirror_x and self.mirror_y else int(self.mirror_x)

    def _mirror_boxes(self, boxes):
        height, width = self.size
        mirrored = boxes.copy()
        if self.mirror_x:
            mirrored[:, 0], mirrored[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
        if self.mirror_y:
            mirrored[:, 1], mirrored[:, 3] = height - boxes[:, 3], height - boxes[:, 1]
        return mirrored


def mirror_partners(names, of_class=()):
    """
    Args:
        names: K names of keypoints, such as "left_eye", "LeftEye" or "l_eye"
        of_class: as of a `Skeleton`, the numbers of the keypoints of each of N classes; (): every class has all

    Returns:
        int64 (K,), the number of the name with left and right swapped; its own where there is none. With `of_class` it
        is (N, K), where each class has swapped what it has both of
    """
    numbers = {name.lower(): number for number, name in enumerate(names)}
    partners = [numbers.get(_mirrored(name.lower()), number) for number, name in enumerate(names)]
    if of_class:
        partners = [[partner if {partner, i} <= set(own) else i for i, partner in enumerate(partners)]
                    for own in of_class]
    return np.array(partners, dtype=np.int64)


def _mirrored(name):
    swap = {"left": "right", "right": "left", "l": "r", "r": "l"}
    return re.sub(r"left|right|(?<![a-z])[lr](?![a-z])", lambda found: swap[found[0]], name)
