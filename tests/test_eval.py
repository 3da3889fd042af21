"""Detections, masks and COCO metrics, with a stand-in for the network."""
import contextlib
import json
import threading
import types

import common
import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
from hypothesis import given, settings, strategies as st

import eval as evaluation
from coco_truth import HEIGHT, WIDTH, write_truth
from config import config
from results import ResultsFile


@pytest.fixture
def cfg():
    cfg = config.clone()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("circle", "square"), (3, 7)
    cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE = 90, 150
    return cfg


def fake_predict(boxes, score=0.9, label=1, mask=True):
    """A network that finds the same boxes in every image."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)

    def predict(images, image_sizes):
        batch, count = len(images), len(boxes)
        return (np.tile(boxes, (batch, 1)), np.full(batch * count, score, np.float32), np.full(batch * count, label),
                np.repeat(np.arange(batch), count), np.ones((batch * count, 28, 28), np.float32) if mask else None)
    return predict


# pasting ------------------------------------------------------------------------------------------------------------
def paste_pixel_by_pixel(probs, box, height, width):
    """The definition, with one loop per pixel and grid cell."""
    x1, y1, x2, y2 = box
    values = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            u = (x + 0.5 - x1) / (x2 - x1) * probs.shape[1] - 0.5
            v = (y + 0.5 - y1) / (y2 - y1) * probs.shape[0] - 0.5
            for j in (int(np.floor(v)), int(np.floor(v)) + 1):
                for i in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= j < probs.shape[0] and 0 <= i < probs.shape[1]:
                        values[y, x] += probs[j, i] * (1 - abs(v - j)) * (1 - abs(u - i))
    return values


def paste_whole(probs, box, height, width):
    crop, x, y = evaluation.paste_mask(probs, box, height, width)
    whole = np.zeros((height, width), bool)
    whole[y:y + crop.shape[0], x:x + crop.shape[1]] = crop
    return whole


@pytest.mark.parametrize("box", [(3.2, 4.7, 20.9, 15.1), (-6.3, -4.4, 12.6, 9.9), (10.1, 8.2, 33.3, 31.7),
                                 (5.1, 5.2, 6.3, 19.4), (-3.0, -3.0, 27.0, 24.0)])
def test_a_pasted_mask_equals_the_definition_pixel_by_pixel(box):
    probs = cv2.GaussianBlur(np.random.RandomState(0).rand(28, 28), (0, 0), 1.5).astype(np.float32)
    probs = (probs - probs.min()) / np.ptp(probs)
    values = paste_pixel_by_pixel(probs, box, 21, 24)
    assert np.abs(values - 0.5).min() > 1e-5, "the example has a tie, where rounding decides"
    np.testing.assert_array_equal(paste_whole(probs, box, 21, 24), values >= 0.5)


def test_a_full_mask_covers_the_pixels_whose_centres_are_inside_the_box_but_for_its_rounded_corners():
    mask = paste_whole(np.ones((28, 28), np.float32), (2.4, 3.6, 52.4, 43.6), HEIGHT, WIDTH)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[4:44, 2:52] = True
    assert not mask[~inside].any()
    missing = np.argwhere(inside & ~mask)
    corners = np.array([(4, 2), (4, 51), (43, 2), (43, 51)])
    assert all(np.abs(corners - pixel).sum(axis=1).min() <= 1 for pixel in missing)


def test_a_grid_of_one_cell_a_pixel_is_pasted_unchanged():
    probs = np.random.RandomState(1).rand(10, 10).astype(np.float32)
    np.testing.assert_array_equal(paste_whole(probs, (5, 7, 15, 17), 30, 30)[7:17, 5:15], probs >= 0.5)


@pytest.mark.parametrize("box", [(100, 5, 120, 20), (-30, 5, -10, 20), (5, 5, 5, 20), (5.6, 5.6, 6.4, 6.4),
                                 (5, 70, 20, 90)])
def test_a_box_without_a_pixel_centre_in_the_image_has_an_empty_mask(box):
    crop, x, y = evaluation.paste_mask(np.ones((28, 28), np.float32), box, HEIGHT, WIDTH)
    assert not crop.any()
    rle = evaluation.encode_mask(np.ones((28, 28), np.float32), box, HEIGHT, WIDTH)
    assert rle["size"] == [HEIGHT, WIDTH] and mask_util.area(rle) == 0


# run-length encoding ------------------------------------------------------------------------------------------------
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_encoding_equals_encoding_the_pasted_image(draw):
    height, width = draw.draw(st.integers(1, 12)), draw.draw(st.integers(1, 12))
    corner = st.floats(-5, 15, width=32)
    x1, y1 = draw.draw(corner), draw.draw(corner)
    box = (x1, y1, x1 + draw.draw(st.floats(0, 14, width=32)), y1 + draw.draw(st.floats(0, 14, width=32)))
    probs = np.array(draw.draw(st.lists(st.sampled_from([0, 0.2, 0.5, 0.7, 1]), min_size=16, max_size=16)), np.float32)
    whole = paste_whole(probs.reshape(4, 4), box, height, width)
    rle = evaluation.encode_mask(probs.reshape(4, 4), box, height, width)
    assert rle["counts"] == mask_util.encode(np.asfortranarray(whole, np.uint8))["counts"].decode()


def test_a_mask_that_fills_its_columns_is_one_run():
    probs = np.full((4, 4), 1, np.float32)
    rle = evaluation.encode_mask(probs, (-20, -20, 50, 40), 10, 8)
    assert rle["counts"] == mask_util.encode(np.ones((10, 8), np.uint8, order="F"))["counts"].decode()


@pytest.mark.parametrize("height, width", [(480, 640), (300, 400)])
def test_masks_of_all_sizes_equal_bilinear_pasting(height, width):
    """Against the products of interpolation weights for all pixels; only those at 0.5 but for rounding may differ."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        probs = cv2.GaussianBlur(rng.random((28, 28)), (0, 0), 2)
        probs = ((probs - probs.min()) / np.ptp(probs)).astype(np.float32)
        size = np.exp(rng.uniform(0, np.log(700), 2))
        corner = rng.uniform(-0.3, 1, 2) * (width, height)
        box = np.float32([*corner, *(corner + size)])
        at = [(np.arange(n) + 0.5 - low) * 28 / (high - low) - 0.5
              for n, low, high in ((height, box[1], box[3]), (width, box[0], box[2]))]
        weights = [np.maximum(1 - np.abs(axis[:, None] - np.arange(28)), 0) for axis in at]
        values = weights[0] @ probs.astype(float) @ weights[1].T
        inside = np.outer(*[np.abs(axis - 13.5) <= 14 for axis in at])
        expected, found = (values >= 0.5) & inside, paste_whole(probs, box, height, width)
        np.testing.assert_array_equal(found[np.abs(values - 0.5) > 1e-4], expected[np.abs(values - 0.5) > 1e-4])
        union = (found | expected).sum()
        assert union == 0 or (found & expected).sum() >= 0.99 * union


