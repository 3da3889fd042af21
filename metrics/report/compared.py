"""The page of two detectors side by side."""
from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import tqdm

from data.check.gallery import empty_gallery, load_as_used, save_picture
from data.check.markup import document, element, figure, join, section, table, write_document
from data.flat_records import FlatRecords
from metrics.bootstrap import CONFIDENCE, Differences, bootstrap
from metrics.matching import NONE, RIGHT
from metrics.mistakes import KINDS
from metrics.report.analysis import Analysis, analyse
from metrics.report.page import percent, read_css
from metrics.report.worst import MAX_DRAWN
from metrics.resampled import COLUMNS, Curves, mean

IMAGES = 8           # that are drawn where one is better, and where the other is
MAX_CLASSES = 400    # rows of a table
MAX_EDGE = 1800      # pixels of a picture


class Pair(NamedTuple):
    """
    Two detectors on one data set.

    Attributes:
        names: of both
        analyses: of both
        differences: of the second minus the first
    """

    names: tuple[str, str]
    analyses: tuple[Analysis, Analysis]
    differences: Differences


def compare_results(results, names, dataset, kind, draws):
    """
    Args:
        results, names: of the two
        dataset (data.Dataset)
        kind (str): "bbox" or "segm"
        draws (int): of the bootstrap

    Returns:
        Pair
    """
    num_images = len(FlatRecords.of(dataset.records))
    analyses = tuple(analyse(each, dataset, kind) for each in results)
    curves = [Curves(analysis.matched, num_images) for analysis in analyses]
    return Pair(tuple(names), analyses, bootstrap(*curves, draws=draws, show=True))


# tables ---------------------------------------------------------------------------------------------------------------
def overall_rows(pair):
    """Returns: list of rows, the first has their names"""
    values = [mean(analysis.precisions, axis=0) for analysis in pair.analyses]
    interval = pair.differences.overall
    return [["percent", *pair.names, "difference", f"{CONFIDENCE:.0%} interval", ""],
            *([name, percent(a), percent(b), *_interval_cells(interval, k)]
              for k, (name, a, b) in enumerate(zip(COLUMNS, *values)))]


def class_rows(pair, class_names):
    """Returns: list of rows, likewise, of the classes with objects, that where the second loses most first"""
    interval = pair.differences.of_classes
    order = [k for k in np.argsort(interval.difference, kind="stable") if not np.isnan(interval.difference[k])]
    first, second = pair.analyses
    return [["class", "objects", *(f"AP {name}" for name in pair.names), "difference", f"{CONFIDENCE:.0%} interval",
             ""], *([class_names[k], int(first.counts[k]), percent(first.precisions[k, 0]),
                     percent(second.precisions[k, 0]), *_interval_cells(interval, k)] for k in order)]


def _interval_cells(interval, k):
    """Returns: the difference, its interval, and what it says"""
    if np.isnan(interval.difference[k]):
        return "-", "-", ""
    verdict = "" if not interval.is_sure[k] else "better" if interval.difference[k] > 0 else "worse"
    return _signed(interval.difference[k]), f"{_signed(interval.low[k])} to {_signed(interval.high[k])}", verdict


def _signed(value):
    return f"{100 * value:+.1f}"


def mistake_rows(pair):
    first, second = (analysis.mistakes for analysis in pair.analyses)
    return [["mistake", *(f"{what} {name}" for what in ("number,", "AP50 lost,") for name in pair.names)],
            *([kind, first.count(kind), second.count(kind), _signed(first.gain(kind)), _signed(second.gain(kind))]
              for kind in KINDS)]


# images ---------------------------------------------------------------------------------------------------------------
def num_mistakes(analysis, num_images):
    """Returns: int64 (images,), from the threshold on: wrong detections, and objects that are not found"""
    objects, found, mistakes = analysis.matched.objects, analysis.matched.found, analysis.mistakes
    is_shown = found.scores >= analysis.threshold
    wrong = found.images[is_shown & (mistakes.kinds != NONE)]
    return np.bincount(wrong, minlength=num_images) + np.bincount(
        objects.images[_not_found(analysis)], minlength=num_images)


def _not_found(analysis):
    """Returns: bool (G,), the objects that count and that no detection from the threshold on is"""
    objects, found, _, matches = analysis.matched
    is_found = np.zeros(len(objects.labels), dtype=bool)
    is_found[matches.objects[(matches.outcome[0, 0] == RIGHT) & (found.scores >= analysis.threshold)]] = True
    return objects.counts & ~is_found


