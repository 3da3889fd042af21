"""Thresholds, calibration and confusions, from detections whose numbers are known."""
import numpy as np
import pytest

import planted
from metrics.matching import IGNORED, match_results
from metrics.operating import BACKGROUND, best_operating, calibrate, confusion_matrix

BOX, NEAR, FAR = (100, 100, 80, 80), (104, 100, 80, 80), (300, 300, 40, 40)


def matched(found, images=None):
    """Args: found: image id, label, box and score of each; images: objects, a circle in each of ten images if None"""
    dataset = planted.make_dataset(images or [[(1, BOX)]] * 10)
    return match_results([planted.result(*each) for each in found], dataset)


def test_the_best_threshold_is_the_score_of_the_last_detection_that_is_worth_it():
    right = [(i, 1, BOX, 0.9 - i / 100) for i in range(1, 7)]
    wrong = [(i, 1, FAR, 0.5) for i in range(1, 9)]
    best = best_operating(matched([*right, (9, 1, FAR, 0.85), *wrong]))
    for values, wanted in zip(best, (0.84, 6 / 7, 6 / 10, 12 / 17)):
        np.testing.assert_allclose(values[:2], wanted)
        assert np.isnan(values[2:]).all()


def test_a_threshold_cannot_tell_equal_scores_apart():
    best = best_operating(matched([(1, 1, BOX, 0.5), (2, 1, FAR, 0.5), (3, 1, FAR, 0.5)]))
    assert best.precision[1] == pytest.approx(1 / 3)


def test_the_confusion_matrix_has_each_object_and_each_detection_once():
    dataset, results = planted.random_set(np.random.default_rng(6), num_images=80)
    found = match_results(results, dataset)
    for threshold in (0, 0.3, 0.9, 2):
        matrix = confusion_matrix(found, threshold)
        objects = np.bincount(found.objects.labels[found.objects.counts], minlength=4)
        kept = (found.found.scores >= threshold) & (found.matches.outcome[0, 0] != IGNORED)
        np.testing.assert_array_equal(matrix.sum(axis=1)[1:], objects[1:])
        np.testing.assert_array_equal(matrix.sum(axis=0)[1:], np.bincount(found.found.labels[kept], minlength=4)[1:])
        assert matrix[BACKGROUND, BACKGROUND] == 0


def test_confusions_are_where_they_are_planted():
    found = [(1, 1, BOX, 0.9), (2, 2, BOX, 0.9), (3, 2, FAR, 0.9), (4, 1, NEAR, 0.9), (4, 2, BOX, 0.95),
             (5, 1, BOX, 0.2)]
    matrix = confusion_matrix(matched(found), 0.5)
    # in the fourth image the circle is found, and the square beside it is nothing
    np.testing.assert_array_equal(matrix, [[0, 0, 2, 0], [7, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_of_detections_of_another_class_the_nearest_is_the_confusion():
    matrix = confusion_matrix(matched([(1, 2, NEAR, 0.9), (1, 3, BOX, 0.6)], [[(1, BOX)]]), 0)
    assert matrix[1, 3] == 1 and matrix[BACKGROUND, 2] == 1 and matrix.sum() == 2


def test_scores_that_are_shares_have_no_calibration_error():
    found = [(i, 1, BOX if i <= 7 else FAR, 0.7) for i in range(1, 11)]
    calibration = calibrate(matched(found))
    assert calibration.ece == pytest.approx(0) and calibration.counts[7] == 10
    sure = calibrate(matched([(*each[:3], 0.95) for each in found]))
    assert sure.ece == pytest.approx(0.25) and sure.ece_of_classes[0] == pytest.approx(0.25)
    assert np.isnan(sure.ece_of_classes[1]) and np.isnan(sure.precision[0])


def test_the_error_is_the_mean_over_detections():
    found = [(1, 1, BOX, 1.0), (2, 1, BOX, 1.0), (3, 1, BOX, 1.0), (4, 1, FAR, 0.2)]
    assert calibrate(matched(found)).ece == pytest.approx(0.05)
