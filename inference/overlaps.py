"""How much boxes and masks overlap, by pycocotools."""
import numpy as np
import pycocotools.mask as mask_utils


def box_iou(first, second):
    """
    Args:
        first: (N, 4), second: (M, 4), boxes x1, y1, x2, y2

    Returns:
        float64 (N, M), of each pair the intersection over the union
    """
    def with_sides(boxes):
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)

    return _iou(with_sides(first), with_sides(second))


def mask_iou(first, second):
    """
    Args:
        first: N, second: M, run-length encoded masks of `inference.masks.encode_mask`, of one image size

    Returns:
        float64 (N, M)
    """
    return _iou(first, second)


def _iou(first, second):
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    return mask_utils.iou(first, second, np.zeros(len(second), np.uint8))
