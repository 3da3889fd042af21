"""From data sets to results and metrics, with a stand-in for the network."""
import contextlib
import dataclasses
import json

import common

import cv2
import numpy as np
import pytest

import eval as evaluation
from coco_truth import load, make_truth
from fake_network import fake_predict
from inference.predictor import NetworkOutput
from inference.results import ResultsFile


def make_dataset(folder, sizes):
    """A data set of grey images, each lighter than the one before, without objects."""
    content = {"images": [{"id": 100 + i, "height": height, "width": width} for i, (height, width) in enumerate(sizes)],
               "annotations": [], "categories": make_truth()["categories"]}
    return with_images(load(folder, content))


def with_images(dataset):
    """Returns: the data set, with grey pictures in the files of its images"""
    for i, record in enumerate(dataset.records):
        cv2.imwrite(record.file_name, np.full((*record.size, 3), i, np.uint8))
    return dataset


def predict_all(predict, dataset, small_config):
    """Returns: list of the COCO results of a data set"""
    with contextlib.closing(ResultsFile()) as results:
        evaluation.predict_dataset(predict, dataset, small_config, results)
        return [result for found in results for result in found]


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_data_sets_results_come_in_its_order_with_any_batch_size(tmp_path, small_config, batch):
    small_config.TEST.IMS_PER_BATCH = batch
    dataset = make_dataset(tmp_path, [(60, 80), (80, 60), (60, 80), (61, 80), (80, 60)])

    def predict(images, image_sizes):
        # a box as tall as the image's grey level and one
        heights = images[:, 0, 0, 0].astype(np.float32) + 1
        n = len(images)
        boxes = np.stack([np.zeros(n), np.zeros(n), np.full(n, 9), heights * 1.5], axis=1).astype(np.float32)
        return NetworkOutput(boxes, np.ones(n, np.float32), np.ones(n, int), np.arange(n))

    results = predict_all(predict, dataset, small_config)
    assert [r["image_id"] for r in results] == [100, 101, 102, 103, 104]
    assert [round(r["bbox"][3]) for r in results] == [1, 2, 3, 4, 5]


def test_what_a_data_set_has_no_class_for_is_left_out_and_others_have_its_ids(tmp_path, small_config):
    dataset = make_dataset(tmp_path, [(60, 80)])
    (first, *_), (first_id, *_) = dataset.class_names, dataset.category_ids
    small_config.DATA.CLASS_NAMES, small_config.DATA.CATEGORY_IDS = ("N/A", first), (90, 91)

    def predict(images, image_sizes):
        boxes = np.float32([[0, 0, 9, 9], [0, 0, 8, 8]])
        return NetworkOutput(boxes, np.float32([0.9, 0.8]), np.int32([1, 2]), np.zeros(2, np.int32))

    (result,) = predict_all(predict, dataset, small_config)
    assert (result["category_id"], result["score"]) == (first_id, 0.8)


