"""Shapes and backgrounds of the `shapes` data set: outlines, colours and patterns, painted with anti-aliasing."""
from dataclasses import dataclass

import cv2
import numpy as np

from data.shapes.tips import find_tips

CLASS_NAMES = ("circle", "square", "triangle", "star", "cross", "ring")
HEIGHT, WIDTH = 192, 256
SUBSAMPLES = 4           # per pixel and axis, for anti-aliasing
MIN_CONTRAST = 100       # distance of colours, of 442 between black and white


@dataclass
class Shape:
    """
    A whole shape and where it lies.

    Attributes:
        rows, columns (slice): its window in the image
        alpha: float32 (h, w) of that window, which share of each pixel it covers
        inner: float32 (h, w), the same without its rim
        num_pixels (int): how many pixels it covers by half or more, also outside of the image
        tips: float64 (t, 2) x, y in the image's continuous coordinates, see `tips`; some may be outside of the image
    """

    rows: slice
    columns: slice
    alpha: np.ndarray
    inner: np.ndarray
    num_pixels: int
    tips: np.ndarray

    def mask(self):
        """Returns: bool (H, W)"""
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[self.rows, self.columns] = self.alpha >= 0.5
        return mask


def draw_shape(rng, class_index, size, centre):
    """
    Args:
        size (float): longer edge of the shape's bounding box, pixels
        centre: (x, y) of that box, pixels, inside the image

    Returns:
        Shape
    """
    contours = _fit(_contours(rng, CLASS_NAMES[class_index]), rng.uniform(0, 2 * np.pi), size)
    corner = np.floor(centre - size / 2).astype(int) - 1
    edge = int(size) + 4
    large = np.zeros((edge * SUBSAMPLES, edge * SUBSAMPLES), dtype=np.uint8)
    # OpenCV puts whole numbers at the centres of pixels, and takes 4 fractional bits
    points = [np.round(((c + centre - corner) * SUBSAMPLES - 0.5) * 16).astype(np.int32) for c in contours]
    cv2.fillPoly(large, points, 255, shift=4)
    rim = 2 * int(max(size * rng.uniform(0.03, 0.06), 1.2) * SUBSAMPLES) + 1
    inner = cv2.erode(large, np.ones((rim, rim), dtype=np.uint8))
    alpha, inner = (cv2.resize(c, (edge, edge), interpolation=cv2.INTER_AREA) / np.float32(255) for c in (large, inner))
    (x1, y1), (x2, y2) = np.maximum(corner, 0), np.minimum(corner + edge, (WIDTH, HEIGHT))
    window = slice(y1 - corner[1], y2 - corner[1]), slice(x1 - corner[0], x2 - corner[0])
    return Shape(slice(y1, y2), slice(x1, x2), alpha[window], inner[window], int((alpha >= 0.5).sum()),
                 find_tips(CLASS_NAMES[class_index], contours[0]) + centre)


