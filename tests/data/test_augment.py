import numpy as np
import pycocotools.mask as mask_utils
import pytest

import data  # noqa: F401  (prepares TensorFlow)
from data import augment

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
    mask = augment.box_frame_mask([ELLIPSE], ELLIPSE_BOX, (HEIGHT, WIDTH), M)
    assert mask.dtype == np.uint8 and mask.shape == (M, M)
    assert mismatch(mask, inside_ellipse(*cell_centres(ELLIPSE_BOX))) < 0.01


def test_polygon_masks_are_not_shifted():
    mask = augment.box_frame_mask([ELLIPSE], ELLIPSE_BOX, (HEIGHT, WIDTH), M)
    assert np.abs(np.argwhere(mask).mean(axis=0) - (M - 1) / 2).max() < 0.1


def test_polygons_are_cut_at_the_box():
    box = (30.0, 20.0, 90.0, 50.0)
    mask = augment.box_frame_mask([ELLIPSE], box, (HEIGHT, WIDTH), M)
    assert mismatch(mask, inside_ellipse(*cell_centres(box))) < 0.01


def test_several_polygons_are_united():
    left, right = [0, 0, 6, 0, 6, 10, 0, 10], [4, 0, 10, 0, 10, 10, 4, 10]
    assert augment.box_frame_mask([left, right], (0, 0, 10, 10), (HEIGHT, WIDTH), M).all()


def test_a_polygon_far_larger_than_its_box_fills_it():
    polygon = [-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6]
    assert augment.box_frame_mask([polygon], (5, 5, 5.01, 5.01), (HEIGHT, WIDTH), M).all()


@pytest.mark.parametrize("rle", [COMPRESSED, UNCOMPRESSED, {**COMPRESSED, "counts": COMPRESSED["counts"].decode()}])
@pytest.mark.parametrize("box", [ELLIPSE_BOX, (30.0, 20.0, 80.0, 60.0)])
def test_rle_masks_are_the_pixels_at_the_centres_of_the_cells(rle, box):
    x, y = cell_centres(box)
    expected = RASTER[np.floor(y).astype(int), np.floor(x).astype(int)]
    np.testing.assert_array_equal(augment.box_frame_mask(rle, box, (HEIGHT, WIDTH), M), expected)


def test_rle_that_does_not_fit_its_size_is_an_error():
    with pytest.raises(ValueError):
        augment.decode_rle({"size": [10, 10], "counts": COMPRESSED["counts"]})


def test_a_flipped_mask_is_the_mask_of_the_flipped_image():
    box = np.array([[20, 17, 65, 40]], dtype=np.float32)
    mirrored = mask_utils.encode(np.asfortranarray(RASTER[:, ::-1]))
    (flipped_box,) = augment.flip_boxes(box, WIDTH)
    expected = augment.box_frame_mask(mirrored, flipped_box, (HEIGHT, WIDTH), M)
    mask = augment.box_frame_mask(COMPRESSED, box[0], (HEIGHT, WIDTH), M)
    # a centre on the border of two pixels falls to the other side
    assert mismatch(augment.flip_masks(mask[None])[0], expected == 1) < 0.02


def test_flipped_boxes_stay_boxes():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    assert augment.flip_boxes(boxes, 100).tolist() == [[70, 2, 99, 40]]


def test_flipping_boxes_leaves_the_original():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    augment.flip_boxes(boxes, 100)
    assert boxes.tolist() == [[1, 2, 30, 40]]


def test_boxes_are_resized_with_the_image():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    resized = augment.resize_boxes(boxes, (60, 80), (120, 240))
    assert resized.dtype == np.float32 and resized.tolist() == [[3, 4, 90, 80]]


def test_flipped_images_are_mirrored_left_and_right():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(augment.flip_image(image), image[:, ::-1])
