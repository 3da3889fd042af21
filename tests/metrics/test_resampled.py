"""Average precision with images that count several times."""
import dataclasses

import numpy as np

import planted
from data.flat_records import FlatRecords
from metrics import coco
from metrics.matching import match_results
from metrics.resampled import Curves, columns_of, mean


def repeated(dataset, results, weights):
    """Returns: the data set and results with each image as often as its weight says, under new ids"""
    records, again = [], []
    for record, weight in zip(dataset.records, weights):
        for _ in range(weight):
            records.append(dataclasses.replace(record, image_id=len(records) + 1))
            again += [{**each, "image_id": len(records)} for each in results if each["image_id"] == record.image_id]
    return dataclasses.replace(dataset, records=FlatRecords.of(records)), again


def test_weights_are_as_if_images_were_there_several_times():
    rng = np.random.default_rng(4)
    dataset, results = planted.random_set(rng)
    for each in results:    # of equal scores the order of images decides
        each["score"] = float(rng.random())
    curves = Curves(match_results(results, dataset), len(dataset.records))
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=3)
    for drawn, precisions in zip(weights, columns_of(curves.average_precision(weights))):
        metrics = coco.compare(*repeated(dataset, results, drawn)[::-1], ("bbox",))["bbox"].metrics
        # copies of a detection have one score, between which COCO has points of the curve
        np.testing.assert_allclose(mean(precisions, axis=0), [metrics[name] for name in coco.METRICS[:6]], atol=0.02)


def test_draws_are_the_same_one_by_one_and_together():
    rng = np.random.default_rng(5)
    dataset, results = planted.random_set(rng)
    curves = Curves(match_results(results, dataset), len(dataset.records))
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=6)
    together = curves.average_precision(weights)
    np.testing.assert_array_equal(together, np.concatenate([curves.average_precision(w[None]) for w in weights]))
    np.testing.assert_array_equal(curves.average_precision(np.ones((1, 40))), curves.average_precision())


def test_a_class_whose_images_are_not_drawn_has_no_precision():
    dataset = planted.make_dataset([[(1, (0, 0, 50, 50))], [(2, (0, 0, 50, 50))]])
    results = [planted.result(1, 1, (0, 0, 50, 50), 0.9), planted.result(2, 2, (0, 0, 50, 50), 0.9)]
    precisions = Curves(match_results(results, dataset), 2).average_precision([[2, 0]])[0, 0, 0]
    np.testing.assert_array_equal(precisions, [1, np.nan, np.nan])