# detection ----------------------------------------------------------------------------------------------------------
def test_boxes_come_back_to_the_pixels_of_images_of_different_sizes(cfg):
    seen = []

    def predict(images, image_sizes):
        seen.append(image_sizes.tolist())
        # the left top quarter of each image
        boxes = np.array([(0, 0, w / 2, h / 2) for h, w in image_sizes], np.float32)
        return boxes, np.ones(2, np.float32), np.ones(2, int), np.arange(2), None

    images = [np.zeros((60, 80, 3), np.uint8), np.zeros((101, 45, 3), np.uint8)]
    first, second = evaluation.detect_batch(predict, images, cfg)
    assert seen == [[[90, 120], [150, 67]]]
    np.testing.assert_allclose(first.boxes, [[0, 0, 40, 30]], atol=1e-4)
    np.testing.assert_allclose(second.boxes, [[0, 0, 22.5, 50.5]], atol=1e-4)


def test_boxes_are_clipped_to_the_image_and_dropped_when_nothing_is_left(cfg):
    predict = fake_predict([(-10, 30, 60, 500), (200, 10, 300, 40), (np.nan, 1, 5, 5), (30, 30, 60, 45)])
    found, = evaluation.detect_batch(predict, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], cfg)
    np.testing.assert_allclose(found.boxes, [[0, 20, 40, 60], [20, 20, 40, 30]], atol=1e-4)
    assert len(found.scores) == len(found.labels) == len(found.mask_probs) == 2


