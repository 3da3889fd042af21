"""RoI pooling by loops over bins and samples, as the papers' programs have it, and an example to try it on."""
import itertools
import math

import numpy as np
import tensorflow as tf

from graph import build, gradients
from modeling.padding import Padding

SIZES = np.int32([(40, 56), (32, 40)])    # of two images at stride 4: the second ends before the batch does


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


def roi_crop(image, box, size, samples):
    """RoICrop of a box in pixels of the image (H, W, C). Returns: (size, size, C)"""
    count = size * samples
    x1, y1, x2, y2 = np.float64(box)
    grid = [[bilinear(image, y, x) for x in np.linspace(x1, x2, count)] for y in np.linspace(y1, y2, count)]
    return np.reshape(grid, (size, samples, size, samples, -1)).max(axis=(1, 3))


def bins(low, high, size, end):
    """First pixel of each bin of an RoI along one axis, and that behind its last, in torchvision's float32."""
    low, high = (int(np.copysign(np.floor(abs(x) + 0.5), x)) for x in np.float64([low, high]))
    step = np.float32(max(high - low + 1, 1)) / np.float32(size)
    return [(min(max(int(np.floor(np.float32(p) * step)) + low, 0), end),
             min(max(int(np.ceil(np.float32(p + 1) * step)) + low, 0), end)) for p in range(size)]


def roi_pool(image, box, size):
    """RoIPool of a box in pixels of the image (H, W, C). Returns: (size, size, C)"""
    x1, y1, x2, y2 = box
    out = np.zeros((size, size, image.shape[2]), image.dtype)
    for p, (top, bottom) in enumerate(bins(y1, y2, size, image.shape[0])):
        for q, (left, right) in enumerate(bins(x1, x2, size, image.shape[1])):
            if bottom > top and right > left:
                out[p, q] = image[top:bottom, left:right].max(axis=(0, 1))
    return out


def boxes_on(height, width, count, seed=0):
    """Boxes (count, 4) on a map of a size, clipped to it: of all sizes and places, some without extent."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.2, 1.0, (count, 2)) * (width, height)
    extent = np.exp(rng.uniform(-2, 3.5, (count, 2)))
    extent[::7, 0] = extent[::11, 1] = 0
    boxes = np.concatenate([corner, corner + extent], axis=1)
    return boxes.clip(0, [width, height, width, height]).astype(np.float32)


def example(channels, count):
    """Returns: features (2, 10, 14, channels) of images of SIZES, boxes (count, 4) on them, their image indices"""
    features = np.random.default_rng(0).normal(size=(2, 10, 14, channels)).astype(np.float32)
    image_index = np.arange(count, dtype=np.int32) % 2
    return features, np.where(image_index[:, None], boxes_on(8, 10, count), boxes_on(10, 14, count)), image_index


def of_each_box(function, features, boxes, image_index):
    """Returns: list of what a function gives for the own image (H, W, C) of each box, and the box"""
    own = [features[0], features[1, :8, :10]]
    return [function(own[i], box) for i, box in zip(image_index, boxes)]


def pooled_by(kind, size=3):
    """Returns: a function of tensors as `example` has them"""
    def pooled(features, boxes, image_index):
        padding = Padding(tf.constant(SIZES), tf.constant(SIZES[0]), 4)
        return kind.pool(kind.surround(features, padding, 4), boxes, image_index, size)
    return pooled


def gradient_and_finite_differences(kind, step):
    """Returns: two arrays (2, 10, 14, 1), of a weighted sum of what is pooled of an example"""
    features, boxes, image_index = example(channels=1, count=8)
    weights = np.random.default_rng(1).normal(size=(8, 3, 3, 1)).astype(np.float32)

    def weighted(features):
        return tf.reduce_sum(pooled_by(kind)(features, tf.constant(boxes), tf.constant(image_index)) * weights)

    value, differences = build(weighted, features), np.zeros(features.shape)
    for place in np.ndindex(features.shape):
        change = np.zeros_like(features)
        change[place] = step
        differences[place] = (value(features + change) - value(features - change)) / (2 * step)
    return gradients(weighted, features)[0], differences
