"""Pictures of precision-recall curves."""
import os
import warnings

from common import whole_file

from metrics.coco import RECALLS
from metrics.tables import percent

MAX_CLASS_CURVES = 10    # more classes than that have no curves of their own in a picture


def _present(comparison):
    """Returns: list of the numbers of the classes that have objects"""
    return [k for k in range(len(comparison.class_names)) if comparison.recall[0, k] >= 0]


def _colors(comparison):
    """Returns: dict of the names of classes with objects to matplotlib's names of colours"""
    return {comparison.class_names[k]: f"C{i}" for i, k in enumerate(_present(comparison))}


def _draw_curves(axes, kind, comparison, colors):
    """Precision over recall, averaged over the classes with objects: at IoU 0.50, 0.75 and averaged over all IoUs."""
    overlap = "OKS" if kind == "keypoints" else "IoU"
    present = _present(comparison)
    axes.set(title=kind, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.grid(alpha=0.3)
    if not present:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center")
        return
    precision = comparison.precision[:, :, present]
    mean = precision.mean(axis=2)
    # the AP of a curve is its mean, so first in its label; a label that began with "_" would be left out
    for values, at, style in ((mean[0], "0.50", ":"), (mean[5], "0.75", "--"),
                              (mean.mean(axis=0), "0.50 to 0.95", "-")):
        axes.plot(RECALLS, values, style, color="black", linewidth=2,
                  label=f"{percent(values.mean())}  {overlap} {at}")
    if len(present) <= MAX_CLASS_CURVES:
        for k, values in zip(present, precision.mean(axis=0).T):
            name = comparison.class_names[k]
            axes.plot(RECALLS, values, color=colors[name], linewidth=0.8, label=f"{percent(values.mean())}  {name}")
    legend = axes.legend(title="AP", loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)    # a name with two "$" is no formula


def curves_path(output):
    """Returns: str, where the curves of the results in the json file `output` are: OUT_curves.png beside OUT.json"""
    return f"{os.path.splitext(output)[0]}_curves.png"


def draw_curves(comparisons, path):
    """
    Draw precision-recall curves of boxes, and of masks and keypoints beside them, averaged over classes, and of each of
    a few classes. A picture that is there stays until the new one is complete.

    Args:
        comparisons (dict): of `compare`
        path (str): of the .png file to write

    Raises:
        UserError: it cannot be written
    """
    # here, as it takes a while; a Figure of its own needs no display, and no state of pyplot
    from matplotlib.figure import Figure

    colors = _colors(comparisons["bbox"])    # also of keypoints, which fewer classes may have
    figure = Figure(figsize=(5 * len(comparisons), 4.5), dpi=100)
    for axes, (kind, comparison) in zip(figure.subplots(1, len(comparisons), squeeze=False)[0], comparisons.items()):
        _draw_curves(axes, kind, comparison, colors)
    with whole_file(path, "wb") as f, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)    # a letter that the font lacks becomes a box
        figure.savefig(f, format="png", bbox_inches="tight")    # tight: with the legend below
