"""Pictures of detections beside their ground truth."""
import numpy as np

import planted
from viz.ground_truth import MARK
from viz.mistakes import FOUND, GAP, TITLE, Panel, draw_beside_truth, draw_found

IMAGE = np.full((400, 400, 3), 128, np.uint8)
BOX = (100, 100, 80, 80)


def pixels_of(picture, color):
    """Returns: bool (h, w), which pixels have just a colour"""
    return (picture == color).all(axis=2)


def panel(is_marked, boxes=(BOX,)):
    texts = ["circle 0.90"] * len(boxes)
    return Panel("found", np.array(boxes, dtype=float).reshape(-1, 4), texts, np.array(is_marked))


def test_marked_detections_are_red_and_others_are_not():
    plain, marked = (draw_found(IMAGE, panel([is_marked]), min_edge=0) for is_marked in (False, True))
    assert pixels_of(marked, MARK).sum() > pixels_of(plain, FOUND).sum() > 300
    assert not pixels_of(plain, MARK).any() and not pixels_of(marked, FOUND).any()
    rows, columns = np.nonzero(pixels_of(marked, MARK))
    assert columns.min() >= 98 and columns.max() <= 230 and rows.max() <= 182


def test_ground_truth_and_panels_stand_side_by_side():
    record = planted.make_dataset([[(1, BOX), (2, (300, 300, 50, 50))]]).records[0]
    picture = draw_beside_truth(IMAGE, record, planted.CLASSES, [True, False], [panel([False]), panel([], ())])
    assert picture.shape == (400 * 2 * 640 // 800 + TITLE, 3 * 640 + 2 * GAP, 3)
    truth, found, nothing = (picture[TITLE:, k * (640 + GAP):k * (640 + GAP) + 640] for k in range(3))
    reds = [((each.astype(int) - MARK)[..., 2] > -30) & (each[..., 0] < 90) for each in (truth, found)]
    assert reds[0].sum() > 500 > reds[1].sum()
    np.testing.assert_array_equal(nothing, 128)


def test_a_box_that_leaves_the_image_is_drawn_at_its_border():
    picture = draw_found(IMAGE, panel([True], [(-50, 350, 900, 900)]), min_edge=0)
    assert pixels_of(picture, MARK)[-1, 0] and pixels_of(picture, MARK)[-1, -1]


def test_the_image_stays_as_it_is():
    image = IMAGE.copy()
    draw_found(image, panel([True]), min_edge=0)
    np.testing.assert_array_equal(image, IMAGE)
