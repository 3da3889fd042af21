"""What is drawn on pictures."""
import common  # noqa: F401

import numpy as np
import pytest

from viz import drawing


@pytest.fixture
def canvas():
    return np.full((100, 120, 3), 90, np.uint8)


def test_a_box_is_drawn_on_its_outermost_pixels(canvas):
    drawing.draw_box(canvas, (10, 20, 50, 60), (0, 0, 255), 1)
    changed = (canvas != 90).any(axis=2)
    assert changed[20, 10:50].all() and changed[59, 10:50].all()
    assert changed.sum() == 4 * 40 - 4


def test_a_dashed_box_has_its_corners_and_gaps(canvas):
    drawing.draw_dashed_box(canvas, (10, 20, 110, 90), (0, 0, 255), 1)
    changed = (canvas != 90).any(axis=2)
    assert changed[[20, 20, 89, 89], [10, 109, 10, 109]].all()
    assert 0.3 < changed[20, 10:110].mean() < 0.8


def test_a_mask_tints_its_own_pixels(canvas):
    crop = np.zeros((4, 6), dtype=bool)
    crop[1, 2:5] = True
    drawing.draw_mask(canvas, crop, (30, 40), (0, 0, 255), 0)
    assert np.argwhere((canvas != 90).any(axis=2)).tolist() == [[41, 32], [41, 33], [41, 34]]


@pytest.mark.parametrize("box", [(0, 0, 600, 500), (590, 0, 600, 10), (595, 490, 600, 500), (0, 495, 20, 500)])
def test_a_label_is_wholly_inside_the_image(box):
    x1, y1, x2, y2 = drawing.label_place(np.array(box), 200, 30, (500, 600, 3), [])
    assert 0 <= x1 and x2 <= 600 and 0 <= y1 and y2 <= 500


def test_labels_of_equal_boxes_do_not_cover_each_other():
    first = drawing.label_place((100, 100, 300, 300), 80, 20, (500, 600, 3), [])
    second = drawing.label_place((100, 100, 300, 300), 80, 20, (500, 600, 3), [first])
    assert not drawing.overlaps(second, [first])


@pytest.mark.parametrize("color", [drawing.instance_color(i) for i in range(12)])
def test_text_contrasts_with_its_background(color):
    def luma(c):
        return 0.114 * c[0] + 0.587 * c[1] + 0.299 * c[2]
    assert abs(luma(drawing.text_color(color)) - luma(color)) > 100
