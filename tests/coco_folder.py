"""A small data set in COCO's format on disk, which tests change as they like."""
import json

import cv2
import numpy as np

HEIGHT, WIDTH = 60, 80
SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]


def make_content(num_images=10):
    """
    COCO's dict of `num_images` images with ids 1.., each with one object: annotation 100 + id, category 7, a square.

    The categories are 7, 3 and 90, in this order.
    """
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH}
                   for i in range(1, num_images + 1)],
        "annotations": [make_annotation(100 + i, i) for i in range(1, num_images + 1)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "cow"}],
    }


def make_annotation(annotation_id, image_id):
    """A polygon square from (10, 10) to (30, 30), category 7"""
    return {"id": annotation_id, "image_id": image_id, "category_id": 7, "bbox": [10, 10, 20, 20], "area": 400,
            "iscrowd": 0, "segmentation": [SQUARE]}


def write(folder, content, name="train", annotations="annotations/instances_{}.json", images="{}"):
    """Write the json file, and an image for each entry. Returns: the path of the json file"""
    path = folder / annotations.format(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    for image in content["images"]:
        write_image(folder / images.format(name) / image["file_name"], image["height"], image["width"], image["id"])
    return path


def write_image(path, height=HEIGHT, width=WIDTH, seed=0):
    """Write a smooth random image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height)))
