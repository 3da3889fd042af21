"""
Keypoints of detections. They stay as the network gives them, logits of places inside their box, until they are asked
for: each is where its logits are largest once they are resized to the box's pixels.
"""

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

MAX_EDGE = 1024    # pixels that a map is resized to at most, so that time and memory are bounded


def find_peaks(maps, height, width):
    """
    Find where some maps are largest once they are resized by cubic interpolation.

    Args:
        maps: float32 (h, w, K)
        height, width (int): pixels that they are resized to

    Returns:
        int (K, 2), float32 (K,): row and column, and value
    """
    peaks = []
    for plane in np.ascontiguousarray(maps.transpose(2, 0, 1)):
        # OpenCV's cubic kernel is torch's, and not TensorFlow's
        resized = cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
        peaks.append(np.unravel_index(resized.argmax(), resized.shape) + (resized.max(),))
    rows, columns, values = zip(*peaks)
    return np.stack([rows, columns], axis=1), np.array(values)


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
    for i, box in enumerate(np.asarray(boxes, dtype=np.float64)):
        size = np.maximum(box[2:] - box[:2], 1)
        pixels = np.minimum(np.ceil(size), MAX_EDGE).astype(int)
        peaks, values[i] = find_peaks(logits[i], *pixels[::-1].tolist())
        points[i] = box[:2] + (peaks[:, ::-1] + 0.5) * (size / pixels)
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
