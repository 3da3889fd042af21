"""What the values of an annotation in COCO's format must be, alone and in arrays."""
from __future__ import annotations

import numpy as np

from data.records import Unusable
from data.segmentation import MAX_REACH

MAX_NUMBER = 1e30
KEYPOINT_SHIFT = 0.5     # COCO's keypoints are numbers of pixels; continuous coordinates of their centres are half more


# single values ------------------------------------------------------------------------------------------------------
def is_id(value: object) -> bool:
    """Returns: whether it is a whole number of 64 bits"""
    return isinstance(value, int) and not isinstance(value, bool) and -2**63 <= value < 2**63


def is_number(value: object) -> bool:
    """Returns: whether it is a number that can be reckoned with"""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_NUMBER   # false for NaN


def check_box(bbox: object, height: int, width: int):
    """Raises: Unusable: it is no x, y, width, height of which something lies in the image"""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_number, bbox)):
        raise Unusable(f"bbox is {str(bbox)[:80]}, not 4 numbers", "box-form")
    if bbox[2] <= 0 or bbox[3] <= 0:
        raise Unusable(f"bbox is {bbox}, its width and height must be positive", "box-empty")
    if not are_good_boxes(np.array([bbox], dtype=np.float64), np.array([[height, width]])).all():
        raise Unusable(f"bbox is {bbox}, outside of the image, which is {width} wide and {height} high", "box-outside")


def parse_keypoints(values: object, count: int, height: int, width: int) -> np.ndarray:
    """
    Returns: float64 (count, 3), at least one; zeros for an object without keypoints

    Raises:
        Unusable
    """
    if values is None or values == []:
        return np.zeros((count, 3))
    if not isinstance(values, list) or len(values) != 3 * count or not all(map(is_number, values)):
        raise Unusable(f"keypoints is {str(values)[:80]}, not {3 * count} numbers", "keypoints-form")
    keypoints = np.array(values, dtype=np.float64).reshape(1, count, 3)
    if not are_good_keypoints(keypoints, np.array([[height, width]])).all():
        raise Unusable("a keypoint is far outside of the image, or its third number is not 0, 1 or 2", "keypoints")
    return shift_keypoints(keypoints)[0]


# rules on arrays ----------------------------------------------------------------------------------------------------
def are_good_boxes(bboxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """
    Args:
        bboxes: float64 (n, 4) x, y, width, height
        sizes: (n, 2), height and width of their images

    Returns:
        bool (n,), whether something of the box lies in the image, also as float32
    """
    limits = sizes[:, ::-1]
    starts = np.maximum(bboxes[:, :2], 0).astype(np.float32)
    ends = np.minimum(bboxes[:, :2] + bboxes[:, 2:], limits).astype(np.float32)
    return ((np.abs(bboxes) < MAX_NUMBER).all(axis=1) & (bboxes[:, 2:] > 0).all(axis=1) & (starts < ends).all(axis=1))


def are_good_polygons(values: np.ndarray, lengths: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """
    Args:
        values: float64, coordinates of P polygons one behind the other
        lengths: (P,), how many each has
        sizes: (P, 2), height and width of their images

    Returns:
        bool (P,), by the rules of `segmentation.parse_segmentation`
    """
    good = (lengths >= 6) & (lengths % 2 == 0)
    filled = np.flatnonzero(lengths)
    if len(filled):
        starts = np.cumsum(lengths) - lengths
        reach = np.maximum.reduceat(np.abs(values), starts[filled])
        good[filled] &= reach < float(MAX_REACH) * sizes[filled].max(axis=1)
    return good


def are_good_keypoints(keypoints: np.ndarray | None, sizes: np.ndarray) -> np.ndarray:
    """Returns: bool (n,), of (n, K, 3) keypoints in images of (n, 2) sizes; all where there are no keypoints"""
    if keypoints is None:
        return np.ones(len(sizes), dtype=bool)
    reach = np.abs(keypoints[..., :2]).max(axis=(1, 2))
    return (reach < float(MAX_REACH) * sizes.max(axis=1)) & np.isin(keypoints[..., 2], (0, 1, 2)).all(axis=1)


def shift_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """Returns: (n, K, 3) keypoints of a file in continuous coordinates, with zeros where there is none"""
    shifted = keypoints + (KEYPOINT_SHIFT, KEYPOINT_SHIFT, 0)
    return np.where(keypoints[..., 2:] > 0, shifted, 0)
