"""Small image files of every kind that is read, each with what a person sees in it."""
import functools
import io
import struct
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
ORIENTATION = 0x0112


class Kind(NamedTuple):
    """
    Attributes:
        content (bytes): of the file
        seen: uint8 (HEIGHT, WIDTH, 3) RGB, what a person sees
        tolerance (int): by which a sample may differ, for what is compressed with losses
    """

    content: bytes
    seen: np.ndarray
    tolerance: int = 0


def encode(image, file_format, **options):
    """Returns: bytes of the file of a Pillow image"""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def with_opencv(image, extension, *options):
    """Returns: bytes of the file of an array in RGB, RGBA or grey"""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    image = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    return cv2.imencode(extension, image, options)[1].tobytes()


def exif(orientation):
    notes = Image.Exif()
    notes[ORIENTATION] = orientation
    return notes


@functools.cache
def kinds():
    """Returns: dict of name to Kind"""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rgb = np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=2).astype(np.uint8)
    grey = (2 * x + 2 * y).astype(np.uint8)
    grey3 = np.repeat(grey[..., None], 3, axis=2)
    alpha = np.where(x < 16, 0, np.where(x < 32, 128, 255)).astype(np.uint8)
    rgba = np.dstack([rgb, alpha])
    on_white = over_white(rgb, alpha)
    colour, palette = Image.fromarray(rgb), Image.fromarray(rgb).quantize(64)
    in_palette = np.asarray(palette.convert("RGB"))
    cutout = np.where((np.asarray(palette) == 5)[..., None], 255, in_palette).astype(np.uint8)
    bits = Image.fromarray(grey).convert("1")
    found = {
        "jpeg": Kind(encode(colour, "JPEG", quality=95), rgb, 12),
        "jpeg progressive": Kind(encode(colour, "JPEG", quality=95, progressive=True), rgb, 12),
        "jpeg grey": Kind(encode(Image.fromarray(grey), "JPEG", quality=95), grey3, 4),
        "jpeg cmyk": Kind(encode(colour.convert("CMYK"), "JPEG", quality=95, subsampling=0), rgb, 12),
        "png": Kind(encode(colour, "PNG"), rgb),
        "png grey": Kind(encode(Image.fromarray(grey), "PNG"), grey3),
        "png grey 16": Kind(with_opencv(grey * np.uint16(257), ".png"), grey3),
        "png 16": Kind(with_opencv(rgb * np.uint16(257), ".png"), rgb),
        "png 1 bit": Kind(encode(bits, "PNG"), np.asarray(bits.convert("RGB"))),
        "png alpha": Kind(encode(Image.fromarray(rgba), "PNG"), on_white, 1),
        "png alpha 16": Kind(with_opencv(rgba * np.uint16(257), ".png"), on_white, 1),
        "png grey alpha": Kind(encode(Image.fromarray(np.dstack([grey, alpha])), "PNG"), over_white(grey3, alpha), 1),
        "png palette": Kind(encode(palette, "PNG"), in_palette),
        "png palette transparent": Kind(encode(palette, "PNG", transparency=5), cutout),
        "webp": Kind(encode(colour, "WEBP", lossless=True), rgb),
        "webp lossy": Kind(encode(colour, "WEBP", quality=95), rgb, 16),
        "webp alpha": Kind(encode(Image.fromarray(rgba), "WEBP", lossless=True, exact=True), on_white, 1),
        "bmp": Kind(encode(colour, "BMP"), rgb),
        "bmp palette": Kind(encode(palette, "BMP"), in_palette),
        "gif": Kind(encode(palette, "GIF"), in_palette),
        "gif transparent": Kind(encode(palette, "GIF", transparency=5), cutout),
        "gif animated": Kind(encode(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]), in_palette),
        "avif": Kind(encode(colour, "AVIF", quality=95), rgb, 24),
        "ppm": Kind(encode(colour, "PPM"), rgb),
        "jpeg 2000": Kind(encode(colour, "JPEG2000"), rgb, 1),
        "tiff": Kind(encode(colour, "TIFF"), rgb),
        "tiff lzw": Kind(encode(colour, "TIFF", compression="tiff_lzw"), rgb),
        "tiff deflate": Kind(encode(colour, "TIFF", compression="tiff_adobe_deflate"), rgb),
        "tiff jpeg": Kind(encode(colour, "TIFF", compression="jpeg"), rgb, 24),
        "tiff fax": Kind(encode(bits, "TIFF", compression="group4"), np.asarray(bits.convert("RGB"))),
        "tiff tiled": Kind(tiled_tiff(rgb), rgb),
        "tiff tiled 16": Kind(tiled_tiff(rgb * np.uint16(257)), rgb),
        "tiff tiled grey 16": Kind(tiled_tiff(grey * np.uint16(257)), grey3),
        "tiff pages": Kind(encode(colour, "TIFF", save_all=True, append_images=[colour.rotate(180)]), rgb),
        "tiff grey 16": Kind(encode(Image.fromarray(grey * np.uint16(256) + np.uint16(99)), "TIFF"), grey3),
        "tiff 16": Kind(with_opencv(rgb * np.uint16(257), ".tiff"), rgb),
        "tiff alpha": Kind(encode(Image.fromarray(rgba), "TIFF"), on_white, 1),
        "tiff alpha 16": Kind(with_opencv(rgba * np.uint16(257), ".tiff"), on_white, 1),
        "tiff palette": Kind(encode(palette, "TIFF"), in_palette),
        "tiff cmyk": Kind(encode(colour.convert("CMYK"), "TIFF"), rgb, 1),
        "tiff float grey": Kind(encode(Image.fromarray(np.float32(grey) / 255), "TIFF"), grey3),
        "tiff float": Kind(with_opencv(np.float32(rgb) / 255, ".tiff", cv2.IMWRITE_TIFF_COMPRESSION, 1), rgb),
    }
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        found[f"{file_format.lower()} exif"] = Kind(encode(colour, file_format, exif=exif(1), **options), rgb, 40)
    return found


def over_white(rgb, alpha):
    """Returns: uint8 (h, w, 3), what is seen of an image that is transparent"""
    share = alpha[..., None] / 255
    return np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)


def tiled_tiff(image, tile=16):
    """Returns: bytes of a TIFF without compression whose pixels, (h, w, 3) or (h, w), lie in square tiles"""
    height, width, channels = np.atleast_3d(image).shape
    tiles = [np.ascontiguousarray(image[y:y + tile, x:x + tile]).tobytes()
             for y in range(0, height, tile) for x in range(0, width, tile)]
    fields = {256: [width], 257: [height], 258: [8 * image.itemsize] * channels, 259: [1],
              262: [1 if channels == 1 else 2], 277: [channels],
              322: [tile], 323: [tile], 324: [0] * len(tiles), 325: [len(part) for part in tiles]}
    entries, arrays = b"", b""
    arrays_at = 8 + 2 + 12 * len(fields) + 4
    pixels_at = arrays_at + 2 * channels * (channels > 1) + 8 * len(tiles)
    fields[324] = [pixels_at + i * len(tiles[0]) for i in range(len(tiles))]
    for tag, values in fields.items():
        is_short = tag < 300
        packed = np.array(values, "<u2" if is_short else "<u4").tobytes()
        place = packed.ljust(4, b"\0") if len(values) == 1 else struct.pack("<I", arrays_at + len(arrays))
        arrays += b"" if len(values) == 1 else packed
        entries += struct.pack("<HHI", tag, 3 if is_short else 4, len(values)) + place
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + b"\0\0\0\0" + arrays + b"".join(tiles)
