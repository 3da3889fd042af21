import numpy as np
import pycocotools.mask as mask_utils
import pytest

from data import segmentation
from data.records import Unusable
from data.segmentation import box_frame_mask, parse_segmentation

HEIGHT, WIDTH = 60, 80
M = 28


def cell_centres(box):
    """Returns: (M, M) x and y of the centres of the cells of a box-frame mask"""
    x1, y1, x2, y2 = box
    j, i = np.meshgrid(np.arange(M), np.arange(M))
    return x1 + (j + 0.5) / M * (x2 - x1), y1 + (i + 0.5) / M * (y2 - y1)


def inside_ellipse(x, y):
    return ((x - 40.3) / 25) ** 2 + ((y - 29.6) / 13) ** 2 < 1


ELLIPSE_BOX = (15.3, 16.6, 65.3, 42.6)
ANGLES = np.linspace(0, 2 * np.pi, 200, endpoint=False)
ELLIPSE = np.stack([40.3 + 25 * np.cos(ANGLES), 29.6 + 13 * np.sin(ANGLES)], axis=1).ravel().astype(np.float32)
RASTER = inside_ellipse(*(np.mgrid[:WIDTH, :HEIGHT] + 0.5)).T.astype(np.uint8)
COMPRESSED = mask_utils.encode(np.asfortranarray(RASTER))
RUNS = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], RASTER.ravel(order="F"), [2]])))).tolist()
UNCOMPRESSED = {"size": [HEIGHT, WIDTH], "counts": RUNS}


def mismatch(mask, reference):
    return np.mean(mask.astype(bool) != reference)


def test_polygon_masks_are_the_polygon_at_the_centres_of_the_cells():
    mask = box_frame_mask([ELLIPSE], ELLIPSE_BOX, (HEIGHT, WIDTH), M)
    assert mask.dtype == np.uint8 and mask.shape == (M, M)
    assert mismatch(mask, inside_ellipse(*cell_centres(ELLIPSE_BOX))) < 0.01


def test_polygon_masks_are_not_shifted():
    mask = box_frame_mask([ELLIPSE], ELLIPSE_BOX, (HEIGHT, WIDTH), M)
    assert np.abs(np.argwhere(mask).mean(axis=0) - (M - 1) / 2).max() < 0.1


def test_polygons_are_cut_at_the_box():
    box = (30.0, 20.0, 90.0, 50.0)
    mask = box_frame_mask([ELLIPSE], box, (HEIGHT, WIDTH), M)
    assert mismatch(mask, inside_ellipse(*cell_centres(box))) < 0.01


def test_several_polygons_are_united():
    left, right = [0, 0, 6, 0, 6, 10, 0, 10], [4, 0, 10, 0, 10, 10, 4, 10]
    assert box_frame_mask([left, right], (0, 0, 10, 10), (HEIGHT, WIDTH), M).all()


def test_a_polygon_far_larger_than_its_box_fills_it():
    polygon = [-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6]
    assert box_frame_mask([polygon], (5, 5, 5.01, 5.01), (HEIGHT, WIDTH), M).all()


@pytest.mark.parametrize("rle", [COMPRESSED, UNCOMPRESSED, {**COMPRESSED, "counts": COMPRESSED["counts"].decode()}])
@pytest.mark.parametrize("box", [ELLIPSE_BOX, (30.0, 20.0, 80.0, 60.0)])
def test_rle_masks_are_the_pixels_at_the_centres_of_the_cells(rle, box):
    x, y = cell_centres(box)
    expected = RASTER[np.floor(y).astype(int), np.floor(x).astype(int)]
    np.testing.assert_array_equal(box_frame_mask(rle, box, (HEIGHT, WIDTH), M), expected)


def test_a_mask_can_have_other_numbers_of_rows_and_of_columns():
    np.testing.assert_array_equal(box_frame_mask(COMPRESSED, (20, 10, 50, 40), (HEIGHT, WIDTH), (30, 15)),
                                  RASTER[10:40, 21:50:2])
    square = [20, 10, 35, 10, 35, 40, 20, 40]    # the left half of the box
    expected = np.repeat([[1] * 5 + [0] * 5], 30, axis=0)
    np.testing.assert_array_equal(box_frame_mask([square], (20, 10, 50, 40), (HEIGHT, WIDTH), (30, 10)), expected)


def test_a_compressed_rle_is_as_it_would_be_decoded():
    rng = np.random.default_rng(0)
    for height, width, share in [(1, 1, 0.5), (40, 50, 0.01), (40, 50, 0.5), (300, 400, 1e-4), (9, 7, 0), (9, 7, 1)]:
        mask = np.asfortranarray(rng.random((height, width)) < share, dtype=np.uint8)
        counts = mask_utils.encode(mask)["counts"].decode("ascii")
        changes = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel(order="F")])))
        np.testing.assert_array_equal(segmentation._run_lengths(counts),
                                      np.diff(np.concatenate([[0], changes, [mask.size]])))


@pytest.mark.parametrize("counts", ["o", "1o", "oooooooooooo0", "0123oooo", COMPRESSED["counts"].decode()[:-1], "`00"])
def test_a_compressed_rle_that_does_not_fit_its_image_cannot_be_used(counts):
    with pytest.raises(Unusable, match="do not add up"):
        parse_segmentation({"size": [HEIGHT, WIDTH], "counts": counts}, HEIGHT, WIDTH)
