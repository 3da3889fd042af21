"""Pictures of detections."""
import common  # noqa: F401

import numpy as np
import pytest

from data.records import Skeleton
from fake_network import point_logits
from inference.detections import Detections
from viz import detections as viz


def make_detections(boxes, scores=None, labels=None, masks=True, shape=(500, 600), class_names=("cat",)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    return Detections(boxes, np.array(scores if scores is not None else [0.9] * n, np.float32),
                      np.array(labels if labels is not None else [1] * n, int), *shape,
                      mask_probs=np.ones((n, 28, 28), np.float32) if masks else None, class_names=class_names)


@pytest.fixture
def image():
    return np.full((500, 600, 3), 90, np.uint8)


def test_drawing_leaves_the_image_as_it_was(image):
    viz.draw_detections(image, make_detections([(100, 100, 300, 300)]))
    assert (image == 90).all()


def test_a_mask_tints_its_pixels_and_no_others(image):
    drawn = viz.draw_detections(image, make_detections([(100, 200, 300, 400)]))
    assert (drawn[210:390, 110:290] != 90).any(axis=2).all()
    assert (drawn[410:] == 90).all() and (drawn[:, 310:] == 90).all()


def test_without_masks_the_inside_of_a_box_stays_as_it_was(image):
    drawn = viz.draw_detections(image, make_detections([(100, 200, 300, 400)], masks=False))
    assert (drawn[230:390, 110:290] == 90).all()
    assert (drawn[300, 98:103] != 90).any()


def test_a_detection_below_the_threshold_is_not_drawn(image):
    found = make_detections([(100, 200, 300, 400)], scores=[0.3])
    assert (viz.draw_detections(image, found, score_threshold=0.5) == 90).all()
    assert (viz.draw_detections(image, found, score_threshold=0.2) != 90).any()


def test_the_higher_score_lies_on_top(image):
    box = (100, 200, 300, 400)
    alone = viz.draw_detections(image, make_detections([box], scores=[0.9], masks=False))
    covering = viz.draw_detections(image, make_detections([box] * 2, scores=[0.6, 0.9], masks=False))
    np.testing.assert_array_equal(alone[250:399, 95:305], covering[250:399, 95:305])


def test_a_small_image_is_enlarged_by_a_whole_number():
    small = np.zeros((192, 256, 3), np.uint8)
    found = make_detections([(10, 10, 50, 50)], shape=(192, 256))
    assert viz.draw_detections(small, found).shape == (576, 768, 3)
    assert viz.draw_detections(small, found, min_edge=0).shape == (192, 256, 3)


@pytest.mark.parametrize("shape, expected", [
    ((1, 3072), (2, 6144)), ((5000, 40), (5000, 40)), ((20, 1000), (160, 8000)),
    ((240, 320), (480, 640))])
def test_an_image_is_not_enlarged_beyond_what_can_be_looked_at(shape, expected):
    found = make_detections([(0, 0, shape[1], shape[0])], shape=shape)
    assert viz.draw_detections(np.zeros((*shape, 3), np.uint8), found).shape == (*expected, 3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 2), (16, 16)])
def test_images_of_odd_shapes_can_be_drawn_on(shape):
    found = make_detections([(0, 0, shape[1], shape[0])], shape=shape, class_names=("a class with quite a long name",))
    drawn = viz.draw_detections(np.zeros((*shape, 3), np.uint8), found, min_edge=20)
    assert drawn.dtype == np.uint8 and min(drawn.shape[:2]) >= 16


def with_keypoints(places, blurred=()):
    """Returns: Detections of one object in (100, 200, 300, 400) with keypoints at places of 56 x 56, some with scores
    next to nothing, and a line between the first two"""
    logits = 2 * point_logits(places)
    logits[:, :, list(blurred)] /= 1000
    found = make_detections([(100, 200, 300, 400)], masks=False)
    found.keypoint_logits, found.skeleton = logits[None], Skeleton(tuple("abc"), ((0, 1), (1, 2)))
    return found


def test_keypoints_are_drawn_and_joined(image):
    drawn = (viz.draw_detections(image, with_keypoints([(14, 14), (42, 14), (42, 42)])) != 90).any(axis=2)
    assert drawn[251, 152] and drawn[251, 251] and drawn[351, 251] and drawn[251, 200] and drawn[300, 251]
    assert not drawn[300, 200]


def test_keypoints_with_low_scores_and_their_lines_are_left_out(image):
    drawn = (viz.draw_detections(image, with_keypoints([(14, 14), (42, 14), (42, 42)], blurred=[2])) != 90).any(axis=2)
    assert drawn[251, 251] and not drawn[351, 251] and not drawn[300, 251]
    found = with_keypoints([(14, 14), (42, 14), (42, 42)], blurred=[2])
    drawn = (viz.draw_detections(image, found, keypoint_threshold=0) != 90).any(axis=2)
    assert drawn[300:340, 251:].any()


def test_keypoints_that_a_class_lacks_are_never_drawn(image):
    found = with_keypoints([(14, 14), (42, 14), (42, 42)])
    found.skeleton = found.skeleton._replace(of_class=((0, 1),))
    drawn = (viz.draw_detections(image, found, keypoint_threshold=0) != 90).any(axis=2)
    assert drawn[251, 251] and not drawn[351, 251] and not drawn[:202, :95].any()


def test_keypoints_are_enlarged_with_a_small_image():
    found = with_keypoints([(14, 14), (42, 14), (42, 42)])
    found.boxes /= 5
    drawn = viz.draw_detections(np.full((100, 120, 3), 90, np.uint8), found, min_edge=500)
    assert (drawn[300, 245:260] != 90).any() and drawn.shape == (500, 600, 3)


def test_an_image_without_detections_is_unchanged(image):
    np.testing.assert_array_equal(viz.draw_detections(image, make_detections([])), image)


def test_a_track_has_its_color_and_its_number_in_every_frame(image):
    box, texts = (100, 200, 300, 400), []
    found = make_detections([box, (400, 100, 500, 200)], scores=[0.9, 0.8], masks=False, shape=(500, 600))
    colors = []
    for numbers in ([7, 3], [0, 7]):
        found.track_ids = np.array(numbers)
        texts.append([viz._text(found, i) for i in (0, 1)])
        drawn = viz.draw_detections(image, found)
        colors.append([tuple(drawn[399, 200].tolist()), tuple(drawn[199, 450].tolist())])
    assert colors[0][0] == colors[1][1] != colors[0][1] and colors[1][0] == viz.UNTRACKED
    assert texts == [["cat #7 0.90", "cat #3 0.80"], ["cat 0.90", "cat #7 0.80"]]


def test_colors_may_be_given(image):
    found = make_detections([(100, 200, 300, 400), (400, 100, 500, 200)], scores=[0.3, 0.8], masks=False)
    drawn = viz.draw_detections(image, found, colors=[(1, 2, 3), (4, 5, 6)])
    assert tuple(drawn[199, 450]) == (4, 5, 6) and not (drawn == (1, 2, 3)).all(axis=2).any()
