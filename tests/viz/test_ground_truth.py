"""Pictures of annotated images."""
import common  # noqa: F401

import numpy as np
import pytest

import data
from viz import ground_truth
from viz.ground_truth import draw_ground_truth, draw_marked, of_record, of_sample

HEIGHT, WIDTH = 500, 600
BBOX = [100.0, 200, 200, 150]
MASK = [100.0, 200, 300, 200, 300, 350]    # the upper right half of the box


@pytest.fixture
def image():
    return np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def make_record(bboxes=(BBOX,), segmentations=None, is_crowd=False, is_difficult=False, keypoints=None):
    n = len(bboxes)
    return data.Record("a.jpg", 1, HEIGHT, WIDTH, np.array(bboxes), np.ones(n), np.ones(n, np.int32),
                       np.full(n, is_crowd), segmentations or [None] * n, keypoints, np.full(n, is_difficult))


def changed(drawn):
    return (drawn != 90).any(axis=2)


def test_a_mask_tints_its_pixels_and_the_rest_of_the_box_stays(image):
    drawn = changed(draw_ground_truth(image, of_record(make_record(segmentations=[[np.array(MASK)]]), ("cat",))))
    assert drawn[210, 285] and not drawn[330, 130]
    assert (image == 90).all(), "the image itself stays as it is"


@pytest.mark.parametrize("field", ["is_crowd", "is_difficult"])
def test_the_box_of_a_crowd_and_of_a_difficult_object_is_dashed_and_named(image, field):
    truth = of_record(make_record(**{field: True}), ("cat",))
    edge = changed(draw_ground_truth(image, truth))[260:340, 98:104].any(axis=1)
    assert 0.2 < edge.mean() < 0.9
    assert truth.names == [f"cat ({field[3:]})"]


def test_labelled_keypoints_are_drawn_and_joined(image):
    keypoints = np.array([[[120.5, 220.5, 2], [280.5, 330.5, 1], [200.5, 340.5, 0]]])
    truth = of_record(make_record(keypoints=keypoints), ("person",))
    drawn = changed(draw_ground_truth(image, truth, edges=[(0, 1), (1, 2)]))
    assert drawn[220, 120] and drawn[330, 280] and drawn[275, 200]
    assert not drawn[340, 200] and not drawn[335, 240]


def test_a_small_image_is_enlarged_with_its_objects():
    small = np.full((50, 60, 3), 90, np.uint8)
    record = make_record([[10.0, 20, 20, 15]], [[np.array(MASK) / 10]])
    record.height, record.width = 50, 60
    drawn = draw_ground_truth(small, of_record(record, ("cat",)), min_edge=500)
    assert drawn.shape == (500, 600, 3) and changed(drawn)[210, 285]


def test_a_training_sample_is_drawn_without_its_padding():
    boxes, labels = np.array([[100, 200, 300, 350], [10, 10, 50, 50], [0, 0, 0, 0]], np.float32), np.array([2, -1, 0])
    masks = np.zeros((3, 28, 28), np.uint8)
    masks[0, :14] = 1
    truth = of_sample(boxes, labels, masks, (HEIGHT, WIDTH), ("cat", "dog"))
    assert truth.names == ["dog", "crowd"] and truth.is_region.tolist() == [False, True]
    crop, corner = truth.masks[0]
    assert corner == (100, 200) and crop.shape == (150, 200) and crop[:70].mean() > 0.95 and not crop[80:].any()
    assert truth.masks[1] is None


def test_what_is_wrong_is_framed_and_the_picture_extended_to_where_it_is(image):
    drawn = draw_marked(image, make_record([[-50.0, 200, 100, 100]]), ("cat",), [-50, 200, 100, 100])
    assert drawn.shape == (HEIGHT, WIDTH + 68, 3)
    assert (drawn == ground_truth.MARK).all(axis=2).any()


@pytest.mark.parametrize("bbox", [[10, 10, 0, 0], [1e7, -1e7, 5, 5], [30, 30, -20, -1e8], [0.2, 0.2, 0.1, 0.1]])
def test_a_box_of_any_kind_can_be_marked(image, bbox):
    drawn = draw_marked(image, make_record(), ("cat",), bbox)
    assert max(drawn.shape) <= 3 * WIDTH + 2


def test_an_empty_mask_can_be_drawn(image):
    rle = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
    draw_ground_truth(image, of_record(make_record(segmentations=[rle]), ("cat",)))
