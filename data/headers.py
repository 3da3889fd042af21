"""Sizes and kinds of image files, from their headers."""
from __future__ import annotations

import io
from typing import NamedTuple

from PIL import ExifTags, Image

from data.records import Unusable

SUFFIXES = {"AVIF": ".avif", "BMP": ".bmp", "GIF": ".gif", "JPEG": ".jpg", "JPEG2000": ".jp2", "PNG": ".png",
            "PPM": ".ppm", "TIFF": ".tif", "WEBP": ".webp"}


class Header(NamedTuple):
    """
    Attributes:
        stored: height and width
        seen: the same, turned as the EXIF orientation says
        suffix: of the name of such a file
    """

    stored: tuple[int, int]
    seen: tuple[int, int]
    suffix: str


def read_header(image: str | bytes) -> Header:
    """
    Args:
        image: path or content of a file

    Raises:
        Unusable: it is no image file, or would take all memory
    """
    try:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image, formats=tuple(SUFFIXES)) as opened:
            width, height = opened.size
            is_turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return Header((height, width), (width, height) if is_turned else (height, width), SUFFIXES[opened.format])
    except Exception:    # noqa: B902  (Pillow raises many kinds on a broken header)
        raise Unusable("its file is not an image") from None


def image_size(image: str | bytes, annotated: tuple[int, int] | None = None) -> tuple[int, int]:
    """
    Args:
        image: path or content of a file
        annotated: height and width that the annotation has, if it has them

    Returns:
        height and width as a person sees the image, or as it is stored where that is the annotated size

    Raises:
        Unusable: it is no image file, or of another size than annotated
    """
    header = read_header(image)
    if annotated is None or annotated in (header.seen, header.stored):
        return annotated or header.seen
    raise Unusable(f"its file is {header.seen[1]} wide and {header.seen[0]} high, but annotated as {annotated[1]} and "
                   f"{annotated[0]}")
