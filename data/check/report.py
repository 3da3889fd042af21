"""What `python -m data.check` prints, and writes for machines."""
import collections
import json

from common import whole_file

import numpy as np
import tabulate

from data.check.categories import histogram
from data.check.kinds import KINDS

LINES_A_KIND = 10    # problems of a kind that are printed
CLASSES = 40         # that are printed; the page has all


def count_rows(splits):
    """Returns: list of rows of strings and numbers, the first has their names"""
    return [["data set", "for", "images", "without objects", "objects", "an image", "crowds", "difficult", "with masks",
             "with keypoints", "smallest image", "largest image"], *(_count_row(split) for split in splits)]


def _count_row(split):
    records, objects = split.records, split.objects
    num_images, num_crowds = len(records), int(objects.is_crowd.sum())
    by_area = np.argsort(records.sizes.prod(axis=1)) if num_images else []
    smallest, largest = (_size(records.sizes[by_area[i]]) if num_images else "" for i in (0, -1))
    num_objects = len(objects.labels) - num_crowds
    return [split.dataset.name, "training" if split.is_train else "evaluation", num_images,
            int((records.object_counts == 0).sum()), num_objects, round(num_objects / max(num_images, 1), 1),
            num_crowds, int(objects.is_difficult.sum()), int((objects.num_parts > 0).sum()),
            int(objects.has_keypoints.sum()), smallest, largest]


def _size(size):
    height, width = size
    return f"{width} x {height}"


def class_rows(splits):
    """Returns: list of rows, the first has their names: category id, class, and objects in each split"""
    return [["id", "class", *(split.dataset.name for split in splits)],
            *([category_id, name, *counts.tolist()] for (category_id, name), counts in histogram(splits))]


def anchor_rows(fit):
    """Returns: list of rows of strings and numbers, the first has their names; `fit` is of `anchors.fit_anchors`"""
    return [["size in the network", "objects", "share", "without an anchor", "median of best IoU"],
            *([name, count, f"{share:.1%}", f"{unmatched:.1%}", f"{median:.2f}"]
              for name, count, share, unmatched, median in fit.rows())]


def kind_rows(problems):
    """Returns: list of rows, the first has their names, of how many problems there are of each kind"""
    counts = collections.Counter(problem.kind for problem in problems)
    return [["problem", "number", "what is wrong", "what to do"],
            *([kind, counts[kind], *KINDS[kind]] for kind in KINDS if counts[kind])]


def format_report(splits, fit, problems):
    """Returns: str, all tables and the first problems of each kind"""
    classes = class_rows(splits)
    rest = [f"... and {len(classes) - 1 - CLASSES} more classes"] if len(classes) - 1 > CLASSES else []
    parts = [_table(list(zip(*count_rows(splits))), headers=()), _table(classes[:CLASSES + 1]), *rest,
             f"Anchors: an object is without one where none has an IoU of {fit.threshold:g} or more with it "
             "(RPN.POSITIVE_ANCHOR_THRESH)\n" + _table(anchor_rows(fit)), *fit.advice]
    return "\n\n".join([*parts, format_problems(problems)])


def format_problems(problems):
    """Returns: str, how many problems there are, and the first lines of each kind"""
    if not problems:
        return "No problem found."
    lines = [_table(kind_rows(problems)), ""]
    for kind, number, *_ in kind_rows(problems)[1:]:
        same = [problem for problem in problems if problem.kind == kind]
        lines += [format_problem(problem) for problem in same[:LINES_A_KIND]]
        if number > LINES_A_KIND:
            lines.append(f"{kind}: ... and {number - LINES_A_KIND} more; --json FILE writes all")
    return "\n".join([*lines, "", f"{len(problems)} problems found."])


def format_problem(problem):
    """Returns: str, one line, without what could drive a terminal"""
    item = f"{problem.item}: " if problem.item else ""
    line = f"{problem.kind}: {problem.path}: {item}{problem.text}"
    return "".join(character if character.isprintable() else "?" for character in line)


def _table(rows, headers="firstrow"):
    return tabulate.tabulate(rows, headers, disable_numparse=not headers)


def write_json(path, splits, problems):
    """Write the counts and all problems, a list of `Problem`'s fields each."""
    header, *rows = count_rows(splits)
    content = {"data sets": [dict(zip(header, row)) for row in rows],
               "problems": [problem._asdict() for problem in problems]}
    with whole_file(path, encoding="utf-8") as f:
        json.dump(content, f, indent=1)
