import cv2
import numpy as np
import pytest

from data.augment import ColourRange, Colours

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
ALL = ColourRange(0.4, 0.4, 0.4, 36, 0.5)


def change(image=IMAGE, seed=0, **limits):
    return Colours(ColourRange(**limits))(np.random.default_rng(seed), image)


def test_nothing_changes_and_nothing_is_drawn_without_a_range():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(Colours(ColourRange())(rng, IMAGE), IMAGE)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name, value", [
    ("brightness", 0.4), ("contrast", 0.4), ("saturation", 0.4), ("hue", 36), ("grey", 1)])
def test_each_changes_colours_and_leaves_the_original(name, value):
    before = IMAGE.copy()
    changed = change(**{name: value})
    assert changed.dtype == np.uint8 and changed.shape == IMAGE.shape and (changed != IMAGE).any()
    np.testing.assert_array_equal(IMAGE, before)


def test_colours_are_a_function_of_the_seed():
    colours = Colours(ALL)
    first, again, other = (colours(np.random.default_rng(seed), IMAGE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_brightness_multiplies_all_values():
    grey = np.full((4, 4, 3), 100, dtype=np.uint8)
    values = [change(grey, seed, brightness=0.3)[0, 0, 0] for seed in range(200)]
    assert 70 <= min(values) < 75 and 125 < max(values) <= 130


def test_contrast_keeps_the_mean():
    image = IMAGE // 2 + 64    # so that nothing is cut off at 0 or 255
    assert np.abs(change(image, contrast=0.3).mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 1


def test_saturation_keeps_grey_pixels():
    grey = np.repeat(IMAGE[..., :1], 3, axis=-1)
    assert np.abs(change(grey, saturation=0.9).astype(int) - grey).max() <= 1


def test_hue_turns_the_colour_circle_by_at_most_so_many_degrees():
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[..., 2] = 255
    hues = [2 * int(cv2.cvtColor(change(red, seed, hue=36), cv2.COLOR_BGR2HSV)[0, 0, 0]) for seed in range(200)]
    turned = [(hue + 180) % 360 - 180 for hue in hues]
    assert -38 <= min(turned) < -28 and 28 < max(turned) <= 36


def test_the_share_of_grey_images_is_as_asked():
    is_grey = [not np.ptp(change(seed=seed, grey=0.3), axis=-1).any() for seed in range(300)]
    assert 0.2 < np.mean(is_grey) < 0.4
