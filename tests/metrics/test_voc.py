"""PASCAL VOC's average precision, beside a plain and slow implementation of the development kit's rule."""
import numpy as np
import pytest

from data.voc import load_voc_folder
from metrics import voc
from voc_folder import make_object, make_xml, write_voc
from voc_sets import (
    BOX,
    CATEGORY_IDS,
    HALF,
    detection,
    make_dataset,
    make_record,
    plain_11_points,
    plain_area,
    plain_curve,
    random_set,
)


def metrics_of(results, *records):
    return voc.compare(results, make_dataset(*records), kinds=("bbox",))["bbox"].metrics


def test_the_average_precision_of_200_random_sets_is_that_of_the_development_kit():
    num_classes = 0
    for seed in range(200):
        dataset, results = random_set(seed)
        found = voc.average_precisions(results, dataset)
        curves = [plain_curve(dataset, results, label) for label in CATEGORY_IDS]
        for name, rule in (("VOC07", plain_11_points), ("VOC10", plain_area)):
            expected = [None if curve is None else rule(curve) for curve in curves]
            assert [value is None for value in found[name]] == [value is None for value in expected], seed
            pairs = [pair for pair in zip(found[name], expected) if None not in pair]
            np.testing.assert_allclose(*(zip(*pairs) if pairs else ((), ())), atol=1e-12, err_msg=str(seed))
            num_classes += len(pairs)
    assert num_classes > 800


# the rule in words --------------------------------------------------------------------------------------------------
def test_an_overlap_of_just_a_half_is_too_little():
    assert metrics_of([detection(1, 1, HALF)], make_record(1, [BOX], [1]))["VOC10"] == 0
    assert metrics_of([detection(1, 1, (10, 10, 20, 11))], make_record(1, [BOX], [1]))["VOC10"] == 1


def test_a_second_detection_of_an_object_is_wrong():
    truth = make_record(1, [BOX, (100, 100, 20, 20)], [1, 1])
    results = [detection(1, 1, BOX, 0.9), detection(1, 1, BOX, 0.8), detection(1, 1, (100, 100, 20, 20), 0.7)]
    assert metrics_of(results, truth)["VOC10"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_difficult_objects_are_no_misses_and_their_detections_no_mistakes():
    truth = make_record(1, [BOX, (100, 100, 20, 20)], [1, 1], [True, False])
    results = [*[detection(1, 1, BOX, 0.9)] * 3, detection(1, 1, (100, 100, 20, 20), 0.5)]
    for detections in (results, results[3:]):
        found = metrics_of(detections, truth)
        assert found["VOC07"] == found["VOC10"] == 1 and found["AP"] == pytest.approx(1)


def test_a_detection_of_a_small_part_of_a_difficult_object_is_a_mistake():
    truth = make_record(1, [(0, 0, 200, 200), (300, 300, 20, 20)], [1, 1], [True, False])
    found = metrics_of([detection(1, 1, BOX, 0.9), detection(1, 1, (300, 300, 20, 20), 0.5)], truth)
    assert found["VOC07"] == found["VOC10"] == 0.5 and found["AP"] == pytest.approx(0.5)


def test_11_points_and_the_area_differ():
    truth = make_record(1, [BOX, (100, 100, 20, 20)], [1, 1])
    found = metrics_of([detection(1, 1, BOX)], truth)
    assert (found["VOC07"], found["VOC10"]) == (pytest.approx(6 / 11), 0.5)


def test_classes_without_objects_are_left_out_of_the_mean():
    truth = make_record(1, [BOX, HALF], [1, 2], [False, True])
    comparison = voc.compare([detection(1, 1, BOX), detection(1, 3, BOX)], make_dataset(truth), ("bbox",))["bbox"]
    assert comparison.metrics["VOC07"] == comparison.metrics["VOC10"] == 1
    assert comparison.per_class["dog"] == {"VOC07": None, "VOC10": None, "AP": None, "AR": None}


@pytest.mark.parametrize("results", [[], [detection(7, 1, BOX), detection(1, 99, BOX)]], ids=["none", "strangers"])
def test_without_detections_of_its_images_and_classes_the_mean_is_zero(results):
    found = metrics_of(results, make_record(1, [BOX], [1]))
    assert found["VOC07"] == found["VOC10"] == found["AP"] == 0


@pytest.mark.parametrize("records", [[], [make_record(1, [], [])]], ids=["no images", "no objects"])
def test_without_objects_there_is_no_mean(records):
    found = metrics_of([detection(1, 1, BOX)], *records)
    assert found["VOC07"] is found["VOC10"] is found["AP"] is None


def test_the_objects_of_xml_files_given_as_detections_score_one(tmp_path):
    objects = [make_object("cat", (1, 1, 20, 30)), make_object("dog", (5.5, 6.25, 40, 41)),
               make_object("dog", (30, 30, 60, 50), difficult=1)]
    write_voc(tmp_path, {"a": make_xml(*objects), "b": make_xml(*objects[:2]), "c": make_xml()})
    dataset = load_voc_folder(str(tmp_path), "train")
    results = [detection(record.image_id, dataset.category_ids[label - 1], bbox) for record in dataset.records
               for bbox, label in zip(record.bboxes, record.labels)]
    found = voc.compare(results, dataset, kinds=("bbox", "segm"))
    assert list(found) == ["bbox"]
    for name in ("VOC07", "VOC10", "AP", "AP50", "AR100"):
        assert found["bbox"].metrics[name] == pytest.approx(1)


def test_tables_have_both_rules_before_cocos_metrics():
    comparisons = voc.compare([detection(1, 1, BOX)], make_dataset(make_record(1, [BOX, BOX], [1, 2])), ("bbox",))
    lines = [line.split() for line in voc.format_metrics(comparisons).splitlines()]
    assert lines[0] == ["percent", "VOC07", "VOC10"] and lines[2] == ["bbox", "50.0", "50.0"]
    assert ["percent", "AP", "AP50", "AP75", "APs", "APm", "APl"] in lines
    header = lines.index("class bbox VOC07 bbox VOC10 bbox AP bbox AR".split())
    assert lines[header + 2:] == [["cat", *["100.0"] * 4], ["dog", *["0.0"] * 4], ["cow", *"----"],
                                  ["unicorn", *"----"]]
