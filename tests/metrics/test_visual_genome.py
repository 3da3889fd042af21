"""Visual Genome's metric, from the average precisions that `test_voc` holds against a plain implementation."""
import numpy as np
import pytest

from metrics import coco, visual_genome
from metrics.average_precision import found_of, truth_of
from metrics.curves import draw_curves
from voc_sets import BOX, detection, make_dataset, make_record, plain_area, plain_curve, random_set

AWAY = (100, 100, 20, 20)


def compare(results, *records):
    return visual_genome.compare(results, make_dataset(*records), kinds=("bbox", "segm"))["bbox"]


@pytest.mark.parametrize("seed", range(20))
def test_the_average_precisions_are_vocs_areas_at_each_threshold(seed):
    dataset, results = random_set(seed)
    found = visual_genome.compare(results, dataset, kinds=("bbox",))["bbox"]
    for t in (0, 5):
        curves = [plain_curve(dataset, results, label, coco.IOU_THRESHOLDS[t]) for label in dataset.category_ids]
        expected = [np.nan if curve is None else plain_area(curve) for curve in curves]
        np.testing.assert_allclose(found.areas[t], expected, atol=1e-12)


def test_the_weighted_mean_counts_a_class_by_its_objects_and_the_plain_one_all_the_same():
    truth = make_record(1, [BOX, AWAY, (200, 200, 20, 20), BOX], [1, 1, 1, 2])
    found = compare([detection(1, 1, bbox) for bbox in truth.bboxes[:3]], truth)
    assert (found.metrics["AP50"], found.metrics["AP50_weighted"]) == (0.5, 0.75)


def test_ap_is_the_mean_over_thresholds():
    # IoU 0.8: right at 0.5 to 0.75, six of ten
    metrics = compare([detection(1, 1, (10, 10, 20, 16))], make_record(1, [BOX], [1])).metrics
    assert metrics == {"AP50": 1, "AP50_weighted": 1, "AP75": 1, "AP": pytest.approx(0.6)}


def test_classes_without_objects_are_left_out():
    found = compare([detection(1, 1, BOX), detection(1, 2, BOX)], make_record(1, [BOX], [1]))
    assert found.metrics["AP50"] == found.metrics["AP50_weighted"] == 1
    assert found.per_class["cat"] == {"AP50": 1, "AP": 1} and found.per_class["dog"] == {"AP50": None, "AP": None}


@pytest.mark.parametrize("records", [[], [make_record(1, [], [])]], ids=["no images", "no objects"])
def test_without_objects_there_are_no_means(records):
    assert set(compare([detection(1, 1, BOX)], *records).metrics.values()) == {None}


def test_curves_are_those_of_the_classes_at_each_threshold(tmp_path):
    truth = make_record(1, [BOX, AWAY], [1, 1])
    found = compare([detection(1, 1, BOX)], truth)
    assert found.recall[:, :2].tolist() == [[0.5, -1]] * 10
    assert found.precision[0, :51, 0].tolist() == [1] * 51 and not found.precision[0, 51:, 0].any()
    draw_curves({"bbox": found}, str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").exists()


def test_the_table_has_the_classes_with_the_most_objects(monkeypatch):
    monkeypatch.setattr(visual_genome, "MAX_CLASSES", 2)
    truth = make_record(1, [BOX, BOX, AWAY], [1, 2, 2])
    text = visual_genome.format_metrics(visual_genome.compare([detection(1, 2, BOX)], make_dataset(truth), ("bbox",)))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["percent", "AP50", "AP50_weighted", "AP75", "AP"]
    assert [line[0] for line in lines[6:8]] == ["dog", "cat"] and lines[6][1] == "50.0"
    assert lines[-1] == "and 2 classes with fewer objects".split()


def test_objects_and_detections_are_taken_as_arrays():
    truth, found = make_record(7, [BOX, AWAY], [2, 1]), [detection(7, 2, BOX, 0.1), detection(7, 1, BOX, 0.1)]
    dataset = make_dataset(make_record(3, [], []), truth)
    assert truth_of(dataset).images.tolist() == [1, 1] and truth_of(dataset).labels.tolist() == [2, 1]
    assert found_of(found, dataset).labels.tolist() == [1, 2] and found_of(found, dataset).images.tolist() == [1, 1]