def test_masks_are_of_the_size_of_the_image(cfg):
    found, = evaluation.detect_batch(fake_predict([(30, 30, 60, 60)]), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], cfg)
    assert found.masks.shape == (1, HEIGHT, WIDTH) and found.masks.dtype == bool
    assert found.masks[0, 20:40, 20:40].mean() > 0.98 and found.masks.sum() <= 400


def test_an_image_without_detections_has_empty_arrays(cfg):
    found, = evaluation.detect_batch(fake_predict([]), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], cfg)
    assert found.boxes.shape == (0, 4) and found.masks.shape == (0, HEIGHT, WIDTH)
    assert evaluation.detections_to_coco(1, found, (3, 7)) == []


def test_a_model_without_masks_has_none(cfg):
    found, = evaluation.detect_batch(fake_predict([(1, 2, 9, 9)], mask=False), [np.zeros((9, 9, 3), np.uint8)], cfg)
    assert found.masks is None
    assert "segmentation" not in evaluation.detections_to_coco(1, found, (3, 7))[0]


def test_coco_results_have_the_data_sets_ids_and_width_and_height():
    boxes, scores, labels = np.array([[1, 2, 11.12345, 22]], np.float32), np.array([0.75], np.float32), np.array([2])
    found = evaluation.Detections(boxes, scores, labels, HEIGHT, WIDTH)
    assert evaluation.detections_to_coco("a", found, (3, 7), ("circle", "square")) == [
        {"image_id": "a", "category_id": 7, "category": "square", "bbox": [1.0, 2.0, 10.123, 20.0], "score": 0.75}]


# data sets ----------------------------------------------------------------------------------------------------------
def make_dataset(folder, sizes):
    records = []
    for i, (height, width) in enumerate(sizes):
        path = str(folder / f"{i}.png")
        cv2.imwrite(path, np.full((height, width, 3), i, np.uint8))
        records.append(types.SimpleNamespace(file_name=path, image_id=100 + i, height=height, width=width))
    return types.SimpleNamespace(name="tiny", class_names=("circle", "square"), category_ids=(3, 7), records=records,
                                 annotation_file=str(folder / "gt.json"))


def predict_all(predict, dataset, cfg):
    """Returns: list of the COCO results of a data set"""
    with contextlib.closing(ResultsFile()) as results:
        evaluation.predict_dataset(predict, dataset, cfg, results)
        return [result for found in results for result in found]


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_data_sets_results_come_in_its_order_with_any_batch_size(tmp_path, cfg, batch):
    cfg.TEST.IMS_PER_BATCH = batch
    dataset = make_dataset(tmp_path, [(60, 80), (80, 60), (60, 80), (61, 80), (80, 60)])

    def predict(images, image_sizes):
        # a box as tall as the image's grey level and one
        heights = images[:, 0, 0, 0].astype(np.float32) + 1
        n = len(images)
        boxes = np.stack([np.zeros(n), np.zeros(n), np.full(n, 9), heights * 1.5], axis=1).astype(np.float32)
        return boxes, np.ones(n, np.float32), np.ones(n, int), np.arange(n), None

    results = predict_all(predict, dataset, cfg)
    assert [r["image_id"] for r in results] == [100, 101, 102, 103, 104]
    assert [round(r["bbox"][3]) for r in results] == [1, 2, 3, 4, 5]


