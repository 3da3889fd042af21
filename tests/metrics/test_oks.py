"""The similarity of keypoints, and COCO's metrics of them beside pycocotools'."""
import dataclasses

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from benchmarks import metrics as benchmark
from coco_truth import load
from data.records import Skeleton
from metrics import coco as metrics, oks

SIZE, NAMES = 200, ("nose", "tail", "left_hip", "tip")
SIGMAS = {"nose": 0.1, "tail": 0.2, "left_hip": 0.05, "tip": 0.3}


def random_keypoints(rng):
    """Content of a COCO file with keypoints, and results. Some objects have no labelled keypoint, some are crowds."""
    def annotation(image_id, **more):
        x, y = rng.integers(0, 60, 2).tolist()
        w, h = rng.choice([20, 31, 33, 95, 97, 140], 2).tolist()
        points = [(x + rng.uniform(0, w), y + rng.uniform(0, h), int(rng.integers(3))) for _ in NAMES]
        if rng.random() < 0.2:
            points = [(0, 0, 0)] * len(NAMES)
        return dict(image_id=image_id, category_id=int(rng.choice([3, 5])), bbox=[x, y, w, h], area=0.6 * w * h,
                    iscrowd=int(rng.random() < 0.1), num_keypoints=sum(v > 0 for _, _, v in points),
                    keypoints=[float(number) for point in points for number in point], **more)

    images = [dict(id=i, height=SIZE, width=SIZE) for i in range(10, 0, -1)]
    objects = [annotation(image["id"]) for image in images for _ in range(rng.integers(4))]
    results = []
    for each in objects * 8:
        moved = np.reshape(each["keypoints"], (-1, 3)) + rng.normal(0, rng.choice([0.3, 3, 10]), (4, 1)) * [1, 1, 0]
        results.append({**{key: each[key] for key in ("image_id", "category_id", "bbox")},
                        "keypoints": moved.ravel().tolist(), "score": int(rng.integers(9)) / 9})
    categories = [dict(id=i, name=f"class {i}", keypoints=list(NAMES), skeleton=[[1, 2]]) for i in (3, 5, 8)]
    return {"images": images, "categories": categories,
            "annotations": [{**each, "id": i} for i, each in enumerate(objects, 1)]}, results


def assert_equal_to_pycocotools(dataset, results, sigmas):
    found = metrics.compare(results, dataset, ("keypoints",), sigmas)["keypoints"]
    expected = benchmark.run_pycocotools(results, dataset.annotation_file, ("keypoints",),
                                         np.array([sigmas[name] for name in dataset.skeleton.names]))["keypoints"]
    for ours, theirs in zip(benchmark.numbers_of_ours(found), benchmark.numbers_of_pycocotools(expected)):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    return found


@pytest.mark.parametrize("seed", range(10))
def test_all_numbers_equal_pycocotools(tmp_path, seed):
    content, results = random_keypoints(np.random.default_rng(seed))
    found = assert_equal_to_pycocotools(load(tmp_path, content), results, SIGMAS)
    assert list(found.metrics) == "AP AP50 AP75 APm APl AR AR50 AR75 ARm ARl".split()
    assert 0.1 < found.metrics["AP"] < found.metrics["AP50"] < 1 and len(found.class_names) == 3


def test_a_set_without_objects_and_one_without_detections_equal_pycocotools(tmp_path):
    content, results = random_keypoints(np.random.default_rng(0))
    assert_equal_to_pycocotools(load(tmp_path, content), [], SIGMAS)
    assert_equal_to_pycocotools(load(tmp_path, {**content, "annotations": []}), results, SIGMAS)


def with_skeleton(dataset, skeleton, keypoints):
    """Returns: the data set with this Skeleton, and `keypoints` of each record"""
    records = [dataclasses.replace(record, keypoints=keypoints(record)) for record in dataset.records]
    return dataclasses.replace(dataset, records=records, skeleton=skeleton)


