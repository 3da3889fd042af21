"""Reading an image file, and resizing an image."""
from common import UserError

import cv2

from data.decode import Undecodable, decode, turn

# of the files that are looked for in folders, the likeliest first
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".jp2", ".ppm", ".pgm")


def load_image(path, size=None):
    """
    Read an image file as a person sees it: see `data.decode`, and turned and mirrored as its EXIF orientation says.
    Where it was annotated as its pixels are stored, which its annotated size tells, it is read so. Where both have that
    size, as with square images and those that are upside down, it is turned.

    Args:
        path (str)
        size: (height, width) that the image was annotated with, if any

    Returns:
        uint8 (h, w, 3) BGR

    Raises:
        UserError: the file cannot be read, is cut short or is no image, or is of another size than annotated
    """
    return fit_annotated(path, *read_stored(path), size)


def read_stored(path):
    """
    Args:
        path (str)

    Returns:
        uint8 (h, w, 3) BGR, as it is stored, and the EXIF orientation, see `data.decode`

    Raises:
        UserError: the file cannot be read, is cut short or is no image
    """
    try:
        return decode(_read(path))
    except Undecodable as e:
        raise UserError(f"{path}: {e}") from None


def fit_annotated(path, stored, orientation, size):
    """Args: path (str), for messages; others of `read_stored` and `load_image`. Returns, raises: as `load_image`"""
    image = turn(stored, orientation)
    if size is None or image.shape[:2] == tuple(size):
        return image
    if stored.shape[:2] == tuple(size):
        return stored
    raise UserError(f"{path}: {image.shape[1]} pixels wide and {image.shape[0]} high, but annotated as {size[1]} wide "
                    f"and {size[0]} high; correct the annotations")


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); check the path") from None


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
