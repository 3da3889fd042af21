"""Pictures of precision-recall curves."""
import os
import subprocess
import sys

import common

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from coco_truth import load, make_truth, perfect_results
from metrics import coco as metrics, curves
from metrics.curves import draw_curves


def comparison(metric=0.4137, precision=(0.25, -1), recall=(0.5, -1)):
    """A Comparison with one value in all metrics but APl, one precision of each of some classes, and one recall."""
    names = ["circle", "square", *(f"class {k}" for k in range(2, len(precision)))]
    return metrics.Comparison(dict.fromkeys(metrics.METRICS, metric) | {"APl": None}, names[:len(precision)],
                              np.tile(precision, (10, 101, 1)), np.tile(recall, (10, 1)))


def draw(folder, **comparisons):
    """Returns: uint8 (h, w, 3) picture of the curves of some comparisons"""
    path = folder / "curves.png"
    draw_curves(comparisons, str(path))
    assert [each.name for each in folder.iterdir()] == ["curves.png"]
    return cv2.imread(str(path))


def dark_rows(picture):
    """Returns: the rows that a thick black line crosses from left to right"""
    return np.flatnonzero((picture.max(axis=2) < 60).mean(axis=1) > 0.6)


def test_curves_of_good_detections_lie_above_those_of_bad_ones(tmp_path):
    pictures = [draw(tmp_path, bbox=comparison(precision=(p,) * 20, recall=(1,) * 20)) for p in (0.9, 0.5, 0.1)]
    # between the lines of the frame
    good, middle, bad = (dark_rows(picture)[1:-1].mean() for picture in pictures)
    assert good < middle < bad


def test_a_picture_has_masks_beside_boxes(tmp_path):
    boxes, both = (draw(tmp_path, **{kind: comparison() for kind in kinds}) for kinds in (["bbox"], ["bbox", "segm"]))
    assert both.shape[1] > 1.7 * boxes.shape[1] and both.shape[0] == boxes.shape[0]
    assert boxes.std() > 10


@pytest.mark.parametrize("results, changed", [
    (perfect_results(), {}), ([], {}), (perfect_results(), dict(annotations=[])),
    ([], dict(annotations=[], images=[]))], ids=["perfect", "none found", "no objects", "no images"])
def test_curves_of_whatever_was_found_can_be_drawn(tmp_path, results, changed):
    comparisons = metrics.compare(results, load(tmp_path, {**make_truth(), **changed}), kinds=("bbox", "segm"))
    (tmp_path / "pictures").mkdir()
    assert draw(tmp_path / "pictures", **comparisons).std() > 5
    assert metrics.format_metrics(comparisons)


def figure_of(found, kind="bbox", colors=None):
    """Returns: axes with the curves of a Comparison"""
    axes = Figure().subplots()
    curves._draw_curves(axes, kind, found, colors or curves._colors(found))
    return axes


def test_the_legend_has_the_ap_of_all_and_of_each_class(tmp_path):
    found = metrics.compare(perfect_results()[1:], load(tmp_path, make_truth()), kinds=("bbox",))["bbox"]
    axes = figure_of(found)
    labels = [text.get_text().split("  ") for text in axes.get_legend().get_texts()]
    assert labels == [["50.0", "IoU 0.50"], ["50.0", "IoU 0.75"], ["50.0", "IoU 0.50 to 0.95"],
                      ["100.0", "circle"], ["0.0", "square"]]
    values = [line.get_ydata().mean() for line in axes.get_lines()]
    np.testing.assert_allclose(values, [0.5, 0.5, 0.5, 1, 0], atol=1e-9)
    assert found.metrics["AP"] == pytest.approx(0.5)


def test_curves_of_keypoints_are_of_their_similarity_in_the_colours_of_the_classes():
    boxes, points = (comparison(precision=(0.5,) * n, recall=(1,) * n) for n in (2, 1))
    points.class_names = ["square"]
    of_boxes, of_points = (figure_of(found, kind, curves._colors(boxes))
                           for found, kind in ((boxes, "bbox"), (points, "keypoints")))
    assert of_points.get_legend().get_texts()[0].get_text() == "50.0  OKS 0.50"
    assert of_points.get_lines()[-1].get_color() == of_boxes.get_lines()[-1].get_color() != "black"


def test_curves_of_thresholds_are_at_their_thresholds():
    found = comparison(precision=(0.5, -1))
    found.precision[:, :, 0] = 1 - metrics.IOU_THRESHOLDS[:, None]
    values = [line.get_ydata() for line in figure_of(found).get_lines()]
    np.testing.assert_allclose(values[:3], np.tile([[0.5], [0.25], [0.275]], (1, 101)), atol=1e-9)


def test_many_classes_have_no_curves_of_their_own():
    few, many = (figure_of(comparison(precision=(0.5,) * n, recall=(1,) * n)) for n in (10, 11))
    assert len(few.get_lines()) == 3 + 10 and len(many.get_lines()) == 3


def test_names_of_classes_may_hold_any_letters(tmp_path, recwarn):
    found = comparison(precision=(0.5,) * 4, recall=(1,) * 4)
    found.class_names = ["_hidden", "$a$ costs $\\frac{$", "猫", "%s {0}"]
    labels = [text.get_text() for text in figure_of(found).get_legend().get_texts()]
    assert [label.split("  ")[1] for label in labels[3:]] == found.class_names
    assert draw(tmp_path, bbox=found).std() > 10 and not recwarn.list


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken.png").mkdir()
    for name in ("nowhere/curves.png", "taken.png"):
        with pytest.raises(common.UserError, match=name):
            draw_curves({"bbox": comparison()}, str(tmp_path / name))
    assert [each.name for each in tmp_path.iterdir()] == ["taken.png"]


def test_curves_are_drawn_without_a_display_and_leave_pyplot_alone(tmp_path):
    path = str(tmp_path / "curves.png")
    code = ("import sys\nimport numpy as np\nfrom metrics import coco, curves\n"
            "assert 'matplotlib' not in sys.modules\n"
            "found = coco.Comparison({}, ['circle'], np.full((10, 101, 1), 0.5), np.full((10, 1), 0.5))\n"
            f"curves.draw_curves({{'bbox': found}}, {path!r})\n"
            "assert 'matplotlib.pyplot' not in sys.modules")
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    result = subprocess.run([sys.executable, "-c", code], cwd=common.ROOT, env=environment, capture_output=True,
                            text=True)
    assert result.returncode == 0 and "matplotlib" not in result.stderr, result.stderr
    assert cv2.imread(path).std() > 5
