"""Intervals of the difference between two detectors."""
import numpy as np
import pytest

import planted
from metrics.bootstrap import bootstrap
from metrics.matching import AREAS, IGNORED, RIGHT, WRONG, Found, Matched, Matches, Objects, match_results
from metrics.resampled import Curves, columns_of, mean

NUM_CLASSES = 2
QUALITIES = (5.5, 6.2)    # of two simulated detectors: the mean number of thresholds that their boxes reach


def simulate(rng, num_images):
    """Returns: Curves of two detectors of the same images, some of which are hard for both"""
    counts = rng.poisson(2, num_images)
    images = np.repeat(np.arange(num_images), counts)
    labels = rng.integers(1, NUM_CLASSES + 1, len(images))
    is_hard = rng.random(num_images) < 0.3
    ones = np.ones(len(images))
    objects = Objects(images, labels, None, 4000 * ones, ones < 0, ones > 0, None)
    return [Curves(_detect(rng, objects, is_hard, quality), num_images) for quality in QUALITIES]


def _detect(rng, objects, is_hard, quality):
    is_found = rng.random(len(objects.images)) < 0.85 - 0.3 * is_hard[objects.images]
    reached = np.clip(rng.normal(quality, 2.5, is_found.sum()), 1, 10).astype(int)
    num_wrong = 2 * len(is_hard)
    images = np.concatenate([objects.images[is_found], rng.integers(0, len(is_hard), num_wrong)])
    labels = np.concatenate([objects.labels[is_found], rng.integers(1, NUM_CLASSES + 1, num_wrong)])
    scores = np.concatenate([rng.beta(4, 2, len(reached)), rng.beta(2, 4, num_wrong)])
    reached = np.concatenate([reached, np.zeros(num_wrong, dtype=int)])
    order = np.lexsort([-scores, labels])
    outcome = np.full((len(AREAS), 10, len(order)), IGNORED, dtype=np.int8)
    outcome[[0, 2]] = np.where(np.arange(10)[:, None] < reached[order], RIGHT, WRONG)    # medium ones
    return Matched(objects, Found(images[order], labels[order], None, None, scores[order], None, None), None,
                   Matches(outcome, None, NUM_CLASSES))


def test_of_100_simulated_pairs_90_to_99_intervals_contain_the_truth():
    rng = np.random.default_rng(0)
    first, second = (columns_of(curves.average_precision())[0] for curves in simulate(rng, 30_000))
    truth = second - first
    intervals = [bootstrap(*simulate(rng, 100), draws=200, seed=k) for k in range(100)]
    for column in range(3):    # AP, AP50, AP75
        wanted = mean(truth, axis=0)[column]
        hits = sum(each.overall.low[column] <= wanted <= each.overall.high[column] for each in intervals)
        assert 90 <= hits <= 99, (column, hits)
    for label in range(NUM_CLASSES):
        hits = sum(each.of_classes.low[label] <= truth[label, 0] <= each.of_classes.high[label] for each in intervals)
        assert 90 <= hits <= 99, (label, hits)


def test_a_detector_beside_itself_does_not_differ():
    dataset, results = planted.random_set(np.random.default_rng(1))
    curves = Curves(match_results(results, dataset), 40)
    found = bootstrap(curves, curves, draws=20)
    assert not found.overall.difference.any() and not found.overall.is_sure.any()
    assert not found.of_classes.low.any() and not found.of_classes.high.any()


def test_a_detector_that_finds_all_is_surely_better_than_one_that_finds_nothing():
    dataset = planted.make_dataset([[(1, (10, 10, 50, 50))]] * 20)
    results = [planted.result(i, 1, (10, 10, 50, 50), 0.9) for i in range(1, 21)]
    nothing, all_of_it = (Curves(match_results(each, dataset), 20) for each in ([], results))
    found = bootstrap(nothing, all_of_it, draws=30)
    assert found.overall.difference[0] == found.overall.low[0] == pytest.approx(1) and found.overall.is_sure[0]
    assert np.isnan(found.of_classes.difference[1:]).all() and not found.of_classes.is_sure[1:].any()


def test_the_same_seed_gives_the_same_interval():
    dataset, results = planted.random_set(np.random.default_rng(1))
    curves = [Curves(match_results(each, dataset), 40) for each in (results, results[::2])]
    one, same, other = (bootstrap(*curves, draws=40, seed=seed).overall.low for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other)[0]
