"""Matches of detections and objects, by which COCO's metrics come out."""
import numpy as np
import pycocotools.mask as mask_util
import pytest

import planted
from metrics import coco, matching
from metrics.resampled import Curves, columns_of, mean


def metrics_of(results, dataset, kind="bbox"):
    """Returns: AP, AP50, AP75 and those of three sizes, over all classes"""
    matched = matching.match_results(results, dataset, kind)
    return mean(columns_of(Curves(matched, len(dataset.records)).average_precision())[0], axis=0)


def expected(results, dataset, kind="bbox"):
    """Returns: the same by the evaluator behind the printed tables"""
    metrics = coco.compare(results, dataset, (kind,))[kind].metrics
    return [np.nan if metrics[name] is None else metrics[name] for name in coco.METRICS[:6]]


@pytest.mark.parametrize("seed", range(5))
def test_average_precisions_are_cocos_with_crowds_difficult_objects_and_equal_scores(seed):
    dataset, results = planted.random_set(np.random.default_rng(seed))
    np.testing.assert_allclose(metrics_of(results, dataset), expected(results, dataset), atol=1e-12)


def test_average_precisions_of_masks_are_cocos():
    dataset, results = planted.random_set(np.random.default_rng(9))
    for each in results:
        mask = np.zeros((planted.SIZE, planted.SIZE), dtype=np.uint8, order="F")
        x, y, w, h = np.array(each["bbox"]).astype(int)
        mask[y:y + h, x:x + w - w // 5] = 1
        each["segmentation"] = mask_util.encode(mask)
    np.testing.assert_allclose(metrics_of(results, dataset, "segm"), expected(results, dataset, "segm"), atol=1e-12)


def outcome_of(objects, boxes):
    """Returns: list of the outcome at IoU 0.5 of boxes that are found, the first with the highest score"""
    results = [planted.result(1, 1, box, 0.9 - i / 10) for i, box in enumerate(boxes)]
    return matching.match_results(results, planted.make_dataset([objects])).matches.outcome[0, 0].tolist()


def test_a_detection_takes_the_object_that_it_overlaps_most():
    objects = [(1, (100, 100, 80, 80)), (1, (120, 100, 80, 80))]
    assert outcome_of(objects, [(120, 100, 80, 80), (90, 100, 80, 80)]) == [matching.RIGHT, matching.RIGHT]


def test_an_object_that_counts_comes_before_one_that_does_not():
    objects = [(1, (100, 100, 80, 80)), (1, (110, 100, 80, 80), "is_difficult")]
    assert outcome_of(objects, [(110, 100, 80, 80)] * 2) == [matching.RIGHT, matching.IGNORED]


def test_at_most_100_detections_of_a_class_in_an_image_count():
    dataset = planted.make_dataset([[(1, (10, 10, 50, 50))]])
    results = [planted.result(1, 1, (200, 200, 20, 20), 0.9)] * 100 + [planted.result(1, 1, (10, 10, 50, 50), 0.5)]
    assert metrics_of(results, dataset)[0] == expected(results, dataset)[0] == 0
    assert metrics_of(results[1:], dataset)[0] == pytest.approx(expected(results[1:], dataset)[0]) != 0


def test_pairs_are_the_same_in_any_number_of_parts(monkeypatch):
    dataset, results = planted.random_set(np.random.default_rng(2))
    objects, found = matching.objects_of(dataset), matching.found_of(results, dataset)
    whole = matching.box_pairs(objects, found)
    monkeypatch.setattr(matching, "PAIRS_AT_ONCE", 7)
    for one, other in zip(matching.box_pairs(objects, found), whole):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("images, results", [
    ([], []), ([[]], []), ([[(1, (1, 1, 9, 9))]], []), ([[]], [planted.result(1, 2, (1, 1, 9, 9), 0.5)])])
def test_nothing_to_find_or_nothing_found_is_no_mistake_of_the_program(images, results):
    dataset = planted.make_dataset(images)
    found = metrics_of(results, dataset)
    assert np.isnan(found).all() or found[0] == 0


def test_results_of_other_images_and_classes_are_left_out():
    dataset = planted.make_dataset([[(1, (10, 10, 50, 50))]])
    others = [planted.result(7, 1, (1, 1, 9, 9), 1.0), planted.result(1, 9, (1, 1, 9, 9), 1.0)]
    found = matching.found_of([*others, planted.result(1, 1, (10, 10, 50, 50), 0.5)], dataset)
    assert found.results.tolist() == [2]