def _contours(rng, name):
    """Returns: list of (k, 2) contours of a shape of any size; the second one is a hole"""
    if name == "circle":
        return [_ellipse(rng.uniform(1, 1.3))]
    if name == "ring":
        outer = _ellipse(rng.uniform(1, 1.3))
        return [outer, outer * rng.uniform(0.45, 0.62)]
    if name == "square":
        return [np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (rng.uniform(1, 1.15), 1)]
    if name == "triangle":
        return [_star(3, 0.5) * (rng.uniform(0.85, 1.2), 1)]
    if name == "star":
        return [_star(5, rng.uniform(0.4, 0.48)) * (rng.uniform(0.9, 1.1), 1)]
    arm = rng.uniform(0.25, 0.38)
    quarter = np.array([(1, -arm), (1, arm), (arm, arm)])
    turns = [quarter @ np.array([(c, s), (-s, c)]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    return [np.concatenate(turns) * (rng.uniform(0.9, 1.1), 1)]


def _ellipse(aspect):
    angles = np.arange(72) * (2 * np.pi / 72)
    return np.stack([np.cos(angles) * aspect, np.sin(angles)], axis=1)


def _star(num_points, inner_radius):
    """A star of radius 1; with 3 points and an inner radius of 0.5, a triangle"""
    angles = np.arange(2 * num_points) * (np.pi / num_points)
    radii = np.where(np.arange(2 * num_points) % 2 == 0, 1, inner_radius)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


def _fit(contours, angle, size):
    """Turn contours by an angle and scale them so that the longer edge of their box is `size`, centred at (0, 0)."""
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    turned = [contour @ turn for contour in contours]
    low, high = turned[0].min(axis=0), turned[0].max(axis=0)
    return [(contour - (low + high) / 2) * (size / (high - low).max()) for contour in turned]


# colours ----------------------------------------------------------------------------------------------------------
def background(rng):
    """Returns: float32 (H, W, 3) in 0..255"""
    base = rng.uniform(20, 235, 3)
    return _blend(base, _near(rng, base, 40, 130), _pattern(rng, HEIGHT, WIDTH, 12, 80))


def paint(rng, canvas, shape, has_rim):
    """Paint a shape on the canvas, in colours that stand out from what is under it."""
    before = canvas[shape.rows, shape.columns]
    base, other = _contrasting_colours(rng, before.reshape(-1, 3))
    fill = _blend(base, other, _pattern(rng, *shape.alpha.shape, 5, 24))
    if has_rim:
        rim = _near(rng, (base + other) / 2, 80, 200)
        fill = _blend(rim, fill, shape.inner)
    canvas[shape.rows, shape.columns] = _blend(before, fill, shape.alpha)


def _contrasting_colours(rng, before):
    """Returns: two colours for a fill, often the same, at a distance from the (n, 3) pixels before"""
    mean = before.mean(axis=0)
    best_contrast = -1
    for _ in range(20):
        base = rng.uniform(0, 255, 3)
        other = base if rng.random() < 0.4 else _near(rng, base, 30, 90)
        colour = (base + other) / 2
        # far from the mean, which could lie between two stripes, and far from the pixels one by one
        contrast = min(np.linalg.norm(mean - colour), 0.8 * np.linalg.norm(before - colour, axis=1).mean())
        if contrast > best_contrast:
            best, best_contrast = (base, other), contrast
        if contrast >= MIN_CONTRAST:
            break
    return best


def _near(rng, colour, low, high):
    """Returns: a colour at a distance between low and high, or less at the ends of the range of colours"""
    direction = rng.normal(size=3)
    return np.clip(colour + direction / np.linalg.norm(direction) * rng.uniform(low, high), 0, 255)


def _blend(first, second, share):
    """first where the (h, w) share is 0, second where it is 1. Returns: float32 (h, w, 3)"""
    return (first + (second - first) * share[..., None]).astype(np.float32)


def _pattern(rng, height, width, shortest, longest):
    """
    A gradient, stripes, a checkerboard or noise.

    Args:
        shortest, longest (float): range of the pattern's period, pixels

    Returns:
        float32 (height, width) in 0..1
    """
    kind = rng.integers(4)
    period = rng.uniform(shortest, longest)
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    if kind == 0:
        return _value_noise(rng, height, width, period)
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    if kind == 1:
        return (u - u.min()) / max(u.max() - u.min(), 1)
    wave = np.sin(u * np.float32(2 * np.pi / period) + np.float32(phase))
    if kind == 2:
        v = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
        wave *= np.sin(v * np.float32(2 * np.pi / period))
    return np.clip(0.5 + wave * np.float32(rng.uniform(0.5, 4)), 0, 1)


def _value_noise(rng, height, width, period):
    """Three octaves of random values on a grid, interpolated. Returns: float32 (height, width) in 0..1"""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(3):
        shape = [int(np.ceil(s * 2**octave / period)) + 1 for s in (height, width)]
        grid = rng.random(shape, dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, np.float32(1e-6))


def photograph(rng, canvas):
    """Slight blur and sensor noise. Returns: uint8 (H, W, 3)"""
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.8))
    noise = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(canvas + noise + 0.5, 0, 255).astype(np.uint8)
