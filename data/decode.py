"""
From the bytes of an image file to the pixels that a person sees.

OpenCV decodes. Pillow reads the header, for the limit of pixels and the orientation, and decodes what OpenCV reads
otherwise than a person sees it, or not at all: what is transparent, GIF, AVIF, and TIFF of 32 bits or in tiles; and
JPEG 2000, on whose broken files OpenCV ends the process.

- What is transparent lies on white, as in a browser.
- Of 16 bits the upper 8 are seen, as in a viewer: 65,535 is white. 12 bits that are stored in 16 are dark.
- Samples of floating point are 0 to 1; others are refused, as it is not known what is white.
- Of several pages or frames the first is read.
- Colour profiles (ICC) are not applied, and CMYK is converted without one.
"""
import io
import warnings

from common import silenced_native

import cv2
import numpy as np
from PIL import Image

# of an image in memory, 1.5 GiB in colour; Pillow warns beyond its own limit and refuses twice as many
MAX_PIXELS = 2**29
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", module=r"PIL\.")    # of what is odd in a file

_ORIENTATION = 0x0112    # the tag of EXIF, and of TIFF
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "PPM", "JPEG2000")
_JPEG_2000 = b"\0\0\0\x0cjP  ", b"\xffO\xffQ"    # a file, and a bare stream
_PNG = b"\x89PNG\r\n\x1a\n"
_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")


class Undecodable(Exception):
    """Why the bytes are no image."""


def decode(content):
    """
    Args:
        content (bytes): of a file

    Returns:
        uint8 (h, w, 3) BGR, as it is stored; and the EXIF orientation, for `turn`

    Raises:
        Undecodable
    """
    with silenced_native():    # libpng and libjpeg print lines of their own on a broken file
        header = _open_header(content)
        image = _decode_unknown(content) if header is None else _decode_known(header, content)
    if image is None:
        raise Undecodable("not a whole image file that OpenCV or Pillow reads; replace it")
    if header is None:
        return image, 1
    orientation = _orientation(header)
    if header.format == "TIFF":    # both turn it
        image = turn(image, {6: 8, 8: 6}.get(orientation, orientation))
    return image, orientation


def turn(image, orientation):
    """
    Args:
        image: (h, w, 3), as it is stored
        orientation (int): of EXIF, 1 to 8

    Returns:
        the image as a person sees it
    """
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if flip is None else cv2.flip(image, flip)


def _open_header(content):
    """Returns: a Pillow image without its pixels, or None where Pillow does not know the format"""
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise Undecodable(f"more than the {MAX_PIXELS:,} pixels that fit into memory; cut it into tiles") from None
    except Exception:    # noqa: B902  (what a broken file does to a parser)
        return None


def _check_size(width, height):
    if width * height > MAX_PIXELS:
        raise Undecodable(f"{width} x {height} pixels are more than the {MAX_PIXELS:,} that fit into memory; cut it "
                          "into tiles")


def _orientation(header):
    if header.format != "TIFF" and "exif" not in header.info:
        return 1    # of a PNG, Pillow would read all pixels to find it behind them
    try:
        orientation = header.getexif().get(_ORIENTATION, 1)
    except Exception:    # noqa: B902  (what a broken file does to a parser)
        return 1
    return orientation if orientation in range(1, 9) else 1


def _is_for_pillow(header):
    is_transparent = header.mode in _TRANSPARENT or ("transparency" in header.info and not header.mode.startswith("I"))
    return (is_transparent or header.format in ("GIF", "AVIF", "JPEG2000")
            or (header.format == "TIFF" and header.mode in ("F", "I")))


def _decode_known(header, content):
    """Returns: uint8 (h, w, 3) BGR, or None where the file is not whole"""
    _check_size(header.width, header.height)
    if _is_for_pillow(header):
        return _decode_by_pillow(header)
    image = _decode_by_opencv(content, cv2.IMREAD_COLOR)
    return _decode_by_pillow(header) if image is None and header.format == "TIFF" else image


def _decode_unknown(content):
    """As `_decode_known`, for a format that OpenCV alone knows"""
    if content.startswith(_JPEG_2000):
        return None
    if content.startswith(_PNG):    # one of whose other chunks Pillow refuses
        _check_size(*(int.from_bytes(content[place:place + 4], "big") for place in (16, 20)))
    image = _decode_by_opencv(content, cv2.IMREAD_COLOR)
    if image is None:    # a TIFF of floats in colour
        image = _decode_by_opencv(content, cv2.IMREAD_UNCHANGED)
        image = None if image is None else _from_samples(image)
    return image


def _decode_by_pillow(header):
    try:
        if header.mode in ("F", "I") or header.mode.startswith("I;16"):
            return _from_samples(np.asarray(header))
        image = header.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return cv2.cvtColor(np.asarray(Image.alpha_composite(white, image)), cv2.COLOR_RGBA2BGR)
    except Undecodable:
        raise
    except Exception:    # noqa: B902  (what a broken file does to a decoder)
        return None


def _decode_by_opencv(content, flags):
    array = np.frombuffer(content, dtype=np.uint8)
    try:    # unlike imread, imdecode refuses a cut JPEG
        return cv2.imdecode(array, flags | cv2.IMREAD_IGNORE_ORIENTATION) if content else None
    except cv2.error:
        return None


def _from_samples(image):
    """
    Args:
        image: (h, w), grey, or (h, w, C), BGR; of 16 bits, or of floating point

    Returns:
        uint8 (h, w, 3)
    """
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
            raise Undecodable("samples of floating point are not all from 0, black, to 1, white; scale them")
        image = np.rint(image * 255).astype(np.uint8)
    elif image.dtype != np.uint8:
        raise Undecodable(f"samples are integers of {8 * image.itemsize} bits; save it with 8 or 16")
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else np.ascontiguousarray(image[..., :3])