def test_ranks_share_all_batches_out_in_rounds_of_the_same_number(monkeypatch):
    batches = [[2 * i, 2 * i + 1] for i in range(37)]
    monkeypatch.setattr(evaluation.distributed, "size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(evaluation.distributed, "rank", lambda rank=rank: rank)
        shares.append(evaluation._rounds(batches))
    assert [[len(images) for images in rounds] for rounds in shares] == [[16, 16, 6], [16, 16, 4]]
    assert sorted(i for rounds in shares for images in rounds for i in images) == list(range(74))


def test_an_unknown_metric_is_refused_before_the_work(tmp_path, small_config):
    dataset = dataclasses.replace(make_dataset(tmp_path, [(20, 20)]), metric="cocoo")
    with pytest.raises(common.UserError, match="data set gt: there is no metric 'cocoo'; .* coco"):
        evaluation.evaluate_dataset(None, dataset, small_config)


def test_a_data_set_without_ground_truth_has_results_and_no_metrics(tmp_path, small_config):
    dataset = dataclasses.replace(make_dataset(tmp_path, [(20, 20)] * 2), has_ground_truth=False)
    texts, out = [], tmp_path / "out.json"
    predict = fake_predict([(0, 0, 9, 9)])
    page = tmp_path / "out_report"
    assert evaluation.evaluate_dataset(predict, dataset, small_config, str(out), texts.append, page=str(page)) == {}
    assert len(json.loads(out.read_text())) == 2 and not (tmp_path / "out_curves.png").exists() and not page.exists()
    assert "it has no ground truth" in texts[0]


def test_an_image_that_cannot_be_read_is_named_and_left_out(tmp_path, small_config, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    (tmp_path / "103.png").write_bytes(b"no image")
    results = predict_all(fake_predict([(0, 0, 9, 9)]), dataset, small_config)
    assert len(results) == 10
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "103.png" in lines[0]


def test_many_images_that_cannot_be_read_end_the_evaluation(tmp_path, small_config):
    dataset = make_dataset(tmp_path, [(20, 20)] * 4)
    (tmp_path / "103.png").write_bytes(b"no image")
    with pytest.raises(common.UserError, match="103.png"):
        predict_all(fake_predict([]), dataset, small_config)


def test_an_image_of_another_size_than_its_annotation_is_not_evaluated(tmp_path, small_config, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    dataset.records = list(dataset.records)
    dataset.records[0].width = 21
    assert len(predict_all(fake_predict([(0, 0, 9, 9)]), dataset, small_config)) == 10
    assert "20 pixels wide and 20 high, but annotated as 21 wide" in capsys.readouterr().err


def test_evaluating_a_data_set_writes_its_results_and_reports_each_class(tmp_path, small_config):
    dataset = with_images(load(tmp_path, make_truth()))
    texts = []
    out = tmp_path / "out.json"
    predict = fake_predict([(30, 15, 90, 75)])
    metrics = evaluation.evaluate_dataset(predict, dataset, small_config, str(out), texts.append)
    results = json.loads(out.read_text())
    assert [r["image_id"] for r in results] == [1, 2]
    np.testing.assert_allclose(results[0]["bbox"], [20, 10, 40, 40], atol=1e-3)
    assert set(metrics) == {"bbox", "segm"} and 0 < metrics["bbox"]["AP"] < 1
    assert "circle" in texts[0] and "square" in texts[0]
    assert cv2.imread(str(tmp_path / "out_curves.png")).std() > 10


def with_keypoints(content, places):
    """Returns: the content of a COCO file, with two keypoints of each object, at some places in its box."""
    for category in content["categories"]:
        category["keypoints"] = ["head", "tail"]
    for annotation in content["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["keypoints"] = [number for i, j in places for number in (x + i * w / 56, y + j * h / 56, 2)]
    return content


@pytest.fixture
def keypoint_config(small_config):
    small_config.MODE_KEYPOINT, small_config.DATA.KEYPOINT_NAMES = True, ("head", "tail")
    return small_config


def test_keypoints_are_evaluated_where_model_and_data_set_have_them(tmp_path, keypoint_config):
    places = [(10, 20), (50, 30)]
    dataset, texts = with_images(load(tmp_path, with_keypoints(make_truth(), places))), []
    predict = fake_predict([(30, 15, 90, 75)], keypoints=places)
    found = [evaluation.evaluate_dataset(predict, dataset, keypoint_config, str(tmp_path / "out.json"), texts.append)]
    keypoint_config.TEST.OKS_SIGMAS = (1e-4, 1e-4)
    found.append(evaluation.evaluate_dataset(predict, dataset, keypoint_config, None, texts.append))
    assert list(found[0]) == list(found[1]) == ["bbox", "segm", "keypoints"]
    assert found[0]["keypoints"]["AP"] > 0.1 > found[1]["keypoints"]["AP"] and "its annotations" not in texts[0]
    assert cv2.imread(str(tmp_path / "out_curves.png")).shape[1] > 1200
    keypoint_config.MODE_KEYPOINT = False
    predict = fake_predict([(30, 15, 90, 75)])
    assert list(evaluation.evaluate_dataset(predict, dataset, keypoint_config, None, texts.append)) == ["bbox", "segm"]


def test_what_a_data_set_lacks_is_said_in_a_line(tmp_path, keypoint_config):
    content, texts = make_truth(), []
    predict = fake_predict([(30, 15, 90, 75)], keypoints=[(1, 2), (3, 4)])
    evaluation.evaluate_dataset(predict, with_images(load(tmp_path, content)), keypoint_config, None, texts.append)
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    evaluation.evaluate_dataset(predict, with_images(load(tmp_path, content)), keypoint_config, None, texts.append)
    assert "s; its annotations have no keypoints, so only boxes and masks are evaluated\n" in texts[0]
    assert "s; its annotations have no masks and no keypoints, so only boxes are evaluated\n" in texts[1]


@pytest.mark.parametrize("why", ["a file is in its place", "nobody thought of it"])
def test_an_evaluation_stands_when_its_report_fails(tmp_path, small_config, monkeypatch, capsys, why):
    dataset = with_images(load(tmp_path, make_truth()))
    page, texts = tmp_path / "out_report", []
    if why == "nobody thought of it":
        monkeypatch.setattr(evaluation, "write_report", lambda *_: int("no number"))
    else:
        page.write_text("")
    metrics = evaluation.evaluate_dataset(fake_predict([(30, 15, 90, 75)]), dataset, small_config,
                                          str(tmp_path / "out.json"), texts.append, page=str(page))
    lines = capsys.readouterr().err.strip().splitlines()
    assert metrics["bbox"]["AP"] > 0 and len(lines) == 1 and "no report" in lines[0] and str(page) in lines[0]
