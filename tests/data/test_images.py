import common  # noqa: F401
import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

import data
from coco_folder import write_image
from common import UserError
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
