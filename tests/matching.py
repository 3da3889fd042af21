"""How much of what was expected was detected."""
import numpy as np


def pairwise_iou(a, b):
    """Returns: (N, M), IoU of boxes (N, 4) with boxes (M, 4)"""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inter = size.clip(0).prod(axis=2)
    areas = [(x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b)]
    return inter / (areas[0][:, None] + areas[1][None] - inter)


def share_found(expected, found, mask_tolerance=0.0):
    """
    How much of what was expected was found: with the same label, an IoU of 0.99, the score to 1e-3.

    Args:
        expected, found: [boxes, scores, labels], and maybe masks
        mask_tolerance (float): largest difference of a mask's probabilities
    """
    iou = pairwise_iou(expected[0], found[0])
    close = ((iou >= 0.99) & (np.abs(expected[1][:, None] - found[1][None]) <= 1e-3)
             & (expected[2][:, None] == found[2][None]))
    for masks, others in zip(expected[3:], found[3:]):
        close &= np.abs(masks[:, None] - others[None]).max(axis=(2, 3)) <= mask_tolerance
    return close.any(axis=1).mean()