def test_each_class_has_its_own_keypoints_and_one_without_any_takes_no_part(tmp_path):
    """Of a class, one keypoint is left out and the others stand in another order, in the data set and in results."""
    content, results = random_keypoints(np.random.default_rng(1))
    dataset = load(tmp_path, content)
    expected = metrics.compare(results, dataset, ("keypoints",), SIGMAS)["keypoints"]
    # of the joined list, class 3 has all but backwards, class 5 likewise two more that class 3 lacks
    joined = (*NAMES, *(f"other {name}" for name in NAMES))
    skeleton = Skeleton(joined, (), ((3, 2, 1, 0), (4, 5, 6, 7), ()))

    def keypoints(record):
        several = np.zeros((len(record.labels), 8, 3))
        for own, before, label in zip(several, record.keypoints, record.labels):
            own[4 * (label - 1):4 * label] = before
        return several

    changed = [{**r, "keypoints": np.reshape(r["keypoints"], (4, 3))[::-1].ravel().tolist()}
               if r["category_id"] == 3 else r for r in results]
    changed += [{**results[0], "category_id": 8, "keypoints": []}]
    found = metrics.compare(changed, with_skeleton(dataset, skeleton, keypoints), ("bbox", "keypoints"),
                            {**SIGMAS, **{f"other {name}": sigma for name, sigma in SIGMAS.items()}})
    assert found["keypoints"].class_names == ["class 3", "class 5"]
    np.testing.assert_allclose(found["keypoints"].precision, expected.precision[:, :, :2], atol=1e-12)
    table = metrics.format_metrics(found).splitlines()
    assert [line.split()[-1] for line in table if line.startswith("class 8")] == ["-"]


def test_keypoints_are_not_compared_where_the_data_set_has_none(tmp_path):
    content, results = random_keypoints(np.random.default_rng(0))
    for category in content["categories"]:
        del category["keypoints"]
    assert list(metrics.compare(results, load(tmp_path, content), ("bbox", "keypoints"))) == ["bbox"]


def test_a_difficult_object_is_neither_missed_nor_found(tmp_path):
    content, results = random_keypoints(np.random.default_rng(2))
    dataset = load(tmp_path, content)
    first = next(number for number, record in enumerate(dataset.records) if record.keypoints[..., 2].any())
    records = list(dataset.records)
    records[first] = dataclasses.replace(records[first], is_difficult=np.ones(len(records[first].labels), bool))
    found = metrics.compare(results, dataclasses.replace(dataset, records=records), ("keypoints",), SIGMAS)
    others = [result for result in results if result["image_id"] != records[first].image_id]
    del records[first]
    expected = metrics.compare(others, dataclasses.replace(dataset, records=records), ("keypoints",), SIGMAS)
    assert found["keypoints"].metrics["AR"] == pytest.approx(expected["keypoints"].metrics["AR"])


def test_tables_have_keypoints_among_the_others_and_their_recalls_apart(tmp_path):
    content, results = random_keypoints(np.random.default_rng(0))
    table = metrics.format_metrics(metrics.compare(results, load(tmp_path, content), ("bbox", "keypoints"), SIGMAS))
    rows = [line.split() for line in table.splitlines()]
    assert ["percent", *metrics.KEYPOINT_METRICS[5:]] in rows
    assert [row[0] for row in rows if row and row[0] in ("bbox", "keypoints")] == [
        "bbox", "keypoints", "bbox", "keypoints"]
    assert ["class", *"bbox AP bbox AR keypoints AP keypoints AR".split()] in rows


# similarity ---------------------------------------------------------------------------------------------------------
def test_the_sigmas_of_people_are_cocos_and_others_can_be_given():
    people = Skeleton(tuple(oks.COCO_SIGMAS), ())
    np.testing.assert_allclose(oks.sigmas_of_label(people, 1), Params("keypoints").kpt_oks_sigmas)
    assert oks.sigmas_of_label(Skeleton(("tip", "nose"), (), ((1, 0),)), 1, {"tip": 0.3}).tolist() == [0.026, 0.3]
    assert oks.sigmas_of_label(Skeleton(("tip",), ()), 1).tolist() == [oks.OTHER_SIGMA]


def test_the_similarity_falls_as_the_formula_says():
    found = np.array([[(3, 4), (50, 50)]])
    keypoints = np.array([[(0, 0, 1), (0, 0, 0)]])
    found = oks.similarities(found, keypoints, np.ones((1, 4)), np.array([100]), np.array([0.5, 0.1]))
    assert found == pytest.approx(np.exp(-25 / (2 * 100 * 1)))
