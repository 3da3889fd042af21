"""
The arithmetic of augmentation, on NumPy arrays.

Ground-truth masks travel as box-frame masks: (M, M) samples of an object's mask inside its own box, which resizing the
image leaves as they are and flipping it only mirrors.
"""
import cv2
import numpy as np
import pycocotools.mask as mask_utils


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


def box_frame_mask(segmentation, box, image_size, resolution):
    """
    Sample an object's mask inside its box.

    Cell (i, j) is the mask at x = x1 + (j + 0.5) / M * width, y = y1 + (i + 0.5) / M * height.

    Args:
        segmentation: list of polygons (x, y, x, y, ...), or COCO's RLE dict
        box: (4,) x1, y1, x2, y2 with a positive size
        image_size: (height, width) that the segmentation belongs to
        resolution (int): M

    Returns:
        uint8 (M, M) of 0 and 1

    Raises:
        ValueError: the RLE cannot be decoded
    """
    if isinstance(segmentation, dict):
        return _sample_mask(decode_rle(segmentation), box, resolution)
    return _fill_polygons(segmentation, box, resolution)


def decode_rle(rle):
    """
    Args:
        rle (dict): "size" (h, w), and "counts" as a list or compressed

    Returns:
        uint8 (h, w) of 0 and 1

    Raises:
        ValueError: the counts are no runs of an image of this size
    """
    if isinstance(rle["counts"], list):
        rle = mask_utils.frPyObjects(rle, *rle["size"])
    return mask_utils.decode(rle)


def _fill_polygons(polygons, box, resolution):
    """The union of polygons, drawn with the box stretched to resolution x resolution pixels."""
    x1, y1, x2, y2 = (float(v) for v in box)
    offset, scale = np.array([x1, y1]), resolution / np.array([x2 - x1, y2 - y1])
    # pycocotools walks along every edge, so a polygon far larger than its box would take all memory
    limits = -20 * resolution, 20 * resolution
    scaled = [np.clip((np.asarray(p, dtype=np.float64).reshape(-1, 2) - offset) * scale, *limits).ravel().tolist()
              for p in polygons]
    return mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects(scaled, resolution, resolution)))


def _sample_mask(mask, box, resolution):
    """The pixels of an (h, w) mask that the centres of the cells fall in."""
    x1, y1, x2, y2 = (float(v) for v in box)
    centres = (np.arange(resolution) + 0.5) / resolution
    xs = np.clip(x1 + centres * (x2 - x1), 0, mask.shape[1] - 1).astype(np.intp)
    ys = np.clip(y1 + centres * (y2 - y1), 0, mask.shape[0] - 1).astype(np.intp)
    return mask[ys[:, None], xs]
