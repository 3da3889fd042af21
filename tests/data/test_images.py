import itertools
import struct

import common  # noqa: F401
from common import UserError

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

import data
from coco_folder import write_image
from data.images import resize_shape


# reading an image -------------------------------------------------------------------------------------------------
def test_an_image_is_read_as_bgr(tmp_path):
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((2, 3, 3), (255, 0, 0), dtype=np.uint8))
    image = data.load_image(str(tmp_path / "blue.png"))
    assert image.dtype == np.uint8 and image.shape == (2, 3, 3) and image[0, 0].tolist() == [255, 0, 0]


def test_a_gray_image_has_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), np.zeros((2, 3), dtype=np.uint8))
    assert data.load_image(str(tmp_path / "gray.png")).shape == (2, 3, 3)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95])
def test_a_file_that_is_cut_short_is_refused(tmp_path, extension, share):
    path = tmp_path / f"image{extension}"
    write_image(path)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=f"image{extension}: not a whole image file"):
        data.load_image(str(path))


def test_a_progressive_jpeg_that_is_cut_short_is_refused(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    (tmp_path / "image.jpg").write_bytes(content[:len(content) // 2])
    with pytest.raises(UserError):
        data.load_image(str(tmp_path / "image.jpg"))


@pytest.mark.parametrize("name", ["absent.jpg", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot be read"):
        data.load_image(str(tmp_path / name))


# orientation ------------------------------------------------------------------------------------------------------
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = 50, 100, 150, 200


def write_photo(path, orientation, height=40, width=60):
    """Write a JPEG of four grey quarters, of which EXIF says how to turn them."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = (slice(0, height // 2), slice(height // 2, None)), (slice(0, width // 2), slice(width // 2, None))
    for grey, (y, x) in zip((TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT), itertools.product(rows, columns)):
        image[y, x] = grey
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    # a TIFF header and one entry: tag 0x0112 is the orientation, a 16-bit number
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    return str(path)


def quarters(image):
    """Returns: the grey of the four quarters of an image, row by row"""
    h, w = image.shape[:2]
    return [round(int(image[y, x, 0]), -1) // 10 * 10 for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]


AS_STORED = [TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT]
TURNED = [BOTTOM_LEFT, TOP_LEFT, BOTTOM_RIGHT, TOP_RIGHT]    # by 90 degrees clockwise, which is orientation 6


def test_an_image_is_turned_as_a_person_sees_it(tmp_path):
    image = data.load_image(write_photo(tmp_path / "photo.jpg", orientation=6))
    assert image.shape == (60, 40, 3) and quarters(image) == TURNED


def test_an_image_that_was_annotated_as_it_is_stored_is_not_turned(tmp_path):
    path = write_photo(tmp_path / "photo.jpg", orientation=6)
    stored, turned = data.load_image(path, (40, 60)), data.load_image(path, (60, 40))
    assert stored.shape == (40, 60, 3) and quarters(stored) == AS_STORED
    assert turned.shape == (60, 40, 3) and quarters(turned) == TURNED


def test_where_both_ways_have_the_annotated_size_the_image_is_turned(tmp_path):
    square = data.load_image(write_photo(tmp_path / "square.jpg", orientation=6, width=40), (40, 40))
    upside_down = data.load_image(write_photo(tmp_path / "upside_down.jpg", orientation=3), (40, 60))
    assert quarters(square) == TURNED and quarters(upside_down) == AS_STORED[::-1]


def test_an_image_of_another_size_than_annotated_is_refused(tmp_path):
    path = write_photo(tmp_path / "photo.jpg", orientation=6)
    with pytest.raises(UserError, match="photo.jpg: 40 pixels wide and 60 high, but annotated as 60 wide and 41 high"):
        data.load_image(path, (41, 60))


# resizing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size, expected", [
    ((480, 640), (800, 1067)),      # the short edge decides
    ((640, 480), (1067, 800)),
    ((800, 800), (800, 800)),
    ((400, 1200), (444, 1333)),     # the long edge does
    ((1, 4000), (1, 1333)),         # and nothing gets lost
    ((1600, 1600), (800, 800)),     # down as well as up
])
def test_resize_shape_fits_the_short_edge_unless_the_long_edge_gets_too_long(size, expected):
    assert resize_shape(*size, 800, 1333) == expected


EDGES = st.integers(1, 5000)


@given(EDGES, EDGES, st.integers(1, 1000), st.integers(0, 1000))
def test_resize_shape_never_exceeds_either_limit(height, width, short_edge, more):
    new_height, new_width = resize_shape(height, width, short_edge, short_edge + more)
    assert min(new_height, new_width) <= short_edge
    assert 1 <= max(new_height, new_width) <= short_edge + more


@given(EDGES, EDGES, st.integers(1, 1000), st.integers(0, 1000))
def test_resize_shape_turns_with_the_image(height, width, short_edge, more):
    limits = short_edge, short_edge + more
    assert resize_shape(width, height, *limits) == resize_shape(height, width, *limits)[::-1]


@given(EDGES, EDGES)
def test_resize_shape_keeps_the_shape(height, width):
    new_height, new_width = resize_shape(height, width, 800, 1333)
    scale = min(800 / min(height, width), 1333 / max(height, width))
    assert abs(new_height - height * scale) <= 0.5 + 1e-6 or new_height == 1
    assert abs(new_width - width * scale) <= 0.5 + 1e-6 or new_width == 1
