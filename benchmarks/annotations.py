"""A random annotation file as large as COCO's, for `benchmarks.data`."""
import numpy as np
import orjson

from benchmarks.padding import draw_sizes

CATEGORIES = 80
POLYGONS = (.9, .06, .04)       # shares of objects of one, two and three polygons
POINTS = 20                     # of a polygon, in the geometric mean; 25 points an object and 520 bytes, as in COCO
CROWDS, RUNS = .012, 250        # share of crowd regions, and how many runs their RLEs have
EDGE = 80                       # of an object, in pixels, in the geometric mean
BLOCK = 10_000


def write_annotations(path, num_images, num_objects, file_name=None, size=None, seed=0):
    """
    Write a random file in COCO's format.

    Args:
        path (str)
        num_images, num_objects (int)
        file_name (str): that all images name; None: each has its own, which the file system need not have
        size: (height, width) of all images; None: sizes as COCO has them
        seed (int)
    """
    rng = np.random.default_rng(seed)
    sizes = np.tile(size, (num_images, 1)) if size else draw_sizes(num_images, seed)
    image_ids = rng.permutation(5 * num_images)[:num_images] + 1
    with open(path, "wb") as f:
        f.write(b'{"info": {"description": "random"}, "licenses": [], "images": [')
        _write(f, _images(sizes, image_ids, file_name))
        f.write(b'], "categories": [')
        _write(f, [{"supercategory": "thing", "id": i, "name": f"class {i}"} for i in range(1, CATEGORIES + 1)])
        f.write(b'], "annotations": [')
        for first in range(0, num_objects, BLOCK):
            f.write(b", " if first else b"")
            which = rng.integers(0, num_images, min(BLOCK, num_objects - first))
            _write(f, _objects(rng, first, image_ids[which], sizes[which]))
        f.write(b"]}")


def _write(f, items):
    f.write(b", ".join(map(orjson.dumps, items)))


def _images(sizes, image_ids, file_name):
    return [{"license": i % 8, "file_name": file_name or f"{image_id:012}.jpg", "height": h, "width": w,
             "coco_url": f"http://images.example.org/train2017/{image_id:012}.jpg",
             "date_captured": "2013-11-14 11:18:45", "id": image_id}
            for i, (image_id, (h, w)) in enumerate(zip(image_ids.tolist(), sizes.tolist()))]


def _objects(rng, first_id, image_ids, sizes):
    count = len(image_ids)
    edges = np.clip(np.exp(rng.normal(np.log(EDGE), 1, (count, 2))), 4, sizes[:, ::-1] * .95)
    boxes = np.concatenate([rng.random((count, 2)) * (sizes[:, ::-1] - edges), edges], axis=1).round(2)
    categories, is_crowd = rng.integers(1, CATEGORIES + 1, count).tolist(), rng.random(count) < CROWDS
    numbers = rng.choice(len(POLYGONS), count, p=POLYGONS) + 1
    return [{"segmentation": _rle(rng, size) if crowd else [_polygon(rng, box) for _ in range(number)],
             "area": float(np.prod(box[2:]) * .6), "iscrowd": int(crowd), "image_id": image_id, "bbox": box.tolist(),
             "category_id": category, "id": first_id + i}
            for i, (image_id, size, box, crowd, category, number) in enumerate(
                zip(image_ids.tolist(), sizes.tolist(), boxes, is_crowd, categories, numbers))]


def _polygon(rng, box):
    """Returns: list of x, y, x, y, … around the box's centre, with two digits behind the point"""
    count = int(np.clip(np.exp(rng.normal(np.log(POINTS), .5)), 4, 200))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(.8, 1, (count, 1)) / 2 + .5
    return (box[:2] + circle * box[2:]).round(2).ravel().tolist()


def _rle(rng, size):
    height, width = size
    cuts = np.sort(rng.choice(height * width, RUNS - 1, replace=False))
    return {"counts": np.diff(cuts, prepend=0, append=height * width).tolist(), "size": size}
