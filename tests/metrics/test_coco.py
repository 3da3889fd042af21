"""COCO's metrics of detections, beside pycocotools'."""
import collections
import json

import numpy as np
import pycocotools.mask as mask_util
import pytest

from benchmarks import metrics as benchmark
from coco_truth import HEIGHT, WIDTH, load, make_truth, perfect_results
from metrics import coco as metrics


def evaluate(results, dataset, kinds=("bbox", "segm")):
    """Returns: dict of kinds to dict of metrics"""
    return {kind: comparison.metrics for kind, comparison in metrics.compare(results, dataset, kinds).items()}


@pytest.fixture
def truth(tmp_path):
    return load(tmp_path, make_truth())


def test_perfect_detections_score_one(truth):
    found = evaluate(perfect_results(), truth)
    for kind in ("bbox", "segm"):
        assert found[kind]["AP"] == found[kind]["AP50"] == found[kind]["AP75"] == pytest.approx(1.0)


def test_metrics_of_sizes_that_do_not_occur_are_none(truth):
    found = evaluate(perfect_results(), truth)
    assert found["bbox"]["APl"] is None and found["bbox"]["APs"] == pytest.approx(1.0)
    json.dumps(found, allow_nan=False)


def test_a_wrong_class_does_not_count(truth):
    results = perfect_results()
    for result in results:
        result["category_id"] = 10 - result["category_id"]
    assert evaluate(results, truth)["bbox"]["AP"] == 0


def test_full_masks_in_place_of_rings_cost_mask_ap_only(truth):
    results = perfect_results()
    for result in results:
        x, y, w, h = (int(v) for v in result["bbox"])
        whole = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
        whole[y:y + h, x:x + w] = 1
        result["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": mask_util.encode(whole)["counts"].decode()}
    found = evaluate(results, truth)
    assert found["bbox"]["AP"] == pytest.approx(1.0) and found["segm"]["AP75"] == pytest.approx(0.5)


def test_no_detections_score_zero(truth):
    found = evaluate([], truth)
    assert found["bbox"]["AP"] == found["segm"]["AP"] == 0


def test_ground_truth_without_masks_is_evaluated_by_its_boxes(tmp_path):
    content = make_truth()
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    assert list(evaluate(perfect_results(), load(tmp_path, content))) == ["bbox"]


def test_a_broken_annotation_counts_neither_among_boxes_nor_among_masks(tmp_path):
    content, results = random_sets(6)
    expected = evaluate(results, load(tmp_path, content))
    content["annotations"].append({**content["annotations"][0], "id": 999, "segmentation": [[1, 2]]})
    assert evaluate(results, load(tmp_path, content)) == expected


# tables -------------------------------------------------------------------------------------------------------------
def comparison(metric=0.4137, precision=(0.25, -1), recall=(0.5, -1)):
    """A Comparison with one value in all metrics but APl, one precision of each of some classes, and one recall."""
    names = ["circle", "square", *(f"class {k}" for k in range(2, len(precision)))]
    return metrics.Comparison(dict.fromkeys(metrics.METRICS, metric) | {"APl": None}, names[:len(precision)],
                              np.tile(precision, (10, 101, 1)), np.tile(recall, (10, 1)))


def test_a_table_has_percent_and_a_dash_for_what_does_not_occur():
    lines = metrics.format_metrics({"bbox": comparison()}).splitlines()
    assert lines[0].split() == ["percent", "AP", "AP50", "AP75", "APs", "APm", "APl"]
    assert lines[2].split() == ["bbox", *["41.4"] * 5, "-"]


def test_average_recall_has_a_table_of_its_own():
    lines = metrics.format_metrics({"bbox": comparison(), "segm": comparison(0.1)}).splitlines()
    at, = (i for i, line in enumerate(lines) if "AR100" in line)
    assert lines[at].split() == ["percent", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    assert lines[at + 2].split() == ["bbox", *["41.4"] * 6] and lines[at + 3].split() == ["segm", *["10.0"] * 6]


def test_each_class_has_a_row_with_precision_and_recall_of_boxes_and_masks():
    table = metrics.format_metrics({"bbox": comparison(), "segm": comparison(precision=(0.125, 0), recall=(1, 0.3))})
    rows = [line.split() for line in table.splitlines()]
    assert ["class", *"bbox AP bbox AR segm AP segm AR".split()] in rows
    assert ["circle", "25.0", "50.0", "12.5", "100.0"] in rows
    assert ["square", "-", "-", "0.0", "30.0"] in rows


def test_tables_of_80_classes_fit_a_terminal():
    many = comparison(1.0, np.linspace(0, 1, 80), np.linspace(1, 0, 80))
    many.class_names[7] = "baseball glove"
    lines = metrics.format_metrics({"bbox": many, "segm": many}).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith(("circle", "square", "class ", "baseball glove")) for line in lines) == 80 + 1


# pycocotools --------------------------------------------------------------------------------------------------------
SIZE = 110
# areas on both sides of COCO's limits 32^2 and 96^2, and on them
EDGES = (8, 31, 32, 33, 95, 96, 97)


