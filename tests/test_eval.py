"""From data sets to results and metrics, with a stand-in for the network."""
import contextlib
import json
import types

import common
import cv2
import numpy as np
import pytest

import eval as evaluation
from coco_truth import HEIGHT, WIDTH, write_truth
from fake_network import fake_predict
from inference.results import ResultsFile


def make_dataset(folder, sizes):
    records = []
    for i, (height, width) in enumerate(sizes):
        path = str(folder / f"{i}.png")
        cv2.imwrite(path, np.full((height, width, 3), i, np.uint8))
        records.append(types.SimpleNamespace(file_name=path, image_id=100 + i, height=height, width=width))
    return types.SimpleNamespace(name="tiny", class_names=("circle", "square"), category_ids=(3, 7), records=records,
                                 annotation_file=str(folder / "gt.json"))


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
        return boxes, np.ones(n, np.float32), np.ones(n, int), np.arange(n), None

    results = predict_all(predict, dataset, small_config)
    assert [r["image_id"] for r in results] == [100, 101, 102, 103, 104]
    assert [round(r["bbox"][3]) for r in results] == [1, 2, 3, 4, 5]


def test_an_image_that_cannot_be_read_is_named_and_left_out(tmp_path, small_config, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    (tmp_path / "3.png").write_bytes(b"no image")
    results = predict_all(fake_predict([(0, 0, 9, 9)]), dataset, small_config)
    assert len(results) == 10
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "3.png" in lines[0]


def test_many_images_that_cannot_be_read_end_the_evaluation(tmp_path, small_config):
    dataset = make_dataset(tmp_path, [(20, 20)] * 4)
    (tmp_path / "3.png").write_bytes(b"no image")
    with pytest.raises(common.UserError, match="3.png"):
        predict_all(fake_predict([]), dataset, small_config)


def test_an_image_of_another_size_than_its_annotation_is_not_evaluated(tmp_path, small_config, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    dataset.records[0].width = 21
    assert len(predict_all(fake_predict([(0, 0, 9, 9)]), dataset, small_config)) == 10
    assert "20 pixels wide and 20 high, but annotated as 21 wide" in capsys.readouterr().err


def test_evaluating_a_data_set_writes_its_results_and_reports_each_class(tmp_path, small_config):
    dataset = make_dataset(tmp_path, [(HEIGHT, WIDTH)] * 2)
    for i, record in enumerate(dataset.records, 1):
        record.image_id = i
    write_truth(tmp_path / "gt.json")
    texts = []
    out = tmp_path / "out.json"
    metrics = evaluation.evaluate_dataset(fake_predict([(30, 15, 90, 75)]), dataset, small_config, str(out), texts.append)
    results = json.loads(out.read_text())
    assert [r["image_id"] for r in results] == [1, 2]
    np.testing.assert_allclose(results[0]["bbox"], [20, 10, 40, 40], atol=1e-3)
    assert set(metrics) == {"bbox", "segm"} and 0 < metrics["bbox"]["AP"] < 1
    assert "circle" in texts[0] and "square" in texts[0]
    assert cv2.imread(str(tmp_path / "out_curves.png")).std() > 10
