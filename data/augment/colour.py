"""Colours that a camera or the light could have made otherwise."""
from typing import NamedTuple

import cv2
from tensorpack.dataflow import imgaug


class ColourRange(NamedTuple):
    """How far colours are changed; 0 is not at all."""

    brightness: float = 0.0    # in 0..1: all values times 1 - brightness to 1 + brightness
    contrast: float = 0.0      # in 0..1: differences to the mean times 1 - contrast to 1 + contrast
    saturation: float = 0.0    # in 0..1, less than 1: differences to grey likewise
    hue: float = 0.0           # in 0..180: turned by so many degrees of the colour circle, either way
    grey: float = 0.0          # in 0..1: probability that the image becomes grey


class Colours:
    """
    Changes colours by tensorpack's imgaug, in the order of `ColourRange`.

    Args:
        limits (ColourRange)
    """

    def __init__(self, limits):
        makers = {
            "brightness": lambda b: imgaug.BrightnessScale((1 - b, 1 + b)),
            "contrast": lambda c: imgaug.Contrast((1 - c, 1 + c)),
            "saturation": lambda s: imgaug.Saturation(s, rgb=False),
            # OpenCV's hue counts in steps of two degrees
            "hue": lambda h: imgaug.Hue((-h / 2, h / 2), rgb=False)}
        self._augmentors = [make(getattr(limits, name)) for name, make in makers.items() if getattr(limits, name) > 0]
        self._grey = limits.grey

    def __call__(self, rng, image):
        """
        Args:
            rng (np.random.Generator): of all random choices
            image: uint8 (h, w, 3) BGR

        Returns:
            uint8 (h, w, 3)
        """
        for augmentor in self._augmentors:
            augmentor.rng = rng
            image = augmentor.augment(image)
        if self._grey > 0 and rng.random() < self._grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        return image
