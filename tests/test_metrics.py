"""COCO's metrics of detections."""
import json

import common
import numpy as np
import pytest

import eval as evaluation
import metrics
from coco_truth import HEIGHT, WIDTH, perfect_results, write_truth


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "gt.json"
    write_truth(path)
    return str(path)


def change_truth(path, change):
    with open(path) as f:
        content = json.load(f)
    change(content)
    with open(path, "w") as f:
        json.dump(content, f)


def test_perfect_detections_score_one(truth):
    found = metrics.evaluate_results(perfect_results(), truth, has_masks=True)
    for kind in ("bbox", "segm"):
        assert found[kind]["AP"] == found[kind]["AP50"] == found[kind]["AP75"] == pytest.approx(1.0)


def test_metrics_of_sizes_that_do_not_occur_are_none(truth):
    found = metrics.evaluate_results(perfect_results(), truth, has_masks=True)
    assert found["bbox"]["APl"] is None and found["bbox"]["APs"] == pytest.approx(1.0)
    json.dumps(found, allow_nan=False)


def test_a_wrong_class_does_not_count(truth):
    results = perfect_results()
    for result in results:
        result["category_id"] = 10 - result["category_id"]
    assert metrics.evaluate_results(results, truth, has_masks=True)["bbox"]["AP"] == 0


def test_full_masks_in_place_of_rings_cost_mask_ap_only(truth):
    results = perfect_results()
    for result in results:
        x, y, w, h = (int(v) for v in result["bbox"])
        result["segmentation"] = evaluation.encode_mask(np.ones((h, w), bool), x, y, HEIGHT, WIDTH)
    found = metrics.evaluate_results(results, truth, has_masks=True)
    assert found["bbox"]["AP"] == pytest.approx(1.0) and found["segm"]["AP75"] == pytest.approx(0.5)


def test_no_detections_score_zero(truth):
    found = metrics.evaluate_results([], truth, has_masks=True)
    assert found["bbox"]["AP"] == found["segm"]["AP"] == 0


def test_ground_truth_without_masks_is_evaluated_by_its_boxes(truth):
    change_truth(truth, lambda content: [annotation.pop("segmentation") for annotation in content["annotations"]])
    assert list(metrics.evaluate_results(perfect_results(), truth, has_masks=True)) == ["bbox"]


@pytest.mark.parametrize("change, named", [
    (lambda content: content.pop("annotations"), "annotations"),
    (lambda content: content.update(images=[1]), "TypeError"),
    (lambda content: content["categories"][0].pop("name"), "name"),
])
def test_a_file_that_is_not_cocos_is_named_in_one_line(truth, change, named):
    change_truth(truth, change)
    with pytest.raises(common.UserError) as e:
        metrics.evaluate_results(perfect_results(), truth, has_masks=True)
    assert truth in str(e.value) and named in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("broken", [
    dict(bbox=[1, 2, 3]), dict(bbox=[1, 2, 0, 3]), dict(category_id=99), dict(image_id=99), dict(image_id=[]),
    dict(segmentation=[[1, 2]]), dict(segmentation={"size": [HEIGHT, WIDTH], "counts": "o"}), dict(iscrowd="yes"),
    dict(segmentation={"size": [1, 1], "counts": [1]}), dict(segmentation={"size": [HEIGHT, WIDTH], "counts": [-1, 1]}),
    dict(segmentation=[[1, 2, float("nan"), 5, 9, 9]]), dict(area="large"),
])
def test_a_broken_annotation_is_left_out_and_said(truth, broken, capsys):
    change_truth(truth, lambda content: content["annotations"].append({**content["annotations"][0], **broken}))
    found = metrics.evaluate_results(perfect_results(), truth, has_masks=True)
    assert found["segm"]["AP"] == pytest.approx(1.0)
    assert "1 broken annotations of 5" in capsys.readouterr().err


def test_a_table_has_percent_and_a_dash_for_what_does_not_occur():
    table = metrics.format_metrics({"bbox": dict.fromkeys(metrics.METRICS, 0.4137) | {"APl": None}},
                                   {"bbox": {"circle": 0.25, "square": None}})
    lines = table.splitlines()
    assert "41.4" in lines[2] and lines[2].split()[-1] == "-"
    assert any(line.split() == ["circle", "25.0"] for line in lines)
