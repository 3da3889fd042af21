"""A page of what `data.check` found: a folder with index.html and its pictures, which asks nothing of any network."""
import collections
import os

import numpy as np

from data.check.gallery import PICTURES_A_KIND, draw_pictures
from data.check.kinds import KINDS
from data.check.markup import bar, document, element, figure, join, section, table, write_document
from data.check.report import anchor_rows, class_rows, count_rows, kind_rows

LINES_A_KIND = 1000    # problems that are listed
SIZES = 8              # of images of a data set that are listed


def write_page(folder, checked, drawing):
    """
    Write `folder`/index.html and `folder`/pictures.

    Args:
        folder (str), checked (data.check.checker.Checked), drawing (data.check.gallery.Drawing)

    Returns:
        str, the path of the page

    Raises:
        UserError: it cannot be written
    """
    sample, pictures = draw_pictures(folder, checked, drawing)
    path = os.path.join(folder, "index.html")
    write_document(path, make_page(checked, sample, pictures))
    return path


def make_page(checked, sample=(), pictures=None):
    """
    Args:
        checked (data.check.checker.Checked)
        sample (list[Picture]), pictures (dict of int to Picture): as `draw_pictures` returns them

    Returns:
        Markup, the element "html"
    """
    names = ", ".join(split.dataset.name for split in checked.splits)
    return document(
        f"{names}: checked", element("h1", names), _verdict(checked.problems),
        section("Data sets", _counts(checked.splits)),
        section("Problems", *_problems(checked.problems, pictures or {})),
        section("Classes", _classes(checked.splits)), section("Objects and anchors", *_anchors(checked.fit)),
        section("Sizes of images", *map(_sizes, checked.splits)),
        section("Samples", element("div", *map(figure, sample), class_="pictures")))


def _verdict(problems):
    if not problems:
        return element("p", "No problem found.", class_="good")
    num_kinds = len({problem.kind for problem in problems})
    return element("p", f"{len(problems)} problems of {num_kinds} kinds found.", class_="bad")


def _counts(splits):
    return table([list(row) for row in zip(*count_rows(splits))])


def _classes(splits):
    """A table with a bar for each data set, as long as the share of the class in the largest of it"""
    header, *rows = class_rows(splits)
    largest = np.array([row[2:] for row in rows]).reshape(-1, len(splits)).max(axis=0, initial=1)
    lines = [[*row[:2], *(cell for count, most in zip(row[2:], largest) for cell in (count, bar(count / most)))]
             for row in rows]
    return table([[*header[:2], *(cell for name in header[2:] for cell in (name, ""))], *lines])


def _anchors(fit):
    header, *rows = anchor_rows(fit)
    sizes = fit.rows()
    yield element("p", f"An object is without an anchor where none has an IoU of {fit.threshold:g} or more with it "
                  "(RPN.POSITIVE_ANCHOR_THRESH). Only the best one for it is then trained on.", class_="soft")
    yield table([[*header, "without an anchor"], *([*row, bar(size[3])] for row, size in zip(rows, sizes))])
    for line in fit.advice:
        yield element("p", line)


def _sizes(split):
    sizes = collections.Counter(map(tuple, split.records.sizes.tolist())).most_common()
    rows = [[f"{width} x {height}", count, bar(count / sizes[0][1])] for (height, width), count in sizes[:SIZES]]
    rest = f", and {len(sizes) - SIZES} more" if len(sizes) > SIZES else ""
    return join([element("p", f"{split.dataset.name}: {len(sizes)} sizes, width x height{rest}"),
                 table([["size", "images", ""], *rows])])


def _problems(problems, pictures):
    if not problems:
        return
    yield table(kind_rows(problems))
    indices = collections.defaultdict(list)
    for index, problem in enumerate(problems):
        indices[problem.kind].append(index)
    for kind in filter(indices.__contains__, KINDS):
        yield _kind(kind, indices[kind], problems, pictures)


def _kind(kind, indices, problems, pictures):
    """All problems of a kind, those with a picture first."""
    drawn = [figure(pictures[i], _line(problems[i])) for i in indices if i in pictures]
    others = [element("li", _line(problems[i])) for i in indices if i not in pictures]
    hidden = len(others) - LINES_A_KIND
    limits = f" {PICTURES_A_KIND} of a kind are drawn at most." if len(drawn) >= PICTURES_A_KIND else ""
    limits += f" {hidden} more are not listed; --json FILE writes all." if hidden > 0 else ""
    return element(
        "details", element("summary", element("h3", f"{kind}: {len(indices)}"), " ",
                           element("small", f"{KINDS[kind].title}; {KINDS[kind].remedy}.{limits}")),
        element("div", *drawn, class_="pictures"), element("ul", *others[:LINES_A_KIND]), open=True, id=kind)


def _line(problem):
    return ": ".join(filter(None, (problem.path, problem.item, problem.text)))

