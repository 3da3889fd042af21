"""
Keypoints of detections. They stay as the network gives them, logits of places inside their box, until they are asked
for: each is where its logits are largest once they are resized to the box's pixels.
"""
import math
from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

CUBIC = -0.75         # coefficient of the cubic kernel: OpenCV's and torch's
# Inside a cell of four places, an interpolated value exceeds the largest of the sixteen that it is made of by at most
# this part of what they span: half of what the weights' absolute values sum to beyond 1
OVERSHOOT = ((1 - CUBIC / 2) ** 2 - 1) / 2
ROUNDING = 1e-6       # of a float32 that is made of sixteen others
SMALL = 2 ** 17       # pixels of a box, up to which resizing the whole map is faster than looking where it is large
MAX_VALUES = 2 ** 20  # interpolated values that are looked at together


class _Samples(NamedTuple):
    """
    The pixels of a resized axis by the cell that they lie in, between two of its places; the first cell is before the
    first place and the last behind the last.

    Attributes:
        starts: int (cells + 1,), the first pixel of each cell, and one past the last
        weights: float32 (pixels, 4), of the two places before each pixel and the two behind it
    """

    starts: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, num_places, size):
        """Returns: _Samples of `size` pixels that divide the axis evenly"""
        at = (np.arange(size) + 0.5) * (num_places / size) - 0.5
        cells = np.floor(at)
        distance = np.abs((at - cells)[:, None] - np.arange(-1, 3))
        weights = np.where(distance <= 1, ((CUBIC + 2) * distance - (CUBIC + 3)) * distance ** 2 + 1,
                           CUBIC * (distance - 1) * (distance - 2) ** 2)
        return cls(np.searchsorted(cells, np.arange(-1, num_places + 1)), weights.astype(np.float32))

    def counts(self):
        """Returns: int (cells,), how many pixels each has"""
        return np.diff(self.starts)

    def pixels(self, cells):
        """Returns: int (len(cells), M), the pixels of each of the cells, the last of which is there several times"""
        return np.minimum(self.starts[cells, None] + np.arange(self.counts().max()), self.starts[cells + 1, None] - 1)


class _Peaks(NamedTuple):
    """P values, the row and column of each, and which of the maps they are of"""

    rows: np.ndarray
    columns: np.ndarray
    maps: np.ndarray
    values: np.ndarray


def _largest_in_cells(padded, cells, rows, columns):
    """
    Args:
        padded: float32 (h + 4, w + 4, K)
        cells: int (3, P), the row and column of some cells, and which of the maps
        rows, columns (_Samples)

    Returns:
        _Peaks, the largest value in each of the cells
    """
    i, j, k = cells
    four = np.arange(4)
    patches = padded[i[:, None, None] + four[:, None], j[:, None, None] + four, k[:, None, None]]
    i, j = rows.pixels(i), columns.pixels(j)
    values = (rows.weights[i] @ patches @ columns.weights[j].transpose(0, 2, 1)).reshape(len(k), -1)
    best = values.argmax(axis=1)
    each = np.arange(len(k))
    return _Peaks(i[each, best // j.shape[1]], j[each, best % j.shape[1]], k, values[each, best])


def _bounds(padded):
    """Returns: float32 (h + 1, w + 1, K), what no interpolated value in a cell exceeds"""
    low, high = padded, padded
    for axis in (0, 1):
        four = [[slice(i, i + padded.shape[axis] - 3) if a == axis else slice(None) for a in range(3)]
                for i in range(4)]
        low = np.minimum.reduce([low[tuple(part)] for part in four])
        high = np.maximum.reduce([high[tuple(part)] for part in four])
    return high + OVERSHOOT * (high - low)


def find_peaks(maps, height, width):
    """
    Find where some maps are largest once they are resized by cubic interpolation, as OpenCV's INTER_CUBIC does it.

    Args:
        maps: float32 (h, w, K)
        height, width (int): pixels that they are resized to

    Returns:
        int (K,), int (K,), float32 (K,): rows, columns and values
    """
    return (_find_in_all if height * width <= SMALL else _find_in_cells)(maps, height, width)


def _find_in_all(maps, height, width):
    resized = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
               for plane in np.ascontiguousarray(maps.transpose(2, 0, 1))]
    best = np.array([int(plane.argmax()) for plane in resized])
    return best // width, best % width, np.array([plane.flat[i] for plane, i in zip(resized, best)])


def _find_in_cells(maps, height, width):
    """
    Only those cells are resized whose values could exceed what the most promising cell has. Time and memory hardly grow
    with the box.
    """
    num_maps = maps.shape[2]
    padded = np.pad(maps, ((2, 2), (2, 2), (0, 0)), mode="edge")
    rows, columns = _Samples.of(maps.shape[0], height), _Samples.of(maps.shape[1], width)
    bounds = _bounds(padded)
    bounds[rows.counts() == 0], bounds[:, columns.counts() == 0] = -np.inf, -np.inf
    first = np.unravel_index(bounds.reshape(-1, num_maps).argmax(axis=0), bounds.shape[:2])
    peaks = [_largest_in_cells(padded, np.stack([*first, np.arange(num_maps)]), rows, columns)]
    values = peaks[0].values
    cells = np.stack(np.nonzero(bounds > values + ROUNDING * np.abs(values)))
    at_once = max(MAX_VALUES // (rows.counts().max() * columns.counts().max()), 1)
    peaks += [_largest_in_cells(padded, cells[:, begin:begin + at_once], rows, columns)
              for begin in range(0, cells.shape[1], at_once)]
    peaks = _Peaks(*map(np.concatenate, zip(*peaks)))
    best = np.zeros(num_maps, dtype=int)
    order = np.argsort(peaks.values)
    best[peaks.maps[order]] = order    # the last of each stays
    return peaks.rows[best], peaks.columns[best], peaks.values[best]


def decode_keypoints(logits, boxes):
    """
    Bring keypoints from their boxes to the image (He et al. 2017, "Mask R-CNN", as in Detectron).

    Args:
        logits: float32 (N, h, w, K), of the places of a grid that spans each box
        boxes: (N, 4) in pixels

    Returns:
        float32 (N, K, 2), x and y in the image, and float32 (N, K), the logits there
    """
    num_maps = logits.shape[3]
    points, values = np.zeros((len(boxes), num_maps, 2), np.float32), np.zeros((len(boxes), num_maps), np.float32)
    for i, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, dtype=np.float64).tolist()):
        width, height = max(x2 - x1, 1), max(y2 - y1, 1)
        rows, columns, values[i] = find_peaks(logits[i], math.ceil(height), math.ceil(width))
        points[i, :, 0] = x1 + (columns + 0.5) * (width / math.ceil(width))
        points[i, :, 1] = y1 + (rows + 0.5) * (height / math.ceil(height))
    return points, values


def keypoint_scores(logits, values):
    """
    The probability of a keypoint's place among those of the grid, as Detectron2 has it.

    Args:
        logits: float32 (N, h, w, K)
        values: float32 (N, K), the logits at the keypoints

    Returns:
        float32 (N, K) in 0..1
    """
    largest = logits.max(axis=(1, 2))
    total = np.exp(logits - largest[:, None, None]).sum(axis=(1, 2))
    return np.minimum(np.exp(values - largest) / total, 1)
