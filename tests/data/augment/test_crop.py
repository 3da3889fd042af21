import numpy as np
import pytest

from data.augment.crop import aspect_window, jitter, random_window

NO_BOXES = np.zeros((0, 4), dtype=np.float32)


def windows(draw, count=300):
    """Returns: int (count, 4), what a function of a generator draws"""
    rng = np.random.default_rng(0)
    return np.array([draw(rng) for _ in range(count)])


def is_inside(found, size):
    return (found[:, :2] >= 0).all() and (found[:, 2:] <= size[::-1]).all() and (found[:, :2] < found[:, 2:]).all()


# aspect cropping --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size, expected", [
    ((100, 300), (100, 200)), ((300, 100), (200, 100)), ((100, 200), (100, 200)), ((100, 150), (100, 150)),
    ((101, 50), (100, 50)), ((33, 70), (33, 66))])
def test_aspect_cropping_brings_the_ratio_into_the_limits(size, expected):
    found = windows(lambda rng: aspect_window(rng, size, NO_BOXES, (0.5, 2.0)))
    assert is_inside(found, size)
    assert set(zip(found[:, 3] - found[:, 1], found[:, 2] - found[:, 0])) == {expected}


def test_aspect_cropping_rounds_up():
    (x1, y1, x2, y2), = windows(lambda rng: aspect_window(rng, (10, 50), NO_BOXES, (0.5, 1.25)), 1)
    assert (x2 - x1, y2 - y1) == (13, 10)


def test_aspect_cropping_keeps_all_boxes_wherever_it_can():
    boxes = np.float32([[120.5, 10, 180, 20], [150, 30, 270.2, 60]])
    found = windows(lambda rng: aspect_window(rng, (100, 400), boxes, (0.5, 2.0)))
    assert set(found[:, 0]) == set(range(71, 121))    # uniform among all that hold 120.5 to 270.2


def test_aspect_cropping_is_anywhere_where_the_boxes_span_more():
    boxes = np.float32([[20, 10, 30, 20], [300, 30, 390, 60]])
    found = windows(lambda rng: aspect_window(rng, (20, 400), boxes, (0.5, 2.0)), 3000)
    assert found[:, 0].min() == 0 and found[:, 2].max() == 400 and len(set(found[:, 0])) == 361


# random crop ------------------------------------------------------------------------------------------------------
def test_sides_up_to_1_are_shares_of_the_image():
    found = windows(lambda rng: random_window(rng, (100, 200), NO_BOXES, (0.3, 1)))
    assert is_inside(found, (100, 200))
    heights, widths = found[:, 3] - found[:, 1], found[:, 2] - found[:, 0]
    assert 30 <= heights.min() < 33 and 97 < heights.max() <= 100
    assert 60 <= widths.min() < 65 and 195 < widths.max() <= 200
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.2


def test_larger_sides_are_pixels_and_end_at_the_image():
    found = windows(lambda rng: random_window(rng, (100, 200), NO_BOXES, (80, 150)), 2000)
    assert is_inside(found, (100, 200))
    assert set(found[:, 3] - found[:, 1]) == set(range(80, 101)) and (found[:, 2] - found[:, 0]).max() > 145


def test_without_objects_a_crop_is_anywhere():
    found = windows(lambda rng: random_window(rng, (100, 200), NO_BOXES, (20, 20)), 2000)
    assert found[:, :2].min(axis=0).tolist() == [0, 0] and found[:, 2:].max(axis=0).tolist() == [200, 100]


def test_a_crop_holds_the_whole_box_of_an_object_that_fits():
    boxes = np.float32([[20, 30, 50.5, 60], [150, 10, 180, 40.5]])
    found = windows(lambda rng: random_window(rng, (100, 200), boxes, (40, 60)))
    holds = np.array([(found[:, :2] <= box[:2]).all(1) & (found[:, 2:] >= box[2:]).all(1) for box in boxes])
    assert is_inside(found, (100, 200)) and holds.any(axis=0).all() and holds.mean(axis=1).min() > 0.3
    assert len(set(found[holds[0], 0])) > 15


def test_a_crop_lies_inside_a_larger_object():
    found = windows(lambda rng: random_window(rng, (100, 200), np.float32([[20.5, 10, 180, 90]]), (30, 60)))
    assert (found[:, :2] >= [20, 10]).all() and (found[:, 2:] <= [180, 90]).all()
    assert found[:, 0].min() < 25 and found[:, 2].max() > 175


# large-scale jitter -----------------------------------------------------------------------------------------------
def jitters(size, scale, canvas=(128, 128), count=300):
    rng = np.random.default_rng(0)
    return [jitter(rng, size, scale, canvas) for _ in range(count)]


def test_a_smaller_image_stays_whole():
    for window, size in jitters((60, 80), (0.1, 1)):
        assert window == (0, 0, 80, 60) and max(size) <= 128


def test_a_larger_image_is_cut_to_the_canvas():
    found = jitters((60, 80), (1.34, 2.0))
    assert {size for _, size in found} == {(128, 128)}
    assert is_inside(np.array([window for window, _ in found]), (60, 80))
    assert len({window[0] for window, _ in found}) > 20


def test_the_scale_is_drawn_uniformly():
    widths = [size[1] for _, size in jitters((60, 80), (0.1, 1), count=2000)]
    assert 12 <= min(widths) <= 14 and max(widths) >= 127 and abs(np.mean(widths) - 0.55 * 128) < 3


def test_the_ratio_of_the_sides_stays():
    for (x1, y1, x2, y2), (height, width) in jitters((600, 800), (0.5, 2.0), (1024, 1024)):
        assert abs(np.log(height / (y2 - y1)) - np.log(width / (x2 - x1))) < 0.003


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_even_the_smallest_image_leaves_a_pixel(size):
    for window, new_size in jitters(size, (0.01, 20), (16, 24)):
        assert is_inside(np.array([window]), size) and min(new_size) >= 1 and new_size[0] <= 16 and new_size[1] <= 24
