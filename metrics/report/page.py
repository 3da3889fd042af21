"""The page of an evaluation: a folder with index.html and its pictures, which asks nothing of any network."""
from __future__ import annotations

import os

from common import warn, writing

import numpy as np

from data.check.markup import bar, document, element, figure, join, section, table, write_document
from metrics.coco import RECALLS
from metrics.curves import draw_curves
from metrics.mistakes import FALSE_NEGATIVES, FALSE_POSITIVES, KINDS, MISSED, WHAT
from metrics.operating import NUM_BINS
from metrics.report import charts
from metrics.report.analysis import ANALYSED, analyse, write_numbers
from metrics.report.confusions import confusion_section
from metrics.report.worst import IMAGES_A_KIND, draw_worst
from metrics.resampled import COLUMNS

NAMES = {"bbox": "Boxes", "segm": "Masks", "keypoints": "Keypoints"}
MAX_CLASSES = 400    # rows of a table
CURVES = (("at-50", "0.50", lambda p: p[0]), ("at-75", "0.75", lambda p: p[5]),
          ("over-all", "0.50 to 0.95", lambda p: p.mean(axis=0)))


def write_report(folder, results, dataset, comparisons, drawing):
    """
    Write `folder`/index.html, its pictures, curves.png and report.json, in place of an earlier report.

    Args:
        folder (str): it is made
        results (list of dict): COCO results
        dataset (data.Dataset)
        comparisons (dict): of the data set's metric, of kinds such as "bbox" to its comparison
        drawing (metrics.report.worst.Drawing)

    Returns:
        str, the path of the page

    Raises:
        UserError: it cannot be written
    """
    with writing(folder):
        os.makedirs(folder, exist_ok=True)
    draw_curves(comparisons, os.path.join(folder, "curves.png"))
    analyses = {kind: analyse(results, dataset, kind) for kind in comparisons if kind in ANALYSED}
    pictures, num_bad = draw_worst(folder, analyses["bbox"], dataset, drawing)
    if num_bad:
        warn(f"{folder}: {num_bad} images cannot be read, and are not drawn")
    write_numbers(os.path.join(folder, "report.json"), analyses, dataset)
    path = os.path.join(folder, "index.html")
    write_document(path, make_page(dataset, len(results), comparisons, analyses, pictures))
    return path


def report_folder(output):
    """Returns: str, where the report on the results in the json file `output` is: OUT_report beside OUT.json"""
    return f"{os.path.splitext(output)[0]}_report"


def make_page(dataset, num_results, comparisons, analyses, pictures):
    """Returns: Markup, the element "html" """
    boxes = analyses["bbox"]
    parts = {**{NAMES.get(kind, kind): _kind(kind, comparison, analyses.get(kind))
                for kind, comparison in comparisons.items()},
             "Classes": _classes(dataset.class_names, comparisons["bbox"], boxes),
             "Confusions": confusion_section(boxes.confusion, dataset.class_names, boxes.threshold),
             "Calibration": _calibration(boxes.calibration),
             "Worst images": _worst(boxes, pictures)}
    ids = {title: title.lower().replace(" ", "-") for title in parts}
    links = element("nav", *(join([element("a", title, href=f"#{ids[title]}"), " "]) for title in parts))
    counted = int(boxes.counts.sum())
    summary = element("p", f"{len(dataset.records)} images, {counted} objects of {(boxes.counts > 0).sum()} classes, "
                      f"{num_results} detections.", class_="soft")
    return document(f"{dataset.name}: evaluated", element("h1", dataset.name), summary, links,
                    *(section(title, content, id=ids[title]) for title, content in parts.items()), css=read_css())


def read_css():
    with open(os.path.join(os.path.dirname(__file__), "page.css"), encoding="utf-8") as f:
        return f.read()


def percent(value):
    """Returns: str, "41.3" for 0.413; "-" for NaN and None"""
    return "-" if value is None or np.isnan(value) else f"{100 * value:.1f}"


# of one kind ----------------------------------------------------------------------------------------------------------
def _kind(kind, comparison, analysis):
    names = list(comparison.metrics)
    rows = [["percent", *names], ["all classes", *(percent(comparison.metrics[name]) for name in names)]]
    parts = [table(rows), _curves(kind, comparison)]
    if analysis is None:
        parts.append(_plain_classes(comparison))
    else:
        parts += [element("h3", "Where average precision is lost"), _lost(analysis)]
        if kind != "bbox":
            parts.append(element("h3", "Classes"))
            parts.append(_class_table([[name, int(count), *map(percent, row)] for name, count, row in zip(
                comparison.class_names, analysis.counts, analysis.precisions)], ["class", "objects", *COLUMNS],
                _worst_first(analysis.precisions[:, 0])))
    return join(parts)


def _curves(kind, comparison):
    present = comparison.recall[0] >= 0
    if not present.any():
        return element("p", "There are no objects.", class_="soft")
    precision = comparison.precision[:, :, present].mean(axis=2)
    overlap = "OKS" if kind == "keypoints" else "IoU"
    series = {name: (RECALLS, of(precision)) for name, _, of in CURVES}
    legend = [element("li", element("span", class_=f"key {name}"),
                      f" {overlap} {at}: AP {percent(of(precision).mean())}") for name, at, of in CURVES]
    chart = charts.lines_chart(series, "recall", "precision",
                               f"precision over recall of {NAMES.get(kind, kind).lower()}")
    return element("div", chart, element("ul", *legend, class_="legend"), class_="side")


