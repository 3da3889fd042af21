"""The part of a page that says which classes are taken for which."""
import numpy as np

from data.check.markup import element, join, table, wide
from metrics.operating import BACKGROUND

MAX_CLASSES = 100    # rows of the matrix; those with fewest objects and detections are one row
MAX_LISTED = 12
OTHERS, NOTHING = "other classes", "background"


def confusion_section(matrix, class_names, threshold):
    """
    Args:
        matrix: int (C + 1, C + 1), of `metrics.operating.confusion_matrix`
        class_names: of C
        threshold (float): score of the detections in it

    Returns:
        Markup
    """
    text = (f"Detections with a score of {threshold:.2f} or more, where F1 of all classes together is best. A row is "
            "the class of objects, a column that of detections; the last row has detections without an object, the "
            "last column objects without a detection. Colours are shares of the row.")
    return join([element("p", text, class_="soft"), element(
        "div", _matrix(matrix, class_names), _most_confused(matrix, class_names), class_="side")])


def _most_confused(matrix, class_names):
    off = matrix[1:, 1:] * ~np.eye(len(class_names), dtype=bool)
    order = np.argsort(-off, axis=None, kind="stable")[:MAX_LISTED]
    rows = []
    for truth, found in zip(*np.unravel_index(order, off.shape)):
        if off[truth, found]:
            rows.append([class_names[truth], class_names[found], int(off[truth, found]),
                         f"{off[truth, found] / matrix[truth + 1].sum():.1%}"])
    if not rows:
        return element("p", "No class is taken for another.")
    return table([["objects of", "taken for", "number", "of its objects"], *rows])


def _matrix(matrix, class_names):
    matrix, names = shortened(matrix, list(class_names))
    order = [*range(1, len(matrix)), BACKGROUND]    # at last
    names = [*names, NOTHING]
    matrix = matrix[np.ix_(order, order)]
    head = element("tr", element("th"), *(element("th", element("span", name), scope="col") for name in names),
                   element("th", element("span", "all"), scope="col"))
    body = [element("tr", element("th", name, scope="row"), *_cells(row, name, names), element("td", int(row.sum())))
            for name, row in zip(names, matrix)]
    foot = element("tr", element("th", "all", scope="row"), *(element("td", int(n)) for n in matrix.sum(axis=0)),
                   element("td", int(matrix.sum())))
    return wide(element("table", element("thead", head), element("tbody", *body, foot), class_="matrix"))


def _cells(row, name, names):
    total = max(int(row.sum()), 1)
    for other, count in zip(names, row.tolist()):
        if not count:
            yield element("td")
            continue
        kind = "same" if other == name else "not"
        yield element("td", count, class_=kind, title=f"{name}, found as {other}: {count}",
                      style=f"--share:{0.08 + 0.82 * count / total:.2f}")


def shortened(matrix, names):
    """Returns: the matrix and names with MAX_CLASSES classes at most and the rest in one; the sum stays"""
    if len(names) <= MAX_CLASSES:
        return matrix, names
    largest = np.argsort(-(matrix.sum(axis=0) + matrix.sum(axis=1))[1:], kind="stable")[:MAX_CLASSES - 1]
    place = np.full(len(matrix), MAX_CLASSES)
    place[BACKGROUND] = BACKGROUND
    place[np.sort(largest) + 1] = np.arange(1, MAX_CLASSES)
    short = np.zeros((MAX_CLASSES + 1,) * 2, dtype=matrix.dtype)
    np.add.at(short, (place[:, None], place[None]), matrix)
    return short, [*(names[k] for k in np.sort(largest)), OTHERS]
