"""Small data sets and detections, and a plain, slow implementation of the rule of PASCAL VOC's development kit."""
import collections

import numpy as np

from data.records import Dataset, Record

BOX, HALF = (10, 10, 20, 20), (10, 10, 20, 10)
CLASS_NAMES, CATEGORY_IDS = ("cat", "dog", "cow", "unicorn"), (1, 2, 3, 4)


def make_record(image_id, bboxes, labels, is_difficult=None):
    bboxes, labels = np.array(bboxes, dtype=np.float64).reshape(-1, 4), np.array(labels, dtype=np.int32)
    return Record(f"/{image_id}.jpg", image_id, 500, 500, bboxes, bboxes[:, 2:].prod(axis=1), labels,
                  np.zeros(len(labels), dtype=bool), [None] * len(labels),
                  is_difficult=None if is_difficult is None else np.array(is_difficult, dtype=bool))


def make_dataset(*records):
    return Dataset("gt", CLASS_NAMES, CATEGORY_IDS, "gt.txt", list(records), metric="voc")


def detection(image_id, category_id, bbox, score=0.5):
    return {"image_id": image_id, "category_id": category_id, "bbox": [float(v) for v in bbox], "score": float(score)}


# the development kit's rule, one detection at a time -----------------------------------------------------------------
def pixels(bbox):
    """xmin, ymin, xmax, ymax as the development kit has them: of the first and last pixel, from 1 on"""
    x, y, w, h = bbox
    return x + 1, y + 1, x + w, y + h


def plain_overlap(bbox, other):
    a, b = pixels(bbox), pixels(other)
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + 1, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + 1, 0)
    union = (a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - width * height
    return width * height / union


def plain_curve(dataset, results, label, threshold=0.5):
    """recall and precision behind each detection, or None without objects"""
    objects = collections.defaultdict(list)
    for record in dataset.records:
        for bbox, other, is_difficult in zip(record.bboxes.tolist(), record.labels, record.is_difficult):
            if other == label:
                objects[record.image_id].append({"bbox": bbox, "difficult": is_difficult, "taken": False})
    count = sum(not each["difficult"] for mine in objects.values() for each in mine)
    if not count:
        return None
    right, wrong, curve = 0, 0, []
    for result in sorted((r for r in results if r["category_id"] == label), key=lambda r: -r["score"]):
        best, best_overlap = None, -1
        for each in objects[result["image_id"]]:
            if (overlap := plain_overlap(each["bbox"], result["bbox"])) > best_overlap:
                best, best_overlap = each, overlap
        if best_overlap > threshold:
            if best["difficult"]:
                continue
            right, wrong = right + (not best["taken"]), wrong + best["taken"]
            best["taken"] = True
        else:
            wrong += 1
        curve.append((right / count, right / (right + wrong)))
    return curve


def plain_11_points(curve):
    return sum(max([precision for recall, precision in curve if recall >= t], default=0)
               for t in np.arange(0, 1.1, 0.1)) / 11


def plain_area(curve):
    area, last = 0, 0
    for i, (recall, _) in enumerate(curve):
        area += (recall - last) * max(precision for _, precision in curve[i:])
        last = recall
    return area


def random_set(seed):
    """Few places and scores, so that ties are many; difficult objects; images and classes without objects."""
    rng = np.random.default_rng(seed)

    def bboxes(count):
        return np.concatenate([rng.integers(0, 6, (count, 2)) * 5, rng.integers(1, 5, (count, 2)) * 10], axis=1)

    records, results = [], []
    for image_id in rng.permutation(100)[:rng.integers(1, 12)].tolist():
        count = int(rng.integers(8))
        record = make_record(image_id, bboxes(count), rng.integers(1, 4, count), rng.random(count) < 0.3)
        records.append(record)
        for _ in range(rng.integers(15)):
            bbox, category_id = bboxes(1)[0], rng.integers(1, 5)
            if count and rng.random() < 0.7:
                near = rng.integers(count)
                bbox, category_id = record.bboxes[near] + rng.integers(0, 4, 4) * 2, record.labels[near]
            results.append(detection(image_id, int(category_id), bbox, rng.integers(6) / 5))
    return make_dataset(*records), results
