import io
import struct
import zlib

import common  # noqa: F401

import cv2
import numpy as np
import pytest
from PIL import Image

from data import decode
from data.decode import Undecodable, turn
from image_kinds import HEIGHT, WIDTH, encode, exif, kinds

NAMES = list(kinds())


def seen(content):
    """Returns: uint8 (h, w, 3) RGB, the image in a file as it is read"""
    return turn(*decode.decode(content))[..., ::-1]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_read_as_a_person_sees_it(name):
    content, expected, tolerance = kinds()[name]
    found = seen(content)
    assert found.dtype == np.uint8 and found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.8])
def test_a_file_of_any_kind_that_is_cut_short_is_refused(name, share):
    content = kinds()[name].content
    if share >= 0.5 and ("pages" in name or "animated" in name):
        pytest.skip("the first page is whole")
    with pytest.raises(Undecodable):
        decode.decode(content[:int(share * len(content))])


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_of_any_format_is_turned_as_exif_says(file_format, orientation):
    stored = kinds()["png"].seen
    notes = exif(orientation)
    content = encode(Image.fromarray(stored), file_format, exif=notes, quality=95)
    expected = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
                5: np.transpose(stored, (1, 0, 2)), 6: np.rot90(stored, -1),
                7: np.rot90(np.transpose(stored, (1, 0, 2)), 2), 8: np.rot90(stored)}[orientation]
    found = seen(content)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4
    assert decode.decode(content)[0].shape == stored.shape


def test_a_transparent_image_is_turned_too():
    content = encode(Image.fromarray(kinds()["png"].seen).convert("RGBA"), "PNG", exif=exif(6))
    np.testing.assert_array_equal(seen(content), np.rot90(kinds()["png"].seen, -1))


@pytest.mark.parametrize("name", ["jpeg", "jpeg progressive", "jpeg grey", "png", "png grey", "png palette", "bmp"])
def test_an_ordinary_image_is_as_opencv_reads_it(name):
    content = kinds()[name].content
    np.testing.assert_array_equal(
        decode.decode(content)[0], cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


def test_cmyk_with_luminance_is_inverted_as_adobe_does():
    # Adobe's note of a transform makes YCCK of the same numbers
    content = kinds()["jpeg cmyk"].content
    adobe = content.index(b"Adobe")
    ycck = content[:adobe + 11] + b"\x02" + content[adobe + 12:]
    expected = np.asarray(Image.open(io.BytesIO(ycck)).convert("RGB"))
    assert np.abs(seen(ycck).astype(int) - expected).max() <= 3


def test_16_bits_that_use_12_stay_dark():
    content = cv2.imencode(".png", np.full((4, 4), 4095, np.uint16))[1].tobytes()
    assert (seen(content) == 15).all()


def test_where_opencv_fails_pillow_reads_16_bits_of_a_tiff_alike(monkeypatch):
    content, expected, _ = kinds()["tiff grey 16"]
    monkeypatch.setattr(cv2, "imdecode", lambda content, flags: None)
    np.testing.assert_array_equal(seen(content), expected)


@pytest.mark.parametrize("value", [-0.1, 1.5, 200.0, np.nan, np.inf])
def test_floats_beyond_0_to_1_are_refused(value):
    image = np.full((4, 4), 0.5, np.float32)
    image[1, 1] = value
    with pytest.raises(Undecodable, match="not all from 0, black, to 1, white"):
        decode.decode(encode(Image.fromarray(image), "TIFF"))


def test_integers_of_32_bits_are_refused():
    with pytest.raises(Undecodable, match="integers of 32 bits"):
        decode.decode(encode(Image.fromarray(np.full((4, 4), 7, np.int32)), "TIFF"))


# too large --------------------------------------------------------------------------------------------------------
def png_of_size(width, height):
    """A PNG whose header claims a size"""
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
            + chunk(b"IEND", b""))


def jpeg_of_size(width, height):
    content = kinds()["jpeg"].content
    frame = content.index(b"\xff\xc0")
    return content[:frame + 5] + struct.pack(">HH", height, width) + content[frame + 9:]


@pytest.mark.parametrize("make", [png_of_size, jpeg_of_size])
def test_an_image_that_claims_too_many_pixels_is_not_decoded(make, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(Undecodable, match="30000 x 30000 pixels are more than"):
        decode.decode(make(30000, 30000))
    with pytest.raises(Undecodable, match="pixels"):
        decode.decode(make(60000, 60000))


def test_a_png_that_pillow_does_not_know_is_not_decoded_either(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    monkeypatch.setattr(decode.Image, "open", None)
    with pytest.raises(Undecodable, match="30000 x 30000 pixels are more than"):
        decode.decode(png_of_size(30000, 30000))


def test_an_aerial_image_is_not_too_large():
    assert 20000 * 20000 <= decode.MAX_PIXELS
