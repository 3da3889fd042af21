import numpy as np

from data import augment


def test_flipped_boxes_stay_boxes():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    assert augment.flip_boxes(boxes, 100).tolist() == [[70, 2, 99, 40]]


def test_flipping_boxes_leaves_the_original():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    augment.flip_boxes(boxes, 100)
    assert boxes.tolist() == [[1, 2, 30, 40]]


def test_boxes_are_resized_with_the_image():
    boxes = np.array([[1, 2, 30, 40]], dtype=np.float32)
    resized = augment.resize_boxes(boxes, (60, 80), (120, 240))
    assert resized.dtype == np.float32 and resized.tolist() == [[3, 4, 90, 80]]


def test_flipped_images_are_mirrored_left_and_right():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(augment.flip_image(image), image[:, ::-1])
