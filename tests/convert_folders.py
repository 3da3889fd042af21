"""Folders of one random data set in the formats that `data.convert` reads."""
import base64
import json
from typing import NamedTuple

import cv2
import numpy as np

from coco_folder import write_image
from voc_folder import make_object, make_xml

CLASSES = ("traffic light", "cat", "no")    # not in the order of the alphabet


class Truth(NamedTuple):
    """
    One object: `label` is a number in CLASSES, `box` x1, y1, x2, y2 in pixels, `polygon` x, y, ... or None.
    """

    label: int
    box: list
    polygon: list = None

    @property
    def area(self):
        """Of the polygon by triangles around its first corner, or of the box"""
        if self.polygon is None:
            return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])
        corners = np.reshape(self.polygon, (-1, 2))
        first, second = corners[1:-1] - corners[0], corners[2:] - corners[0]
        return abs((first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum()) / 2


class Image(NamedTuple):
    name: str
    height: int
    width: int
    objects: list


def random_images(seed, num_images=6, polygons=True):
    """
    Args:
        polygons (bool): some objects have polygons; otherwise all have boxes of whole pixels

    Returns:
        list of Image, each of another size
    """
    rng = np.random.default_rng(seed)
    images = []
    for number in range(num_images):
        height, width = int(rng.integers(80, 120)), int(rng.integers(80, 160))
        objects = [_random_object(rng, height, width, polygons, is_box=i % 2 == 0) for i in range(3)]
        images.append(Image(f"{number:03d}.jpg", height, width, objects))
    return images


def _random_object(rng, height, width, polygons, is_box):
    centre, radius = rng.uniform(30, [width - 30, height - 30]), rng.uniform(10, 28, size=2)
    label = int(rng.integers(len(CLASSES)))
    if not polygons:
        return Truth(label, np.round([*(centre - radius), *(centre + radius)]).tolist())
    if is_box:
        return Truth(label, [*(centre - radius), *(centre + radius)])
    angles = (np.arange(5) + rng.uniform(0, 0.9, 5)) * 2 * np.pi / 5
    polygon = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Truth(label, [*polygon.min(axis=0), *polygon.max(axis=0)], polygon.ravel().tolist())


# YOLO ---------------------------------------------------------------------------------------------------------------
def write_yolo(folder, images, split="train", yaml=True):
    """images/SPLIT/, labels/SPLIT/ and data.yaml"""
    for number, image in enumerate(images):
        write_image(folder / "images" / split / image.name, image.height, image.width, number)
        lines = [yolo_line(truth, image) for truth in image.objects]
        write_text(folder / "labels" / split / image.name.replace(".jpg", ".txt"), "\n".join(lines))
    if yaml:
        names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
        write_text(folder / "data.yaml", f"path: ../elsewhere\ntrain: images/train\nval: images/val\nnames:\n{names}")


def yolo_line(truth, image):
    size = np.array([image.width, image.height])
    if truth.polygon is None:
        low, high = np.array(truth.box[:2]) / size, np.array(truth.box[2:]) / size
        numbers = [*(low + high) / 2, *(high - low)]
    else:
        numbers = (np.reshape(truth.polygon, (-1, 2)) / size).ravel()
    return " ".join([str(truth.label), *(f"{number:.6f}" for number in numbers)])


# LabelMe ------------------------------------------------------------------------------------------------------------
def write_labelme(folder, images, with_data=False):
    """A json file for each image, beside it, or with it inside"""
    for number, image in enumerate(images):
        path = folder / image.name
        write_image(path, image.height, image.width, number)
        data = base64.b64encode(path.read_bytes()).decode() if with_data else None
        if with_data:
            path.unlink()
        shapes = [labelme_shape(CLASSES[truth.label], truth.polygon or truth.box,
                                "polygon" if truth.polygon else "rectangle") for truth in image.objects]
        write_labelme_file(path.with_suffix(".json"), image, shapes, imageData=data)


def write_labelme_file(path, image, shapes, **keys):
    write_text(path, json.dumps({"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image.name,
                                 "imageData": None, "imageHeight": image.height, "imageWidth": image.width, **keys}))


def labelme_shape(label, numbers, shape_type, **keys):
    return {"label": label, "points": np.reshape(numbers, (-1, 2)).tolist(), "group_id": None, "description": "",
            "shape_type": shape_type, "flags": {}, **keys}


def png_base64(mask):
    """Of a (h, w) mask"""
    return base64.b64encode(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()).decode()


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# VOC ----------------------------------------------------------------------------------------------------------------
def write_voc_xml(folder, images):
    """Annotations/ and JPEGImages/, without lists of splits; corners of VOC are counted from 1 and both inside"""
    for number, image in enumerate(images):
        write_image(folder / "JPEGImages" / image.name, image.height, image.width, number)
        objects = [make_object(CLASSES[truth.label], np.add(truth.box, [1, 1, 0, 0])) for truth in image.objects]
        write_text(folder / "Annotations" / image.name.replace(".jpg", ".xml"),
                   make_xml(*objects, file_name=image.name, size=(image.height, image.width)))


# CVAT ---------------------------------------------------------------------------------------------------------------
def write_cvat(folder, images):
    """annotations.xml, for images, and images/"""
    texts = []
    for number, image in enumerate(images):
        write_image(folder / "images" / image.name, image.height, image.width, number)
        shapes = [cvat_box(CLASSES[t.label], t.box) if t.polygon is None else cvat_polygon(CLASSES[t.label], t.polygon)
                  for t in image.objects]
        texts.append(cvat_image(number, image, *shapes))
    write_text(folder / "annotations.xml", cvat_xml(*texts))


def cvat_xml(*elements, labels=CLASSES):
    labels = "".join(f"<label><name>{name}</name><type>any</type><attributes></attributes></label>" for name in labels)
    return ('<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><name>mine</name>'
            f"<labels>{labels}</labels></task></meta>{''.join(elements)}</annotations>")


def cvat_image(number, image, *shapes, **keys):
    keys = "".join(f' {key}="{value}"' for key, value in keys.items())
    return (f'<image id="{number}" name="{image.name}" width="{image.width}" height="{image.height}"{keys}>'
            f"{''.join(shapes)}</image>")


def cvat_box(label, box, inside="", **keys):
    return cvat_shape("box", label, inside, **dict(zip(("xtl", "ytl", "xbr", "ybr"), box)), **keys)


def cvat_polygon(label, polygon, **keys):
    points = ";".join(f"{x:.3f},{y:.3f}" for x, y in np.reshape(polygon, (-1, 2)))
    return cvat_shape("polygon", label, points=points, **keys)


def cvat_shape(tag, label, inside="", **keys):
    keys = "".join(f' {key}="{value}"' for key, value in keys.items())
    return f'<{tag} label="{label}" source="manual" occluded="0"{keys} z_order="0">{inside}</{tag}>'
