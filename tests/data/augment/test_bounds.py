import numpy as np
import pycocotools.mask as mask_utils
import pytest

from data.augment.bounds import bounds_of_pixels, intersect, pixel_range, visible_box

HEIGHT, WIDTH = 60, 80
WHOLE = (0, 0, WIDTH, HEIGHT)


def polygon(*points):
    return np.array(points, dtype=np.float64).ravel()


def box_of(*polygons):
    points = np.concatenate(polygons).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def visible(polygons, window, box=None):
    found = visible_box(polygons, box_of(*polygons) if box is None else box, window, (HEIGHT, WIDTH))
    return None if found is None else found.tolist()


TRIANGLE = polygon((10, 10), (50, 10), (10, 50))
U_SHAPE = polygon((10, 10), (20, 10), (20, 40), (40, 40), (40, 10), (50, 10), (50, 50), (10, 50))


@pytest.mark.parametrize("polygons, window, expected", [
    ([TRIANGLE], WHOLE, [10, 10, 50, 50]),
    ([TRIANGLE], (20, 20, 80, 60), [20, 20, 40, 40]),
    ([TRIANGLE], (0, 30, 80, 60), [10, 30, 30, 50]),
    ([TRIANGLE], (12, 12, 20, 20), [12, 12, 20, 20]),    # no edge runs through the window
    ([TRIANGLE], (40, 40, 60, 60), None),
    ([TRIANGLE], (30, 30, 60, 60), None),                # it only touches the corner
    ([TRIANGLE], (50, 0, 80, 60), None),                 # it only touches the side
    ([U_SHAPE], (0, 0, 80, 30), [10, 10, 50, 30]),
    ([U_SHAPE], (15, 0, 30, 30), [15, 10, 20, 30]),      # one arm
    ([U_SHAPE], (22, 12, 38, 38), None),                 # between the arms
    ([U_SHAPE], (20, 10, 40, 40), None),                 # exactly between the arms
    ([U_SHAPE], (15, 30, 45, 45), [15, 30, 45, 45]),
    ([TRIANGLE, polygon((60, 50), (70, 50), (70, 58))], (45, 5, 80, 60), [45, 10, 70, 58])])
def test_the_box_is_the_bounds_of_the_polygons_inside_the_window(polygons, window, expected):
    found = visible(polygons, window)
    assert (found is None) == (expected is None)
    np.testing.assert_allclose(found or [], expected or [], atol=1e-4)


def test_a_polygon_that_goes_around_a_corner_of_the_window_does_not_reach_it():
    # it enters at the left side and runs around the top left corner outside
    hook = polygon((5, 25), (15, 25), (15, 30), (2, 30), (2, 2), (60, 2), (60, 8), (5, 8))
    np.testing.assert_allclose(visible([hook], (10, 10, 70, 60)), [10, 25, 15, 30])


def test_bounds_of_random_polygons_are_those_of_a_fine_raster():
    rng = np.random.default_rng(0)
    fine = 8
    num_left = 0
    for _ in range(300):
        points = rng.uniform((0, 0), (WIDTH, HEIGHT), (rng.integers(3, 8), 2)).round(2).ravel()
        x1, y1 = rng.integers(0, [WIDTH - 8, HEIGHT - 8])
        x2, y2 = rng.integers([x1 + 5, y1 + 5], [WIDTH, HEIGHT])
        raster = mask_utils.decode(mask_utils.frPyObjects([points * fine], HEIGHT * fine, WIDTH * fine))[..., 0]
        expected = bounds_of_pixels(raster[y1 * fine:y2 * fine, x1 * fine:x2 * fine])
        found = visible([points], (x1, y1, x2, y2))
        assert expected is None or found is not None
        if expected is not None and found is not None:
            # the raster may miss the point of a needle, so that the bounds may be larger, but never smaller
            outward = (expected / fine + [x1, y1, x1, y1] - found) * [1, 1, -1, -1]
            assert outward.min() > -0.3
            num_left += np.abs(outward).max() < 0.3
    assert num_left > 150


def test_a_box_inside_the_window_stays_as_annotated():
    assert visible([TRIANGLE], (5, 5, 70, 60), np.float32([8, 9, 52, 51])) == [8, 9, 52, 51]


def test_what_sticks_out_of_the_annotated_box_does_not_count():
    assert visible([TRIANGLE], (0, 0, 25, 60), np.float32([12, 10, 30, 20])) == [12, 10, 25, 20]


def test_without_a_mask_the_box_is_clipped():
    assert visible_box(None, np.float32([5, 6, 50, 40]), (10, 0, 45, 20), (HEIGHT, WIDTH)).tolist() == [10, 6, 45, 20]


def test_the_box_of_an_rle_is_the_bounds_of_its_pixels():
    raster = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    raster[10:20, 30:60] = 1
    raster[40:45, 5:35] = 1
    rle = mask_utils.encode(np.asfortranarray(raster))
    box = np.float32([5, 10, 60, 45])
    assert visible_box(rle, box, (0, 0, 50, 30), (HEIGHT, WIDTH)).tolist() == [30, 10, 50, 20]
    assert visible_box(rle, box, (0, 15, 40, 60), (HEIGHT, WIDTH)).tolist() == [5, 15, 40, 45]
    assert visible_box(rle, box, (0, 22, 80, 38), (HEIGHT, WIDTH)) is None
    assert visible_box(rle, np.float32([31.5, 10.5, 60, 45]), (0, 0, 50, 30), (HEIGHT, WIDTH)).tolist() == [
        31.5, 10.5, 50, 20]


def test_a_box_beside_the_window_is_not_visible():
    assert visible_box(None, np.float32([5, 6, 10, 40]), (10, 0, 45, 20), (HEIGHT, WIDTH)) is None


def test_pixel_range_is_what_the_box_touches_and_never_empty():
    assert pixel_range(np.float32([1.2, 3.0, 4.0, 5.1]), (60, 80)) == (1, 3, 4, 6)
    assert pixel_range(np.float32([79.99999, 10, 80.00001, 10.5]), (60, 80)) == (79, 10, 80, 11)


def test_boxes_share_their_overlap():
    assert intersect(np.float32([0, 0, 10, 10]), np.float32([5, -3, 20, 8])).tolist() == [5, 0, 10, 8]
