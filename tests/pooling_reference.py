"""RoI pooling by loops over bins and samples, in float64, as the papers' programs have it."""
import itertools
import math

import numpy as np


def bilinear(image, y, x):
    """The value of an image (H, W, C) at (y, x), where pixel (i, j) stands at (i, j); 0 from one pixel beyond it on."""
    height, width = image.shape[:2]
    value = np.zeros(image.shape[2])
    for i, j in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= i < height and 0 <= j < width:
            value += (1 - abs(y - i)) * (1 - abs(x - j)) * image[i, j]
    return value


def clamped(image, y, x):
    """Likewise, but within one pixel beyond the image the value of the nearest place inside it."""
    height, width = image.shape[:2]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(image.shape[2])
    return bilinear(image, min(max(y, 0), height - 1), min(max(x, 0), width - 1))


def roi_align(image, box, size, samples, is_shifted):
    """RoIAlign of a box in pixels of the image (H, W, C), as torchvision has it. Returns: (size, size, C)"""
    x1, y1, x2, y2 = np.float64(box) - (0.5 if is_shifted else 0)
    least = 0 if is_shifted else 1
    width, height = max(x2 - x1, least), max(y2 - y1, least)
    down = samples or max(math.ceil(height / size), 1)
    across = samples or max(math.ceil(width / size), 1)
    out = np.zeros((size, size, image.shape[2]))
    for p, q, i, j in itertools.product(range(size), range(size), range(down), range(across)):
        y = y1 + (p + (i + 0.5) / down) * height / size
        x = x1 + (q + (j + 0.5) / across) * width / size
        out[p, q] += clamped(image, y, x) / (down * across)
    return out


def boxes_on(height, width, count, seed=0):
    """Boxes (count, 4) on a map of a size, clipped to it: of all sizes and places, some without extent."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.2, 1.0, (count, 2)) * (width, height)
    extent = np.exp(rng.uniform(-2, 3.5, (count, 2)))
    extent[::7, 0] = extent[::11, 1] = 0
    boxes = np.concatenate([corner, corner + extent], axis=1)
    return boxes.clip(0, [width, height, width, height]).astype(np.float32)


def finite_differences(function, x, step):
    """Returns: array like x, the derivatives of a scalar function of one array"""
    grad = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        change = np.zeros_like(x)
        change[place] = step
        grad[place] = (function(x + change) - function(x - change)) / (2 * step)
    return grad
