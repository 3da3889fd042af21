"""Masks of detections: pasted, and run-length encoded."""
import common  # noqa: F401

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
from hypothesis import given, settings, strategies as st

from inference.masks import encode_mask, paste_mask

HEIGHT, WIDTH = 60, 80


def paste_pixel_by_pixel(probs, box, height, width):
    """The definition, with one loop per pixel and grid cell."""
    x1, y1, x2, y2 = box
    values = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            u = (x + 0.5 - x1) / (x2 - x1) * probs.shape[1] - 0.5
            v = (y + 0.5 - y1) / (y2 - y1) * probs.shape[0] - 0.5
            for j in (int(np.floor(v)), int(np.floor(v)) + 1):
                for i in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= j < probs.shape[0] and 0 <= i < probs.shape[1]:
                        values[y, x] += probs[j, i] * (1 - abs(v - j)) * (1 - abs(u - i))
    return values


def paste_whole(probs, box, height, width):
    crop, x, y = paste_mask(probs, box, height, width)
    whole = np.zeros((height, width), bool)
    whole[y:y + crop.shape[0], x:x + crop.shape[1]] = crop
    return whole


@pytest.mark.parametrize("box", [(3.2, 4.7, 20.9, 15.1), (-6.3, -4.4, 12.6, 9.9), (10.1, 8.2, 33.3, 31.7),
                                 (5.1, 5.2, 6.3, 19.4), (-3.0, -3.0, 27.0, 24.0)])
def test_a_pasted_mask_equals_the_definition_pixel_by_pixel(box):
    probs = cv2.GaussianBlur(np.random.RandomState(0).rand(28, 28), (0, 0), 1.5).astype(np.float32)
    probs = (probs - probs.min()) / np.ptp(probs)
    values = paste_pixel_by_pixel(probs, box, 21, 24)
    assert np.abs(values - 0.5).min() > 1e-5, "the example has a tie, where rounding decides"
    np.testing.assert_array_equal(paste_whole(probs, box, 21, 24), values >= 0.5)


def test_a_full_mask_covers_the_pixels_whose_centres_are_inside_the_box_but_for_its_rounded_corners():
    mask = paste_whole(np.ones((28, 28), np.float32), (2.4, 3.6, 52.4, 43.6), HEIGHT, WIDTH)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[4:44, 2:52] = True
    assert not mask[~inside].any()
    missing = np.argwhere(inside & ~mask)
    corners = np.array([(4, 2), (4, 51), (43, 2), (43, 51)])
    assert all(np.abs(corners - pixel).sum(axis=1).min() <= 1 for pixel in missing)


def test_a_grid_of_one_cell_a_pixel_is_pasted_unchanged():
    probs = np.random.RandomState(1).rand(10, 10).astype(np.float32)
    np.testing.assert_array_equal(paste_whole(probs, (5, 7, 15, 17), 30, 30)[7:17, 5:15], probs >= 0.5)


@pytest.mark.parametrize("box", [(100, 5, 120, 20), (-30, 5, -10, 20), (5, 5, 5, 20), (5.6, 5.6, 6.4, 6.4),
                                 (5, 70, 20, 90)])
def test_a_box_without_a_pixel_centre_in_the_image_has_an_empty_mask(box):
    crop, x, y = paste_mask(np.ones((28, 28), np.float32), box, HEIGHT, WIDTH)
    assert not crop.any()
    rle = encode_mask(np.ones((28, 28), np.float32), box, HEIGHT, WIDTH)
    assert rle["size"] == [HEIGHT, WIDTH] and mask_util.area(rle) == 0


# run-length encoding ------------------------------------------------------------------------------------------------
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_encoding_equals_encoding_the_pasted_image(draw):
    height, width = draw.draw(st.integers(1, 12)), draw.draw(st.integers(1, 12))
    corner = st.floats(-5, 15, width=32)
    x1, y1 = draw.draw(corner), draw.draw(corner)
    box = (x1, y1, x1 + draw.draw(st.floats(0, 14, width=32)), y1 + draw.draw(st.floats(0, 14, width=32)))
    probs = np.array(draw.draw(st.lists(st.sampled_from([0, 0.2, 0.5, 0.7, 1]), min_size=16, max_size=16)), np.float32)
    whole = paste_whole(probs.reshape(4, 4), box, height, width)
    rle = encode_mask(probs.reshape(4, 4), box, height, width)
    assert rle["counts"] == mask_util.encode(np.asfortranarray(whole, np.uint8))["counts"].decode()


def test_a_mask_that_fills_its_columns_is_one_run():
    probs = np.full((4, 4), 1, np.float32)
    rle = encode_mask(probs, (-20, -20, 50, 40), 10, 8)
    assert rle["counts"] == mask_util.encode(np.ones((10, 8), np.uint8, order="F"))["counts"].decode()


@pytest.mark.parametrize("height, width", [(480, 640), (300, 400)])
def test_masks_of_all_sizes_equal_bilinear_pasting(height, width):
    """Against the products of interpolation weights for all pixels; only those at 0.5 but for rounding may differ."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        probs = cv2.GaussianBlur(rng.random((28, 28)), (0, 0), 2)
        probs = ((probs - probs.min()) / np.ptp(probs)).astype(np.float32)
        size = np.exp(rng.uniform(0, np.log(700), 2))
        corner = rng.uniform(-0.3, 1, 2) * (width, height)
        box = np.float32([*corner, *(corner + size)])
        at = [(np.arange(n) + 0.5 - low) * 28 / (high - low) - 0.5
              for n, low, high in ((height, box[1], box[3]), (width, box[0], box[2]))]
        weights = [np.maximum(1 - np.abs(axis[:, None] - np.arange(28)), 0) for axis in at]
        values = weights[0] @ probs.astype(float) @ weights[1].T
        inside = np.outer(*[np.abs(axis - 13.5) <= 14 for axis in at])
        expected, found = (values >= 0.5) & inside, paste_whole(probs, box, height, width)
        np.testing.assert_array_equal(found[np.abs(values - 0.5) > 1e-4], expected[np.abs(values - 0.5) > 1e-4])
        union = (found | expected).sum()
        assert union == 0 or (found & expected).sum() >= 0.99 * union
