import cv2
import numpy as np
import pytest

from data.augment import View, mirror_partners

SIZE = 60, 80
NAMES = ("nose", "left_eye", "right_eye", "left_paw")
MIRRORS = [(x, y) for x in (False, True) for y in (False, True)]


def random_view(rng, mirrors=(False, False)):
    x1, y1 = rng.integers(0, [SIZE[1] - 30, SIZE[0] - 30])
    x2, y2 = rng.integers([x1 + 20, y1 + 20], [SIZE[1], SIZE[0]], endpoint=True)
    return View((int(x1), int(y1), int(x2), int(y2)), tuple(rng.integers(40, 200, 2).tolist()), *mirrors)


def test_boxes_are_cropped_resized_and_then_mirrored():
    boxes = np.array([[11, 22, 40, 60]], dtype=np.float32)
    view = View((10, 20, 60, 70), (100, 150))
    assert view.see_boxes(boxes).dtype == np.float32
    assert view.see_boxes(boxes).tolist() == [[3, 4, 90, 80]]
    assert view._replace(mirror_x=True).see_boxes(boxes).tolist() == [[60, 4, 147, 80]]
    assert view._replace(mirror_y=True).see_boxes(boxes).tolist() == [[3, 20, 90, 96]]


def test_seeing_boxes_leaves_the_originals():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    View((0, 0, 80, 60), (60, 80), True, True).see_boxes(boxes)
    assert boxes.tolist() == [[1, 2, 30, 40]]


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_boxes_are_found_where_they_were_seen(mirrors):
    rng = np.random.default_rng(0)
    for _ in range(20):
        view = random_view(rng, mirrors)
        x1, y1, x2, y2 = view.window
        corners = np.sort(rng.uniform((x1, y1), (x2, y2), (5, 2, 2)), axis=1)
        boxes = corners.reshape(-1, 4).astype(np.float32)
        np.testing.assert_allclose(view.find_boxes(view.see_boxes(boxes)), boxes, atol=1e-4)


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_the_image_is_that_of_the_window(mirrors):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    expected = cv2.resize(image[5:55, 10:70], (90, 75))[::-1 if mirrors[1] else 1, ::-1 if mirrors[0] else 1]
    np.testing.assert_array_equal(View((10, 5, 70, 55), (75, 90), *mirrors).see_image(image), expected)


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_masks_are_mirrored_with_their_boxes(mirrors):
    masks = np.random.default_rng(0).integers(0, 2, (3, 7, 9)).astype(np.uint8)
    expected = masks[:, ::-1 if mirrors[1] else 1, ::-1 if mirrors[0] else 1]
    np.testing.assert_array_equal(View((0, 0, 9, 9), (9, 9), *mirrors).see_masks(masks), expected)


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_a_keypoint_lands_on_its_pixel(mirrors):
    rng = np.random.default_rng(1)
    for _ in range(20):
        view = random_view(rng, mirrors)
        x1, y1, x2, y2 = view.window
        x, y = rng.integers((x1 + 2, y1 + 2), (x2 - 2, y2 - 2))
        image = np.zeros((*SIZE, 3), dtype=np.uint8)
        image[y, x] = 255
        keypoints = np.array([[[x + 0.5, y + 0.5, 2]]])
        ((seen_x, seen_y, visibility),) = view.see_keypoints(keypoints, mirror_partners(["nose"]))[0]
        # the dot's centre of mass, whose pixels have their centres at half numbers
        seen = view.see_image(image)[..., 0].astype(float)
        row, column = (np.average(np.arange(n) + 0.5, weights=seen.sum(axis=axis))
                       for n, axis in zip(view.size, (1, 0)))
        tolerance = 0.1 * max(view.size[1] / (x2 - x1), view.size[0] / (y2 - y1), 1)
        assert visibility == 2 and abs(seen_x - column) < tolerance and abs(seen_y - row) < tolerance


def test_keypoints_follow_boxes_through_crop_and_resize():
    keypoints = np.array([[[11, 22, 2], [40, 60, 1], [0, 0, 0], [60, 70, 2]]], dtype=float)
    seen = View((10, 20, 60, 70), (100, 150)).see_keypoints(keypoints, mirror_partners(NAMES))
    assert seen.dtype == np.float32
    assert seen.tolist() == [[[3, 4, 2], [90, 80, 1], [0, 0, 0], [150, 100, 2]]]


def test_keypoints_outside_of_the_window_and_those_without_a_label_are_zero():
    keypoints = np.array([[[9.9, 30, 2], [30, 70.1, 1], [30, 30, 0], [30, 30, 2]]])
    seen = View((10, 20, 60, 70), (50, 50), True).see_keypoints(keypoints, np.arange(4))
    assert seen[0, :3].tolist() == [[0, 0, 0]] * 3 and seen[0, 3].tolist() == [30, 10, 2]


@pytest.mark.parametrize("mirrors, order", [
    ((False, False), [0, 1, 2, 3]), ((True, False), [0, 2, 1, 3]), ((False, True), [0, 2, 1, 3]),
    ((True, True), [0, 1, 2, 3])])
def test_left_and_right_are_swapped_in_a_mirror_and_not_in_two(mirrors, order):
    keypoints = np.array([[[10, 10, 2], [20, 10, 2], [30, 10, 2], [40, 10, 2]]], dtype=float)
    seen = View((0, 0, 80, 60), (60, 80), *mirrors).see_keypoints(keypoints, mirror_partners(NAMES))
    expected = keypoints[0, order, 0]
    assert seen[0, :, 0].tolist() == (80 - expected if mirrors[0] else expected).tolist()


def test_the_originals_of_keypoints_stay():
    keypoints = np.array([[[10, 10, 2.0]]])
    View((0, 0, 80, 60), (60, 80), True, True).see_keypoints(keypoints, np.arange(1))
    assert keypoints.tolist() == [[[10, 10, 2]]]


@pytest.mark.parametrize("names, partners", [
    (("nose", "left_eye", "right_eye"), [0, 2, 1]), (("LeftEye", "RightEye"), [1, 0]), (("l_eye", "r_eye"), [1, 0]),
    (("ankle-R", "ankle-L"), [1, 0]), (("left_paw", "tail", "trailer"), [0, 1, 2]), ((), [])])
def test_partners_are_found_by_name(names, partners):
    assert mirror_partners(names).tolist() == partners


def test_a_class_that_lacks_a_partner_keeps_its_keypoint():
    partners = mirror_partners(NAMES, ((0, 1, 2, 3), (1,), (), (0, 2)))
    assert partners.tolist() == [[0, 2, 1, 3], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_each_object_is_mirrored_with_partners_of_its_own():
    keypoints = np.zeros((2, 4, 3))
    keypoints[:, 1] = [10, 20, 2]
    seen = View((0, 0, 80, 60), (60, 80), True).see_keypoints(keypoints, np.array([[0, 2, 1, 3], [0, 1, 2, 3]]))
    assert [np.flatnonzero(own[:, 2]).tolist() for own in seen] == [[2], [1]]
