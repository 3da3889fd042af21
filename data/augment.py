"""
The arithmetic of augmentation, on NumPy arrays.

Ground-truth masks travel as box-frame masks: (M, M) samples of an object's mask inside its own box, which resizing the
image leaves as they are and flipping it only mirrors.
"""
import cv2
import numpy as np


def resize_boxes(boxes, old_size, new_size):
    """
    Args:
        boxes: float32 (n, 4)
        old_size, new_size: (height, width) of the image before and after

    Returns:
        float32 (n, 4)
    """
    scale_y, scale_x = new_size[0] / old_size[0], new_size[1] / old_size[1]
    return boxes * np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)


def flip_image(image):
    """Mirror left and right: (h, w, 3) to (h, w, 3)"""
    return cv2.flip(image, 1)


def flip_boxes(boxes, width):
    """Mirror float32 (n, 4) boxes left and right in an image `width` pixels wide."""
    flipped = boxes.copy()
    flipped[:, 0], flipped[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return flipped


def flip_masks(masks):
    """Mirror (n, M, M) box-frame masks left and right."""
    return masks[:, :, ::-1]