def random_box(rng):
    size = rng.choice([*EDGES, rng.integers(1, SIZE)], 2)
    return [float(v) for v in (*rng.integers(0, SIZE + 1 - size), *size)]


def random_sets(seed, num_images=12, num_classes=4, num_objects=5, num_detections=20, score_steps=8):
    """
    Few places and scores, so that ties are many; image ids out of order, with gaps and a 0; a class without objects;
    crowds; images without objects or without detections; areas that belie their boxes; masks that are empty.

    Returns:
        dict, the content of a COCO file, and a list of COCO results, both with masks
    """
    rng = np.random.default_rng(seed)

    def annotation(image_id, category_id, box, **more):
        whole = np.zeros((SIZE, SIZE), np.uint8, order="F")
        x, y, w, h = map(int, box)
        # all of the box, its upper half, or nothing
        whole[y:y + int(h * (1, 0.5, 1, 0)[x % 4]), x:x + w] = 1
        mask = mask_util.encode(whole)
        return dict(image_id=image_id, category_id=category_id, bbox=box, **more,
                    segmentation={"size": mask["size"], "counts": mask["counts"].decode()})

    image_ids, category_ids = (rng.permutation(num_images) * 3).tolist(), list(range(5, 5 + num_classes))
    objects, results = [], []
    for image_id in image_ids:
        mine = [annotation(image_id, int(rng.choice(category_ids[:-1])), random_box(rng),
                           area=float(rng.choice([0, 1024, 1024.1, 9216, 9216.1])), iscrowd=int(rng.random() < 0.2))
                for _ in range(rng.integers(num_objects + 1))]
        objects += mine
        for _ in range(rng.integers(num_detections + 1)):
            like = mine[rng.integers(len(mine))] if mine and rng.random() < 0.7 else None
            box = random_box(rng)
            if like:
                x, y, w, h = like["bbox"]
                box = [x, y, max(w - rng.integers(4), 1.0), max(h - rng.integers(4), 1.0)]
            results.append(annotation(image_id, like["category_id"] if like else int(rng.choice(category_ids)), box,
                                      score=int(rng.integers(score_steps)) / score_steps))
    return {"images": [dict(id=i, height=SIZE, width=SIZE) for i in image_ids],
            "categories": [dict(id=i, name=f"class {i}") for i in category_ids],
            "annotations": [{**each, "id": i} for i, each in enumerate(objects, 1)]}, results


def assert_equal_to_pycocotools(dataset, results):
    found = metrics.compare(results, dataset, kinds=("bbox", "segm"))
    expected = benchmark.run_pycocotools(results, dataset.annotation_file, kinds=("bbox", "segm"))
    assert list(found) == list(expected)
    for kind in found:
        for ours, theirs in zip(benchmark.numbers_of_ours(found[kind]),
                                benchmark.numbers_of_pycocotools(expected[kind])):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    return expected


@pytest.mark.parametrize("changed", [
    {}, dict(num_images=2, num_classes=2, num_detections=400), dict(score_steps=1), dict(score_steps=10000),
    dict(num_objects=0), dict(num_detections=0), dict(num_images=0)], ids=str)
def test_all_numbers_equal_pycocotools(tmp_path, changed):
    for seed in range(8):
        content, results = random_sets(seed, **changed)
        assert_equal_to_pycocotools(load(tmp_path, content), results)


def test_polygons_and_boxes_between_pixels_equal_pycocotools(tmp_path):
    rng = np.random.default_rng(0)
    truth = benchmark.make_truth(rng, num_images=20, num_objects=300, num_classes=3)
    for annotation in truth["annotations"][::7]:    # boxes that reach out of their image
        annotation["bbox"][0] -= 20
    assert_equal_to_pycocotools(load(tmp_path, truth), benchmark.make_results(rng, truth, 40, with_masks=True))


def test_the_random_sets_reach_what_they_are_for():
    content, results = random_sets(0, num_images=3, num_classes=2, num_detections=500)
    counts = collections.Counter((r["image_id"], r["category_id"]) for r in results)
    assert max(counts.values()) > 100    # the most that count for a class of an image
    content, results = random_sets(0, num_images=40)
    annotations = content["annotations"]
    assert 0.1 < np.mean([annotation["iscrowd"] for annotation in annotations]) < 0.4
    images = {image["id"] for image in content["images"]}
    assert 0 in images and images - {a["image_id"] for a in annotations} and images - {r["image_id"] for r in results}
    assert {category["id"] for category in content["categories"]} - {a["category_id"] for a in annotations}


def test_all_twelve_metrics_are_in_cocos_order(tmp_path):
    content, results = random_sets(1, num_images=30, num_detections=80)
    evaluator = assert_equal_to_pycocotools(load(tmp_path, content), results)["bbox"]
    assert len(set(evaluator.stats)) == 12 and min(evaluator.stats) >= 0, "the example has metrics that are equal"
    found = evaluate(results, load(tmp_path, content), kinds=("bbox",))
    assert list(found["bbox"]) == "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split()
    np.testing.assert_allclose(list(found["bbox"].values()), evaluator.stats, rtol=0, atol=1e-9)


