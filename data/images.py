"""Reading an image file, and resizing an image."""
from common import UserError, silenced_native

import cv2
import numpy as np


def load_image(path, size=None):
    """
    Read an image file as a person sees it: turned and mirrored as its EXIF orientation says. Where it was annotated as
    its pixels are stored, which its annotated size tells, it is read so. Where both have that size, as with square
    images and those that are upside down, it is turned.

    Args:
        path (str)
        size: (height, width) that the image was annotated with, if any

    Returns:
        uint8 (h, w, 3) BGR

    Raises:
        UserError: the file cannot be read, is cut short or is no image, or is of another size than annotated
    """
    content = _read(path)
    image = _decode(path, content, cv2.IMREAD_COLOR)
    if size is None or image.shape[:2] == tuple(size):
        return image
    stored = _decode(path, content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if stored.shape[:2] == tuple(size):
        return stored
    raise UserError(f"{path}: {image.shape[1]} pixels wide and {image.shape[0]} high, but annotated as {size[1]} wide "
                    f"and {size[0]} high; correct the annotations")


def _read(path):
    try:
        return np.fromfile(path, dtype=np.uint8)
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); check the path") from None


def _decode(path, content, flags):
    """Returns: uint8 (h, w, 3) of the bytes of a file; `flags` are those of cv2.imdecode"""
    try:
        # libpng and libjpeg print lines of their own on a broken file; unlike imread, imdecode refuses a cut JPEG
        with silenced_native():
            image = cv2.imdecode(content, flags) if content.size else None
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not a whole image file that OpenCV reads; replace it")
    return image


def resize_shape(height, width, short_edge, max_size):
    """
    The size of an image whose short edge becomes `short_edge`, or less where the long edge would exceed `max_size`.

    Returns:
        (int, int): height and width, rounded, at least 1
    """
    scale = min(short_edge / min(height, width), max_size / max(height, width))
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


def resize_image(image, height, width):
    """
    Args:
        image: uint8 (h, w, 3)

    Returns:
        uint8 (height, width, 3)
    """
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
