"""The images with the worst mistakes, drawn beside their ground truth."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tqdm

from data.check.gallery import empty_gallery, load_as_used, save_picture
from metrics.matching import NONE, RIGHT
from metrics.mistakes import KINDS, MISSED

IMAGES_A_KIND = 6
MAX_DRAWN = 60       # detections of an image
MAX_EDGE = 1600      # pixels of a picture


class Drawing(NamedTuple):
    """
    How pictures are drawn, by functions of `viz.mistakes`.

    Attributes:
        beside_truth: from a BGR image, its record, class names, bool (objects,) and a list of panels to a BGR picture
        panel: from a title, boxes (n, 4) x, y, width, height, n texts and bool (n,) to a panel
    """

    beside_truth: Callable
    panel: Callable


def draw_worst(folder, analysis, dataset, drawing):
    """
    Write pictures of the worst images of each kind of mistake into `folder`/pictures, with a bar.

    Returns:
        dict of KINDS to list[Picture]; and the number of images that cannot be read

    Raises:
        UserError: they cannot be written
    """
    empty_gallery(folder)
    places = [(kind, number) for kind in KINDS for number in worst_images(analysis, kind)]
    pictures, num_bad = {kind: [] for kind in KINDS}, 0
    for kind, number in tqdm.tqdm(places, unit="picture", desc="report", disable=None):
        record = dataset.records[number]
        image = load_as_used(record)
        if image is None:
            num_bad += 1
            continue
        is_marked, panel = _panel(analysis, dataset.class_names, kind, number, len(record.labels), drawing)
        picture = drawing.beside_truth(image, record, dataset.class_names, is_marked, [panel])
        stem = f"{kind.replace(' ', '_')}-{len(pictures[kind])}"
        pictures[kind].append(save_picture(folder, stem, picture, f"image {record.image_id}: {record.file_name}",
                                           MAX_EDGE))
    return pictures, num_bad


def worst_images(analysis, kind):
    """
    Returns:
        list of the numbers of images: those with the most missed objects, or those where the scores of detections of a
        kind, of these from the threshold on, have the largest sum; an image without any is not there
    """
    objects, found, mistakes = analysis.matched.objects, analysis.matched.found, analysis.mistakes
    if kind == MISSED:
        images, weights = objects.images[mistakes.is_missed], None
    else:
        chosen = (mistakes.kinds == KINDS.index(kind)) & (found.scores >= analysis.threshold)
        images, weights = found.images[chosen], found.scores[chosen]
    sums = np.bincount(images, weights)
    order = np.argsort(-sums, kind="stable")[:IMAGES_A_KIND]
    return order[sums[order] > 0].tolist()


def _panel(analysis, class_names, kind, number, num_objects, drawing):
    """Returns: bool (objects of the image,), which are marked, and the panel of the detections"""
    objects, found, mistakes = analysis.matched.objects, analysis.matched.found, analysis.mistakes
    shown = np.flatnonzero((found.images == number) & (found.scores >= analysis.threshold))
    shown = shown[np.argsort(-found.scores[shown], kind="stable")[:MAX_DRAWN]]
    wrong = mistakes.kinds[shown] == KINDS.index(kind)
    meant = mistakes.is_missed & (objects.images == number) if kind == MISSED else mistakes.objects[shown[wrong]]
    meant = np.flatnonzero(meant) if kind == MISSED else meant[meant != NONE]
    is_marked = np.isin(np.arange(num_objects), objects.places[meant])
    texts = [f"{class_names[label - 1]} {score:.2f}"
             for label, score in zip(found.labels[shown].tolist(), found.scores[shown].tolist())]
    num_right = int((analysis.matched.matches.outcome[0, 0, shown] == RIGHT).sum())
    title = f"found from {analysis.threshold:.2f} on: {len(shown)}, right: {num_right}"
    return is_marked, drawing.panel(title, found.boxes[shown], texts, wrong)
