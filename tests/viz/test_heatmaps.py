"""Pictures of the probabilities of masks and keypoints."""
import common  # noqa: F401

import numpy as np
import pytest

from data.records import Skeleton
from fake_network import point_logits
from inference.detections import Detections
from viz.heatmaps import draw_keypoint_heatmap, draw_mask_heatmap, keypoint_color

BOX = (100, 200, 300, 400)


@pytest.fixture
def image():
    return np.full((500, 600, 3), 90, np.uint8)


def detections(scores=(0.9,), **kwargs):
    n = len(scores)
    return Detections(
        np.array([BOX] * n, np.float32), np.array(scores, np.float32), np.ones(n, int), 500, 600, **kwargs)


def test_the_likelier_a_pixel_the_brighter_it_is(image):
    probs = np.tile(np.linspace(0, 1, 28, dtype=np.float32), (1, 28, 1))
    found = detections(mask_probs=probs)
    drawn = draw_mask_heatmap(image, found)
    row = drawn[250, [110, 160, 230, 290]].astype(int).sum(axis=1)
    assert (np.diff(row) > 50).all() and (image == 90).all() and found.boxes.tolist() == [list(BOX)]
    assert (drawn[:190] == drawn[0, 0]).all() and drawn[0, 0, 0] < 90, "what is in no box is dimmed"
    assert (drawn[250] == 255).all(axis=1).any(), "a line where the probability is 0.5"


def test_of_several_masks_the_highest_probability_counts(image):
    probs = np.stack([np.full((28, 28), p, np.float32) for p in (0.95, 0.1)])
    both = draw_mask_heatmap(image, detections((0.9, 0.8), mask_probs=probs))
    np.testing.assert_array_equal(both, draw_mask_heatmap(image, detections(mask_probs=probs[:1])))


def test_what_scores_low_is_not_drawn(image):
    found = detections((0.3,), mask_probs=np.ones((1, 28, 28), np.float32))
    drawn = draw_mask_heatmap(image, found, score_threshold=0.5)
    assert (drawn == drawn[0, 0]).all()


def test_each_keypoint_has_its_color_where_it_is_likeliest(image):
    found = detections(keypoint_logits=2 * point_logits([(14, 14), (42, 42)])[None],
                       skeleton=Skeleton(("a", "b"), ()))
    drawn = draw_keypoint_heatmap(image, found).astype(int)
    for index, (x, y) in enumerate([(151, 251), (251, 351)]):
        assert np.abs(drawn[y, x] - keypoint_color(index)).max() < 60
    np.testing.assert_array_equal(drawn[220, 280], drawn[0, 0])


def test_a_class_without_keypoints_has_no_heat(image):
    found = detections(keypoint_logits=point_logits([(14, 14)])[None], skeleton=Skeleton(("a",), (), ((),)))
    drawn = draw_keypoint_heatmap(image, found)
    np.testing.assert_array_equal(drawn[220:380, 120:280].reshape(-1, 3).std(axis=0), 0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 2)])
def test_images_of_odd_shapes_have_heatmaps(shape):
    found = Detections(np.float32([(0, 0, shape[1], shape[0])]), np.float32([0.9]), np.array([1]), *shape,
                       mask_probs=np.ones((1, 28, 28), np.float32))
    assert draw_mask_heatmap(np.zeros((*shape, 3), np.uint8), found, min_edge=20).dtype == np.uint8
