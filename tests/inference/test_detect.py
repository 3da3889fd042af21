"""From images to detections, with a stand-in for the network."""
import common  # noqa: F401

import numpy as np

from fake_network import fake_predict
from inference.detect import detect_batch
from inference.detections import Detections, detections_to_coco

HEIGHT, WIDTH = 60, 80


def test_boxes_come_back_to_the_pixels_of_images_of_different_sizes(small_config):
    seen = []

    def predict(images, image_sizes):
        seen.append(image_sizes.tolist())
        # the left top quarter of each image
        boxes = np.array([(0, 0, w / 2, h / 2) for h, w in image_sizes], np.float32)
        return boxes, np.ones(2, np.float32), np.ones(2, int), np.arange(2), None

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


def test_coco_results_have_the_data_sets_ids_and_width_and_height():
    boxes, scores, labels = np.array([[1, 2, 11.12345, 22]], np.float32), np.array([0.75], np.float32), np.array([2])
    found = Detections(boxes, scores, labels, HEIGHT, WIDTH)
    assert detections_to_coco("a", found, (3, 7), ("circle", "square")) == [
        {"image_id": "a", "category_id": 7, "category": "square", "bbox": [1.0, 2.0, 10.123, 20.0], "score": 0.75}]