def _draw_different(folder, pair, dataset, drawing):
    """Returns: list of two lists of Picture: where the second makes fewer mistakes, and where the first does"""
    empty_gallery(folder)
    num_images = len(dataset.records)
    before, after = (num_mistakes(analysis, num_images) for analysis in pair.analyses)
    lists = []
    for stem, gain in (("fewer", before - after), ("more", after - before)):
        order = np.argsort(-gain, kind="stable")[:IMAGES]
        pictures = []
        for number in tqdm.tqdm(order[gain[order] > 0].tolist(), unit="picture", desc=stem, disable=None):
            record = dataset.records[number]
            image = load_as_used(record)
            if image is not None:
                counts = f"{before[number]} and {after[number]} mistakes; image {record.image_id}: {record.file_name}"
                pictures.append(save_picture(folder, f"{stem}-{number}", _draw(
                    image, record, number, pair, dataset.class_names, drawing), counts, MAX_EDGE))
        lists.append(pictures)
    return lists


def _draw(image, record, number, pair, class_names, drawing):
    panels, marked = [], []
    for name, analysis in zip(pair.names, pair.analyses):
        found, objects = analysis.matched.found, analysis.matched.objects
        shown = np.flatnonzero((found.images == number) & (found.scores >= analysis.threshold))
        shown = shown[np.argsort(-found.scores[shown], kind="stable")[:MAX_DRAWN]]
        texts = [f"{class_names[label - 1]} {score:.2f}"
                 for label, score in zip(found.labels[shown].tolist(), found.scores[shown].tolist())]
        panels.append(drawing.panel(f"{name}, from {analysis.threshold:.2f} on", found.boxes[shown], texts,
                                    analysis.mistakes.kinds[shown] != NONE))
        marked.append(objects.places[_not_found(analysis) & (objects.images == number)])
    # objects that both or one of them misses
    is_marked = np.isin(np.arange(len(record.labels)), np.concatenate(marked))
    return drawing.beside_truth(image, record, class_names, is_marked, panels)


# the page -------------------------------------------------------------------------------------------------------------
def write_comparison(folder, pair, dataset, drawing):
    """
    Write `folder`/index.html and its pictures.

    Args:
        folder (str): it is made
        pair (Pair), dataset (data.Dataset)
        drawing (metrics.report.worst.Drawing)

    Returns:
        str, the path of the page

    Raises:
        UserError: it cannot be written
    """
    fewer, more = _draw_different(folder, pair, dataset, drawing)
    path = os.path.join(folder, "index.html")
    write_document(path, make_page(pair, dataset, fewer, more))
    return path


def make_page(pair, dataset, fewer, more):
    """Returns: Markup, the element "html" """
    first, second = pair.names
    soft = (f"Differences are {second} minus {first}. In {CONFIDENCE:.0%} of draws of as many images, with "
            "replacement, the difference lies in the interval; better and worse are said where it does not hold 0. Of "
            f"many classes a few are so by chance: of 100 without a difference about {100 - 100 * CONFIDENCE:.0f}.")
    rows = class_rows(pair, dataset.class_names)
    images = ("Mistakes are counted at an IoU of 0.5, from the score on where F1 of each is best: wrong detections, in "
              "red, and objects that are not found, in red where either has not found them.")
    return document(
        f"{first} and {second}", element("h1", f"{first} and {second}"),
        element("p", f"{dataset.name}: {len(dataset.records)} images, {int(pair.analyses[0].counts.sum())} objects.",
                class_="soft"), element("p", soft, class_="soft"),
        section("All classes", _coloured(overall_rows(pair))), section("Classes", _coloured(rows[:MAX_CLASSES + 1])),
        section("What mistakes cost", table(mistake_rows(pair))),
        section("Images where they differ most", element("p", images, class_="soft"),
                _pictures(f"{second} makes fewer mistakes", fewer), _pictures(f"{first} makes fewer mistakes", more)),
        css=read_css())


def _coloured(rows):
    colours = {"better": "up", "worse": "down"}
    return table([rows[0], *([*row[:-1], element("span", row[-1], class_=colours.get(row[-1]))] for row in rows[1:])])


def _pictures(title, pictures):
    if not pictures:
        return join([element("h3", title), element("p", "In no image.")])
    return join([element("h3", title), element("div", *map(figure, pictures), class_="pictures broad")])
