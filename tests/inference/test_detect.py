"""From images to detections, with a stand-in for the network."""
import common  # noqa: F401

import numpy as np
import pytest

from data.records import Skeleton
from fake_network import fake_predict
from inference.detect import detect_batch
from inference.detections import Detections, detections_to_coco
from inference.predictor import NetworkOutput

HEIGHT, WIDTH = 60, 80


def test_boxes_come_back_to_the_pixels_of_images_of_different_sizes(small_config):
    seen = []

    def predict(images, image_sizes):
        seen.append(image_sizes.tolist())
        # the left top quarter of each image
        boxes = np.array([(0, 0, w / 2, h / 2) for h, w in image_sizes], np.float32)
        return NetworkOutput(boxes, np.ones(2, np.float32), np.ones(2, int), np.arange(2))

    images = [np.zeros((60, 80, 3), np.uint8), np.zeros((101, 45, 3), np.uint8)]
    first, second = detect_batch(predict, images, small_config)
    assert seen == [[[90, 120], [150, 67]]]
    np.testing.assert_allclose(first.boxes, [[0, 0, 40, 30]], atol=1e-4)
    np.testing.assert_allclose(second.boxes, [[0, 0, 22.5, 50.5]], atol=1e-4)


def test_boxes_are_clipped_to_the_image_and_dropped_when_nothing_is_left(small_config):
    predict = fake_predict([(-10, 30, 60, 500), (200, 10, 300, 40), (np.nan, 1, 5, 5), (30, 30, 60, 45)])
    found, = detect_batch(predict, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], small_config)
    np.testing.assert_allclose(found.boxes, [[0, 20, 40, 60], [20, 20, 40, 30]], atol=1e-4)
    assert len(found.scores) == len(found.labels) == len(found.mask_probs) == 2


def test_masks_are_of_the_size_of_the_image(small_config):
    found, = detect_batch(fake_predict([(30, 30, 60, 60)]), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], small_config)
    assert found.masks.shape == (1, HEIGHT, WIDTH) and found.masks.dtype == bool
    assert found.masks[0, 20:40, 20:40].mean() > 0.98 and found.masks.sum() <= 400


def test_an_image_without_detections_has_empty_arrays(small_config):
    found, = detect_batch(fake_predict([]), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], small_config)
    assert found.boxes.shape == (0, 4) and found.masks.shape == (0, HEIGHT, WIDTH)
    assert detections_to_coco(1, found, (3, 7)) == []


def test_a_model_without_masks_has_none(small_config):
    found, = detect_batch(fake_predict([(1, 2, 9, 9)], mask=False), [np.zeros((9, 9, 3), np.uint8)], small_config)
    assert found.masks is None
    assert "segmentation" not in detections_to_coco(1, found, (3, 7))[0]


# keypoints ----------------------------------------------------------------------------------------------------------
SKELETON = Skeleton(("nose", "tail", "wheel"), ((0, 1),), ((1, 0), (2,)))


@pytest.fixture
def keypoint_config(small_config):
    """Of SKELETON: the class circle has two keypoints, in another order than the model, and the square one."""
    small_config.MODE_KEYPOINT = True
    small_config.DATA.KEYPOINT_NAMES = SKELETON.names
    small_config.DATA.KEYPOINT_EDGES, small_config.DATA.KEYPOINTS_OF_CLASS = [[0, 1]], [[1, 0], [2]]    # as of json
    return small_config


def detect_keypoints(cfg, label=1, places=((14, 0), (27.5, 55), (0, 27.5)), box=(30, 30, 114, 72)):
    """Returns: Detections of an image half as large as the network sees it, whose box is 56 wide and 28 high there"""
    predict = fake_predict([box], label=label, keypoints=places, mask=False)
    found, = detect_batch(predict, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], cfg)
    return found


def test_keypoints_are_in_the_images_own_pixels_and_zero_where_the_class_has_none(keypoint_config):
    found = detect_keypoints(keypoint_config)
    np.testing.assert_allclose(found.boxes, [[20, 20, 76, 48]], atol=1e-4)
    assert found.keypoints.dtype == np.float32 and found.keypoints.shape == (1, 3, 3)
    np.testing.assert_allclose(found.keypoints[0, :2, :2], [[34.5, 20.5], [47.5, 47.5]], atol=0.51)
    assert (found.keypoints[0, :2, 2] > 0.05).all() and found.keypoints.max() < WIDTH
    assert found.skeleton == SKELETON and (found.keypoints[0, 2] == 0).all()


def test_coco_results_have_a_classs_own_keypoints_in_its_order_and_counted_as_coco_does(keypoint_config):
    found = detect_keypoints(keypoint_config)
    result, = detections_to_coco(1, found, (3, 7))
    expected = found.keypoints[0, [1, 0]] - [0.5, 0.5, 0]
    np.testing.assert_allclose(np.reshape(result["keypoints"], (2, 3)), expected, atol=6e-4)
    other, = detections_to_coco(1, detect_keypoints(keypoint_config, label=2), (3, 7))
    np.testing.assert_allclose(other["keypoints"][:2], [19.5, 33.5], atol=0.51)
    assert len(other["keypoints"]) == 3


def test_a_class_without_keypoints_has_none_in_its_results(keypoint_config):
    keypoint_config.DATA.KEYPOINTS_OF_CLASS = ((0, 1, 2), ())
    result, = detections_to_coco(1, detect_keypoints(keypoint_config, label=2), (3, 7))
    assert "keypoints" not in result


def test_selected_detections_keep_their_keypoints(keypoint_config):
    found = detect_keypoints(keypoint_config)
    np.testing.assert_array_equal(found.select([0, 0]).keypoints, found.keypoints[[0, 0]])
    assert found.select([]).keypoints.shape == (0, 3, 3) and found.select([0]).skeleton == SKELETON


def test_an_image_without_detections_has_no_keypoints_and_a_model_without_them_has_none(keypoint_config, small_config):
    predict = fake_predict([], keypoints=[(1, 2)] * 3)
    found, = detect_batch(predict, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], keypoint_config)
    assert found.keypoints.shape == (0, 3, 3) and detections_to_coco(1, found, (3, 7)) == []
    found, = detect_batch(fake_predict([(1, 2, 9, 9)]), [np.zeros((9, 9, 3), np.uint8)], small_config)
    assert found.keypoints is None and "keypoints" not in detections_to_coco(1, found, (3, 7))[0]


def test_coco_results_have_the_data_sets_ids_and_width_and_height():
    boxes, scores, labels = np.array([[1, 2, 11.12345, 22]], np.float32), np.array([0.75], np.float32), np.array([2])
    found = Detections(boxes, scores, labels, HEIGHT, WIDTH)
    assert detections_to_coco("a", found, (3, 7), ("circle", "square")) == [
        {"image_id": "a", "category_id": 7, "category": "square", "bbox": [1.0, 2.0, 10.123, 20.0], "score": 0.75}]
