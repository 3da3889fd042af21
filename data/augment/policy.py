"""What is drawn for a training image: which part of it is seen, how large, mirrored or not, and what is pasted."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.augment.bounds import has_area, intersect
from data.augment.colour import ColourRange
from data.augment.crop import aspect_window, jitter, random_window
from data.augment.view import View
from data.images import resize_shape


@dataclass(frozen=True)
class Policy:
    """
    The augmentation of training images. What is off draws no random numbers.

    Attributes:
        short_edge_range: shortest and longest short edge in pixels, drawn uniformly
        max_size (int): longest long edge in pixels
        short_edges: where there are any, one of them is the short edge instead
        flip, flip_up_down (float): probabilities that an image is mirrored
        aspect_limits: smallest and largest width / height, beyond which an image is cropped; None: any
        crop_sides: shortest and longest side of a random crop, see `random_window`; empty: none
        crop (float): probability of the random crop
        jitter_size (int): side of the square of large-scale jitter, which takes the place of short edges; 0: off
        jitter_scale: its smallest and largest factor, see `jitter`
        copy_paste (float): probability that objects of another image are pasted
        copy_paste_scale: smallest and largest factor of what is pasted, see `jitter`
        colours (ColourRange)
    """

    short_edge_range: tuple[int, int] = (800, 800)
    max_size: int = 1333
    short_edges: tuple[int, ...] = ()
    flip: float = 0.5
    flip_up_down: float = 0.0
    aspect_limits: tuple[float, float] | None = None
    crop_sides: tuple[float, ...] = ()
    crop: float = 1.0
    jitter_size: int = 0
    jitter_scale: tuple[float, float] = (0.1, 2.0)
    copy_paste: float = 0.0
    copy_paste_scale: tuple[float, float] = (0.1, 2.0)
    colours: ColourRange = ColourRange()

    def draw_view(self, rng, size, boxes, is_kept):
        """
        Args:
            rng (np.random.Generator): of the image
            size: its (height, width)
            boxes: float32 (n, 4) of its objects that are no crowds
            is_kept: a function from a window to whether one of these objects is seen in it

        Returns:
            View
        """
        short_edge, mirrors = self._draw_short_edge(rng), self._draw_mirrors(rng)
        window = self._draw_window(rng, size, boxes, is_kept)
        seen_size = window[3] - window[1], window[2] - window[0]
        if not self.jitter_size:
            return View(window, resize_shape(*seen_size, short_edge, self.max_size), *mirrors)
        part, new_size = jitter(rng, seen_size, self.jitter_scale, (self.jitter_size, self.jitter_size))
        return View(_within(window, part), new_size, *mirrors)

    def draw_pasted_view(self, rng, size, canvas):
        """
        Args:
            size: (height, width) of the image whose objects are pasted
            canvas: (height, width) of the one that they are pasted on

        Returns:
            View, no larger than the canvas, and ints x, y: where on the canvas its top left corner is, drawn uniformly
        """
        mirrors = self._draw_mirrors(rng)
        window, new_size = jitter(rng, size, self.copy_paste_scale, canvas)
        y, x = (int(rng.integers(limit - side, endpoint=True)) for limit, side in zip(canvas, new_size))
        return View(window, new_size, *mirrors), (x, y)

    def _draw_short_edge(self, rng):
        if self.jitter_size:
            return None
        if self.short_edges:
            return int(rng.choice(self.short_edges))
        return int(rng.integers(*self.short_edge_range, endpoint=True))

    def _draw_mirrors(self, rng):
        mirror_x = bool(rng.random() < self.flip)
        return mirror_x, bool(self.flip_up_down > 0 and rng.random() < self.flip_up_down)

    def _draw_window(self, rng, size, boxes, is_kept):
        window = (0, 0, size[1], size[0])
        if self.aspect_limits:
            window = aspect_window(rng, size, boxes, self.aspect_limits)
        if self.crop_sides and rng.random() < self.crop:
            seen_size = window[3] - window[1], window[2] - window[0]
            part = random_window(rng, seen_size, _seen_in(window, boxes), self.crop_sides)
            cropped = _within(window, part)
            # an object can be hollow where the crop is
            window = cropped if is_kept(cropped) or not is_kept(window) else window
        return window


def make_policy(preproc):
    """
    Args:
        preproc (AttrDict): the config's part PREPROC

    Returns:
        Policy
    """
    return Policy(
        short_edge_range=tuple(preproc.TRAIN_SHORT_EDGE_SIZE), max_size=preproc.MAX_SIZE,
        short_edges=tuple(preproc.TRAIN_SHORT_EDGES), flip=preproc.FLIP, flip_up_down=preproc.FLIP_UP_DOWN,
        aspect_limits=tuple(preproc.ASPECT_LIMITS) if preproc.ASPECT_CROPPING else None,
        crop_sides=tuple(preproc.RANDOM_CROP), crop=preproc.RANDOM_CROP_PROBABILITY,
        jitter_size=preproc.JITTER_SIZE, jitter_scale=tuple(preproc.JITTER_SCALE),
        copy_paste=preproc.COPY_PASTE, copy_paste_scale=tuple(preproc.COPY_PASTE_SCALE),
        colours=ColourRange(preproc.BRIGHTNESS, preproc.CONTRAST, preproc.SATURATION, preproc.HUE, preproc.GREY))


def _within(window, part):
    """Where in the image a part of a window lies."""
    return tuple(int(v) for v in np.add(part, [*window[:2], *window[:2]]))


def _seen_in(window, boxes):
    """float32 (m, 4), those of the boxes that reach into a window, clipped and in its own pixels"""
    clipped = [intersect(box, np.float32(window)) for box in boxes]
    kept = [box - np.float32([*window[:2], *window[:2]]) for box in clipped if has_area(box)]
    return np.array(kept, dtype=np.float32).reshape(-1, 4)