def test_a_class_alone_has_the_metrics_that_it_has_among_others(tmp_path):
    content, results = random_sets(2, num_images=30)
    among = metrics.compare(results, load(tmp_path, content), kinds=("bbox", "segm"))
    for category in content["categories"]:
        dataset = load(tmp_path, {**content, "categories": [category], "annotations": [
            a for a in content["annotations"] if a["category_id"] == category["id"]]})
        for kind, alone in evaluate(results, dataset).items():
            of_class = among[kind].per_class[category["name"]]
            assert of_class == pytest.approx({"AP": alone["AP"], "AR": alone["AR100"]}, abs=1e-9)
    assert among["bbox"].per_class["class 8"] == {"AP": None, "AR": None}
    assert 0.1 < among["bbox"].per_class["class 5"]["AP"] < among["bbox"].per_class["class 5"]["AR"]


def test_the_curves_are_those_behind_the_metrics(tmp_path):
    content, results = random_sets(3, num_images=30)
    found = metrics.compare(results, load(tmp_path, content), kinds=("bbox",))["bbox"]
    with_objects = found.precision[:, :, :-1]    # the last class has none
    for name, at in (("AP", slice(None)), ("AP50", metrics.IOU_THRESHOLDS.tolist().index(0.5)),
                     ("AP75", metrics.IOU_THRESHOLDS.tolist().index(0.75))):
        assert with_objects[at].mean() == pytest.approx(found.metrics[name], abs=1e-9)
    assert found.precision.shape[1] == len(metrics.RECALLS)


@pytest.mark.parametrize("renamed", [lambda i: 2 ** 60 + i, lambda i: -i], ids=["beyond a double", "negative"])
def test_ids_may_be_any_whole_numbers(tmp_path, renamed):
    content, results = random_sets(4)
    for i, result in enumerate(results):
        result["score"] = i / len(results)    # between equal scores the order of the ids decides
    expected = evaluate(results, load(tmp_path, content))
    for entry in content["images"] + content["categories"]:
        entry["id"] = renamed(entry["id"])
    for entry in content["annotations"] + results:
        entry.update(image_id=renamed(entry["image_id"]), category_id=renamed(entry["category_id"]))
    found = evaluate(results, load(tmp_path, content))
    for kind in expected:
        assert found[kind] == pytest.approx(expected[kind], abs=1e-9)


def test_results_of_unknown_images_and_classes_do_not_count(truth):
    expected = evaluate(perfect_results(), truth)
    strangers = [{**result, **stranger} for result in perfect_results() for stranger in (
        dict(image_id=99, score=1), dict(category_id=99, score=1))]
    assert evaluate(strangers + perfect_results(), truth) == expected


def test_an_object_without_a_mask_counts_among_boxes_only(tmp_path):
    content, results = random_sets(5)
    whole = evaluate(results, load(tmp_path, content))
    removed = [annotation for annotation in content["annotations"] if not annotation["iscrowd"]][0]
    without = evaluate(results, load(tmp_path, {
        **content, "annotations": [a for a in content["annotations"] if a is not removed]}))
    del removed["segmentation"]
    found = evaluate(results, load(tmp_path, content))
    assert found == {"bbox": whole["bbox"], "segm": without["segm"]}
    assert whole["bbox"] != without["bbox"] and whole["segm"] != without["segm"]


def test_the_annotation_file_is_not_read_again(tmp_path, truth):
    expected = evaluate(perfect_results(), truth)
    (tmp_path / "gt.json").unlink()
    assert evaluate(perfect_results(), truth) == expected


class _ReferenceWithDifficult(benchmark.COCOeval):
    """pycocotools' evaluation in which objects of a certain area become crowds, once their IoU is known."""

    def computeIoU(self, image_id, category_id):
        ious = super().computeIoU(image_id, category_id)
        for annotation in self._gts[image_id, category_id]:
            if annotation["area"] == 1024:
                annotation.update(iscrowd=1, ignore=1)
        return ious


@pytest.mark.parametrize("seed", range(6))
def test_difficult_objects_are_ignored_by_their_iou(tmp_path, monkeypatch, seed):
    content, results = random_sets(seed)
    dataset = load(tmp_path, content)
    without = evaluate(results, dataset)
    dataset.records = list(dataset.records)
    for record in dataset.records:
        record.is_difficult = record.areas == 1024
    monkeypatch.setattr(benchmark, "COCOeval", _ReferenceWithDifficult)
    assert_equal_to_pycocotools(dataset, results)
    assert evaluate(results, dataset)["bbox"] != without["bbox"]


def test_results_stay_as_they_are(truth):
    results = perfect_results()
    evaluate(results, truth)
    assert results == perfect_results()


def test_nothing_is_printed(truth, capfd):
    evaluate(perfect_results(), truth)
    assert capfd.readouterr() == ("", "")