def test_an_image_that_cannot_be_read_is_named_and_left_out(tmp_path, cfg, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    (tmp_path / "3.png").write_bytes(b"no image")
    results = predict_all(fake_predict([(0, 0, 9, 9)]), dataset, cfg)
    assert len(results) == 10
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "3.png" in lines[0]


def test_many_images_that_cannot_be_read_end_the_evaluation(tmp_path, cfg):
    dataset = make_dataset(tmp_path, [(20, 20)] * 4)
    (tmp_path / "3.png").write_bytes(b"no image")
    with pytest.raises(common.UserError, match="3.png"):
        predict_all(fake_predict([]), dataset, cfg)


def test_an_image_of_another_size_than_its_annotation_is_not_evaluated(tmp_path, cfg, capsys):
    dataset = make_dataset(tmp_path, [(20, 20)] * 11)
    dataset.records[0].width = 21
    assert len(predict_all(fake_predict([(0, 0, 9, 9)]), dataset, cfg)) == 10
    assert "20x20" in capsys.readouterr().err


# streams ------------------------------------------------------------------------------------------------------------
def test_a_stream_keeps_its_order_and_names_what_cannot_be_loaded(cfg):
    cfg.TEST.IMS_PER_BATCH = 2

    def load(item):
        if item == 3:
            raise common.UserError("no image 3")
        return np.full((20 + item, 20, 3), item, np.uint8)

    stream = evaluation.detect_stream(fake_predict([(0, 0, 9, 9)]), range(7), cfg, load,
                                      lambda item, image, found: (image.shape[0], len(found)))
    found = dict(stream)
    assert list(found) == list(range(7)) and str(found.pop(3)) == "no image 3"
    assert found == {item: (20 + item, 1) for item in (0, 1, 2, 4, 5, 6)}


def test_the_network_goes_on_while_results_are_finished(cfg):
    later = threading.Event()

    def predict(images, image_sizes):
        if images[0, 0, 0, 0] == 1:
            later.set()
        return fake_predict([])(images, image_sizes)

    def finish(item, image, found):
        return later.wait(60) if item == 0 else True

    stream = evaluation.detect_stream(predict, range(2), cfg, lambda item: np.full((9, 9, 3), item, np.uint8), finish)
    assert [result for _, result in stream] == [True, True]


def test_images_are_read_while_the_network_works(cfg):
    read = threading.Event()

    def load(item):
        if item == 1:
            read.set()
        return np.full((9, 9, 3), item, np.uint8)

    def predict(images, image_sizes):
        assert read.wait(60)
        return fake_predict([])(images, image_sizes)

    assert len(list(evaluation.detect_stream(predict, range(2), cfg, load, lambda *_: None))) == 2


def test_no_more_images_are_held_than_are_under_way(cfg):
    alive, most, lock = 0, 0, threading.Lock()

    class Image(np.ndarray):
        def __del__(self):
            nonlocal alive
            if self.base is None:
                return
            with lock:
                alive -= 1

    def load(item):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return np.zeros((9, 9, 3), np.uint8).view(Image)

    for _ in evaluation.detect_stream(fake_predict([]), range(200), cfg, load, lambda *_: None):
        pass
    assert most <= 30


def test_a_network_that_fails_ends_the_stream(cfg):
    def predict(images, image_sizes):
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        list(evaluation.detect_stream(predict, range(9), cfg, lambda _: np.zeros((9, 9, 3), np.uint8), lambda *_: None))


def test_evaluating_a_data_set_writes_its_results_and_reports_each_class(tmp_path, cfg):
    dataset = make_dataset(tmp_path, [(HEIGHT, WIDTH)] * 2)
    for i, record in enumerate(dataset.records, 1):
        record.image_id = i
    write_truth(tmp_path / "gt.json")
    texts = []
    out = tmp_path / "out.json"
    metrics = evaluation.evaluate_dataset(fake_predict([(30, 15, 90, 75)]), dataset, cfg, str(out), texts.append)
    results = json.loads(out.read_text())
    assert [r["image_id"] for r in results] == [1, 2]
    np.testing.assert_allclose(results[0]["bbox"], [20, 10, 40, 40], atol=1e-3)
    assert set(metrics) == {"bbox", "segm"} and 0 < metrics["bbox"]["AP"] < 1
    assert "circle" in texts[0] and "square" in texts[0]
    assert cv2.imread(str(tmp_path / "out_curves.png")).std() > 10


def test_a_json_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.json"
    evaluation.write_json(str(path), [1])
    with pytest.raises(TypeError):
        evaluation.write_json(str(path), [1, object()])
    assert json.loads(path.read_text()) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_json_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(common.UserError, match="nowhere"):
        evaluation.write_json(str(tmp_path / "nowhere" / "out.json"), [])
