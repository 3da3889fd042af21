"""The pictures of a page: a sample of the data sets, and what is wrong with them."""
from __future__ import annotations

import collections
import glob
import math
import os
from collections.abc import Callable
from typing import NamedTuple

from common import UserError, whole_file, writing

import cv2
import numpy as np
import tqdm

from data.check.split import Split
from data.images import load_image

FOLDER = "pictures"
SAMPLE = 12              # images of each data set that are drawn
PICTURES_A_KIND = 40     # problems of a kind that are drawn
MAX_EDGE = 960           # pixels of a picture
QUALITY = 85             # of its JPEG


class Drawing(NamedTuple):
    """
    How pictures are drawn: functions from a BGR image, its record and its Dataset to a BGR picture.

    Attributes:
        objects: draws all objects
        problem: takes the box of one, x, y, width, height, as well and marks it
    """

    objects: Callable
    problem: Callable


class Picture(NamedTuple):
    """
    A file of the page.

    Attributes:
        name: relative to the page
        size: width and height in pixels
        caption: of what it is
    """

    name: str
    size: tuple[int, int]
    caption: str


class Place(NamedTuple):
    """An image of a split, by the number of its record"""

    split: Split
    number: int


def draw_pictures(folder, checked, drawing):
    """
    Write the pictures of a page into `folder`/pictures, which is made; those of an earlier page go.

    Args:
        folder (str)
        checked (data.check.checker.Checked)
        drawing (Drawing)

    Returns:
        list[Picture], the sample; and dict of the number of a problem to its Picture, of those that have one

    Raises:
        UserError: they cannot be written
    """
    empty_gallery(folder)
    sample = [Place(split, number) for split in checked.splits for number in _choose(len(split.records))]
    places = _places(checked)
    with tqdm.tqdm(total=len(sample) + len(places), unit="picture", desc="page", disable=None) as progress:
        samples, problems = [], {}
        for i, place in enumerate(sample):
            samples.append(_write(folder, f"sample-{i}", place, drawing))
            progress.update()
        for index, place in places.items():
            problems[index] = _write(folder, f"problem-{index}", place, drawing, checked.problems[index].bbox)
            progress.update()
    return [picture for picture in samples if picture], {i: picture for i, picture in problems.items() if picture}


def empty_gallery(folder):
    """
    Make `folder`/pictures, without pictures of an earlier page.

    Raises:
        UserError: it cannot be done
    """
    with writing(folder):
        os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
        for path in glob.glob(os.path.join(glob.escape(folder), FOLDER, "*-*.jpg")):
            os.remove(path)


def _choose(num_images):
    """Returns: list of the numbers of the images of a sample, the same each time"""
    return sorted(np.random.default_rng(0).permutation(num_images)[:SAMPLE].tolist())


def _places(checked):
    """Returns: dict of the numbers of the problems that are drawn to the Place of each"""
    numbers = [{image_id: number for number, image_id in enumerate(split.records.image_ids.tolist())}
               for split in checked.splits]
    counts, places = collections.Counter(), {}
    for index, problem in enumerate(checked.problems):
        if counts[problem.kind] == PICTURES_A_KIND or not isinstance(problem.image_id, int):
            continue
        for split, of_split in zip(checked.splits, numbers):
            number = of_split.get(problem.image_id)
            if number is not None and problem.path in (split.dataset.annotation_file, split.records.file_name(number)):
                places[index] = Place(split, number)
                counts[problem.kind] += 1
                break
    return places


def _write(folder, stem, place, drawing, bbox=None):
    """Returns: Picture; None where the image cannot be read"""
    dataset, record = place.split.dataset, place.split.records[place.number]
    image = load_as_used(record)
    if image is None:
        return None
    arguments = image, record, dataset
    picture = drawing.problem(*arguments, bbox) if _is_box(bbox) else drawing.objects(*arguments)
    caption = f"{dataset.name}, image {record.image_id}: {os.path.basename(record.file_name)}"
    return save_picture(folder, stem, picture, caption)


def save_picture(folder, stem, picture, caption, max_edge=MAX_EDGE):
    """
    Args:
        folder (str): of the page
        stem (str): with a "-" in it
        picture: uint8 (h, w, 3), BGR
        caption (str)
        max_edge (int): pixels that it is shrunk to

    Returns:
        Picture

    Raises:
        UserError: it cannot be written
    """
    height, width = picture.shape[:2]
    scale = min(max_edge / max(height, width), 1)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    name = f"{FOLDER}/{stem}.jpg"
    with whole_file(os.path.join(folder, name), "wb") as f:
        f.write(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    return Picture(name, size, caption)


def load_as_used(record):
    """Returns: uint8 (h, w, 3), the image of a record; None where it cannot be read"""
    for size in (record.size, None):    # as it is used, or else as it is
        try:
            return load_image(record.file_name, size)
        except UserError:
            pass
    return None


def _is_box(bbox):
    return isinstance(bbox, (list, tuple)) and len(bbox) == 4 and all(
        isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 1e9 for value in bbox)
