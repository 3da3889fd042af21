"""A small ground truth in COCO's format, and the detections that are all right."""
import json

import numpy as np
import pycocotools.mask as mask_util

from data.coco import load_coco
from inference.detections import Detections, detections_to_coco

HEIGHT, WIDTH = 60, 80


def ring(size):
    """A disc with a hole, which a polygon cannot say."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.hypot(x, y) <= size / 2) & (np.hypot(x, y) > size / 5)


def place(mask, x, y):
    whole = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    whole[y:y + mask.shape[0], x:x + mask.shape[1]] = mask
    return whole


def load(folder, content):
    """Write COCO's dict as folder/gt.json, with empty files for its images. Returns: the Dataset read from it"""
    for image in content["images"]:
        image.setdefault("file_name", f"{image['id']}.png")
        (folder / image["file_name"]).touch()
    (folder / "gt.json").write_text(json.dumps(content))
    return load_coco(str(folder), "gt")


def make_truth():
    """
    Two images: a square as a polygon, two rings as RLE, a crowd as uncompressed RLE. Annotation ids begin at 0.

    Returns:
        dict, as COCO has it
    """
    def rle(whole):
        encoded = mask_util.encode(whole)
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}

    crowd = place(np.ones((20, 30), np.uint8), 45, 5).flatten("F")
    edges = np.flatnonzero(np.diff(crowd)) + 1
    crowd_counts = np.diff(edges, prepend=0, append=crowd.size).tolist()
    small, large = place(ring(24), 2, 30), place(ring(40), 20, 10)
    annotations = [
        dict(image_id=1, category_id=7, bbox=[5, 6, 20, 20], area=400, segmentation=[[5, 6, 25, 6, 25, 26, 5, 26]]),
        dict(image_id=1, category_id=3, bbox=[2, 30, 24, 24], area=int(small.sum()), segmentation=rle(small)),
        dict(image_id=1, category_id=3, bbox=[45, 5, 30, 20], area=600, iscrowd=1,
             segmentation={"size": [HEIGHT, WIDTH], "counts": crowd_counts}),
        dict(image_id=2, category_id=3, bbox=[20, 10, 40, 40], area=int(large.sum()), segmentation=rle(large)),
    ]
    for i, annotation in enumerate(annotations):
        annotation.setdefault("iscrowd", 0)
        annotation["id"] = i
    return {"images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in (1, 2)],
            "categories": [{"id": 3, "name": "circle"}, {"id": 7, "name": "square"}], "annotations": annotations}


def perfect_results():
    """All objects, and one detection inside the crowd, which must not count."""
    def detections(*objects):
        boxes = np.array([(x, y, x + m.shape[1], y + m.shape[0]) for _, m, x, y in objects], np.float32)
        return [Detections(boxes[i:i + 1], np.array([0.9], np.float32), np.array([label]), HEIGHT, WIDTH,
                                      mask_probs=m[None].astype(np.float32))
                for i, (label, m, _, _) in enumerate(objects)]

    square = np.ones((20, 20), bool)
    first = detections((2, square, 5, 6), (1, ring(24), 2, 30), (1, square, 50, 5))
    second = detections((1, ring(40), 20, 10))
    return [r for image_id, found in ((1, first), (2, second)) for d in found
            for r in detections_to_coco(image_id, d, (3, 7))]
