"""The benchmark of metrics."""
import sys

import numpy as np
import pycocotools.mask as mask_util
import pytest

from benchmarks import metrics


def test_metrics_of_both_sides_are_timed_and_compared(monkeypatch, capsys):
    monkeypatch.setattr(metrics, "measure_apart", metrics.measure)
    monkeypatch.setattr(sys, "argv", ["metrics", "--images", "6", "--objects", "40", "--classes", "3",
                                      "--detections", "20"])
    metrics.main()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [[what, who] for what in ("boxes", "boxes and masks")
                                         for who in ("pycocotools", "ours")]
    assert all(float(row[4]) > 0.1 for row in rows)
    assert all(float(rows[i][6]) < 1e-9 and rows[i - 1][5:] == ["1.00", "-"] for i in (1, 3))


def test_metrics_are_compared_by_the_time_on_the_cpu():
    numbers = {"bbox": [np.zeros(12)]}
    ours = dict(seconds=9.0, cpu_seconds=1.0, peak_gib=0.5, numbers={"bbox": [np.full(12, 1e-3)]})
    reference = dict(seconds=5.0, cpu_seconds=4.0, peak_gib=2.0, numbers=numbers)
    assert metrics.make_rows("boxes", ours, reference) == [["boxes", "pycocotools", 5.0, 4.0, 2.0, 1.0, None],
                                                           ["boxes", "ours", 9.0, 1.0, 0.5, 0.25, 1e-3]]


def test_random_detections_are_partly_right():
    rng = np.random.default_rng(0)
    truth = metrics.make_truth(rng, num_images=20, num_objects=150, num_classes=3)
    results = metrics.make_results(rng, truth, 40, with_masks=True)
    assert len(truth["annotations"]) == 150 and len(results) == 20 * 40
    boxes = np.array([annotation["bbox"] for annotation in truth["annotations"]])
    assert boxes.min() >= 0 and (boxes[:, :2] + boxes[:, 2:] <= (640.001, 480.001)).all()
    result = results[0]
    assert mask_util.area(result["segmentation"]) == pytest.approx(0.785 * np.prod(result["bbox"][2:]), rel=0.15)


@pytest.mark.slow
def test_the_two_sides_run_in_a_process_of_their_own_on_what_the_files_hold(tmp_path):
    rng = np.random.default_rng(0)
    truth = metrics.make_truth(rng, num_images=20, num_objects=150, num_classes=3)
    paths = metrics.write_files(tmp_path, truth, metrics.make_results(rng, truth, 40, with_masks=False))
    ours = metrics.measure_apart("ours", *paths, ("bbox",))
    stats, precision, recall = ours["numbers"]["bbox"]
    assert 0.1 < stats[1] < 1 and precision.shape == (10, 101, 3) and recall.shape == (10, 3)
    assert 0 < ours["seconds"] < 60 and 0.1 < ours["peak_gib"] < 100


def test_the_largest_difference_is_of_any_number():
    numbers = {"bbox": (np.zeros(12), np.zeros((10, 101, 2)), np.zeros((10, 2)))}
    for i, value in enumerate((0.25, -0.5, 0.75)):
        others = [array.copy() for array in numbers["bbox"]]
        others[i].flat[-1] = value
        assert metrics.largest_difference(numbers, {"bbox": others}) == abs(value)