def _lost(analysis):
    """Bars of what each kind of mistake costs"""
    mistakes = analysis.mistakes
    longest = max([0.001, *(mistakes.gain(kind) for kind in KINDS)])
    rows = [[kind, mistakes.count(kind), f"{100 * mistakes.gain(kind):+.1f}",
             bar(np.clip(mistakes.gain(kind) / longest, 0, 1)), WHAT[kind]] for kind in KINDS]
    totals = {FALSE_POSITIVES: int((mistakes.kinds >= 0).sum()),
              FALSE_NEGATIVES: mistakes.count(MISSED) + _not_found_but_for_mistakes(analysis)}
    rows += [[kind, count, f"{100 * mistakes.gain(kind):+.1f}", "", ""] for kind, count in totals.items()]
    base = percent(np.nanmean(mistakes.base)) if (analysis.counts > 0).any() else "-"
    text = (f"AP50 is {base}. Each figure is what it would gain if mistakes of one kind alone were mended (TIDE, Bolya "
            "et al. 2020). Mistakes hide each other, so the figures do not add up to 100.")
    return join([element("p", text, class_="soft"),
                 table([["mistake", "number", "AP50", "", "what it is"], *rows], class_="lost")])


def _not_found_but_for_mistakes(analysis):
    """Returns: int, the objects that a mended detection would find"""
    objects, _, _, matches = analysis.matched
    is_found = np.zeros(len(objects.labels), dtype=bool)
    is_found[matches.objects[matches.outcome[0, 0] == 1]] = True
    return int((objects.counts & ~is_found & ~analysis.mistakes.is_missed).sum())


# classes --------------------------------------------------------------------------------------------------------------
def _worst_first(precisions):
    """Returns: list of the classes with objects, that with the lowest average precision first"""
    return [k for k in np.argsort(precisions, kind="stable").tolist() if not np.isnan(precisions[k])]


def _class_table(rows, header, order):
    left_out = len(rows) - len(order[:MAX_CLASSES])
    text = f"{left_out} classes are not listed; report.json has all." if left_out else ""
    return join([table([header, *(rows[k] for k in order[:MAX_CLASSES])], class_="classes"),
                 element("p", text, class_="soft")])


def _plain_classes(comparison):
    rows = [["class", *next(iter(comparison.per_class.values()), ())]]
    rows += [[name, *map(percent, values.values())] for name, values in comparison.per_class.items()]
    return table(rows[:MAX_CLASSES], class_="classes")


def _classes(class_names, comparison, analysis):
    """Of boxes: average precision by class and size, the best F1, and a small curve"""
    operating, precisions = analysis.operating, analysis.precisions
    rows = []
    for k, name in enumerate(class_names):
        score = operating.threshold[k + 1]
        at = operating.precision[k + 1], operating.recall[k + 1], operating.f1[k + 1]
        rows.append([name, int(analysis.counts[k]), *map(percent, precisions[k]),
                     charts.spark(comparison.precision[0, :, k]), "-" if np.isnan(score) else f"{score:.2f}",
                     *map(percent, at), percent(analysis.calibration.ece_of_classes[k])])
    header = ["class", "objects", *COLUMNS, "curve", "score", "precision", "recall", "F1", "ECE"]
    text = ("Boxes, the class with the lowest AP first, in percent. The small curve is precision over recall at an IoU "
            "of 0.5. Behind it the score from which on F1 is best there, with precision and recall, and the error of "
            "calibration of the class's scores (ECE).")
    overall = operating.threshold[0]
    best = "Nothing is found." if np.isnan(overall) else (
        f"Over all classes F1 is best from a score of {overall:.2f} on: precision {percent(operating.precision[0])}, "
        f"recall {percent(operating.recall[0])}, F1 {percent(operating.f1[0])}.")
    order = _worst_first(precisions[:, 0])
    costs = [[name, *(f"{100 * analysis.mistakes.gains[kind][k]:+.1f}" for kind in KINDS)]
             for k, name in enumerate(class_names)]
    return join([element("p", best), element("p", text, class_="soft"), _class_table(rows, header, order),
                 element("h3", "What mistakes cost each class, of its AP50"),
                 _class_table(costs, ["class", *KINDS], order)])


# scores ---------------------------------------------------------------------------------------------------------------
def _calibration(calibration):
    chart = charts.bars_chart(calibration.precision, calibration.confidence, "score", "share that is right",
                              "share of detections that are right, over their score")
    edges = np.linspace(0, 1, NUM_BINS + 1)
    rows = [[f"{edges[i]:.1f} to {edges[i + 1]:.1f}", int(calibration.counts[i]), percent(calibration.confidence[i]),
             percent(calibration.precision[i])] for i in range(NUM_BINS)]
    text = (f"Expected calibration error (ECE): {percent(calibration.ece)}. A bar is the share of detections with such "
            "a score that are right, at an IoU of 0.5; the stroke on it is their mean score. A bar below its stroke is "
            "of a detector that is too sure of itself.")
    return join([element("p", text, class_="soft"), element(
        "div", chart, table([["score", "detections", "mean score", "right"], *rows]), class_="side")])


# images ---------------------------------------------------------------------------------------------------------------
def _worst(analysis, pictures):
    text = (f"For each kind at most {IMAGES_A_KIND} images: where its detections have the highest scores, or where "
            f"most objects are missed. Detections from a score of {analysis.threshold:.2f} on are drawn; red is what "
            "the kind is about, and the object that was meant.")
    drawn = [element("details", element("summary", element("h3", f"{kind}: {analysis.mistakes.count(kind)}"), " ",
                                        element("small", WHAT[kind])),
                     element("div", *map(figure, pictures[kind]), class_="pictures broad"), open=True)
             for kind in KINDS if pictures[kind]]
    return join([element("p", text, class_="soft"), *drawn])
