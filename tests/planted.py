"""Data sets and detections made for the metrics, in memory."""
import dataclasses

import numpy as np

from data.flat_records import FlatRecords
from data.records import Dataset, Record

SIZE = 400
CLASSES = ("circle", "square", "star")


def make_dataset(images, class_names=CLASSES, names="{}.png"):
    """
    Args:
        images: of each the list of its objects: label and box x, y, width, height, and maybe more fields of a record

    Returns:
        Dataset, whose image ids are 1, 2, … and whose category ids 10, 20, …; masks fill their boxes
    """
    records = [_record(names.format(i), i, objects) for i, objects in enumerate(images, 1)]
    return Dataset("planted", tuple(class_names), tuple(10 * k for k in range(1, len(class_names) + 1)), "planted.json",
                   FlatRecords.of(records))


def _record(name, image_id, objects):
    boxes = [[x, y, x + w, y + h] for _, (x, y, w, h), *_ in objects]
    masks = [[np.array([x1, y1, x2, y1, x2, y2, x1, y2], dtype=np.float64)] for x1, y1, x2, y2 in boxes]
    record = Record.of_boxes(name, image_id, SIZE, SIZE, boxes, [label for label, *_ in objects], masks)
    flags = {name: np.array([bool(more and more[0] == name) for _, _, *more in objects], dtype=bool)
             for name in ("is_crowd", "is_difficult")}
    return dataclasses.replace(record, **flags)


def result(image_id, label, box, score):
    return {"image_id": image_id, "category_id": 10 * label, "bbox": list(box), "score": score}


def random_set(rng, num_images=40, objects=6, found=12, num_classes=3):
    """Returns: Dataset and results: crowds and difficult objects among them, equal scores and overlaps, all sizes"""
    images = []
    for _ in range(num_images):
        sides = np.exp(rng.uniform(np.log(10), np.log(200), (rng.integers(0, objects + 1), 2))).round()
        corners = (rng.uniform(0, 1, sides.shape) * (SIZE - sides)).round()
        kinds = rng.choice(["", "is_crowd", "is_difficult"], len(sides), p=[0.8, 0.1, 0.1])
        images.append([(int(rng.integers(1, num_classes + 1)), (*corner, *side), kind)
                       for corner, side, kind in zip(corners.tolist(), sides.tolist(), kinds)])
    names = [f"class {k}" for k in range(num_classes)]
    results = [result(i, *_near(rng, objects, num_classes), float(rng.integers(1, 20)) / 20)
               for i, objects in enumerate(images, 1) for _ in range(rng.integers(0, found + 1))]
    return make_dataset(images, names), results


def _near(rng, objects, num_classes):
    label, box = int(rng.integers(1, num_classes + 1)), rng.integers(1, 200, 4).astype(float)
    if objects and rng.random() < 0.8:
        label, box, _ = objects[rng.integers(0, len(objects))]
        box = np.array(box) + rng.integers(-6, 7, 4)
        label = label if rng.random() < 0.8 else int(rng.integers(1, num_classes + 1))
    return label, np.maximum(box, 1).tolist()
