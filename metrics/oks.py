"""
Object keypoint similarity: how near the keypoints of detections are to those of objects, beside the objects' size and
what people who label them differ by (Ronchi and Perona 2017, and COCO's keypoint task).
"""
import numpy as np

# a sigma is the standard deviation of the labels of a keypoint, as a part of the square root of the object's area
COCO_SIGMAS = {
    "nose": 0.026, "left_eye": 0.025, "right_eye": 0.025, "left_ear": 0.035, "right_ear": 0.035,
    "left_shoulder": 0.079, "right_shoulder": 0.079, "left_elbow": 0.072, "right_elbow": 0.072,
    "left_wrist": 0.062, "right_wrist": 0.062, "left_hip": 0.107, "right_hip": 0.107,
    "left_knee": 0.087, "right_knee": 0.087, "left_ankle": 0.089, "right_ankle": 0.089}
OTHER_SIGMA = 0.05


def sigmas_of_label(skeleton, label, given=None):
    """
    Args:
        skeleton (data.Skeleton), label (int): a class, 1..N
        given (dict): sigmas by the names of keypoints, in place of COCO's and OTHER_SIGMA

    Returns:
        float64 (K,), of the class's own keypoints
    """
    sigmas = {**COCO_SIGMAS, **(given or {})}
    return np.array([sigmas.get(skeleton.names[k], OTHER_SIGMA) for k in skeleton.of_label(label)])


def similarities(found, keypoints, bboxes, areas, sigmas):
    """
    Args:
        found: float64 (D, K, 2), x and y of the keypoints of detections
        keypoints: float64 (G, K, 3), x, y, and 0 for what is not labelled, of objects
        bboxes: float64 (G, 4), x, y, width and height of the objects
        areas: float64 (G,) of the objects
        sigmas: float64 (K,)

    Returns:
        float64 (D, G) in 0..1; for an object without labelled keypoints that of places in a box three times as large
    """
    labelled = keypoints[:, :, 2] > 0
    has_any = labelled.any(axis=1)[:, None]
    corner, size = bboxes[:, None, :2], bboxes[:, None, 2:]
    found = found[:, None]
    outside = np.maximum(corner - size - found, 0) + np.maximum(found - corner - 2 * size, 0)
    offsets = np.where(has_any[:, :, None], found - keypoints[:, :, :2], outside)
    errors = (offsets ** 2).sum(axis=3) / (2 * sigmas) ** 2 / (areas[:, None] + np.spacing(1)) / 2
    counts = labelled | ~has_any
    return (np.exp(-errors) * counts).sum(axis=2) / counts.sum(axis=1)
