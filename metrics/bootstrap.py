"""
How sure the difference between two detectors is: their average precisions on images that are drawn with replacement
from those of the data set, the same for both (Efron 1979; a percentile interval of pairs).
"""
from __future__ import annotations

import concurrent.futures
from typing import NamedTuple

import numpy as np
import tqdm

from metrics.resampled import Curves, columns_of, mean

CONFIDENCE = 0.95
DRAWS = 1000


class Interval(NamedTuple):
    """
    Attributes:
        difference: float64 (...), on all images once
        low, high: float64 (...), which CONFIDENCE of the draws lie between; NaN where there are no objects
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def is_sure(self) -> np.ndarray:
        """bool (...), whether 0 is outside"""
        return (self.low > 0) | (self.high < 0)


class Differences(NamedTuple):
    """
    Attributes:
        overall: Interval of the `metrics.resampled.COLUMNS`
        of_classes: Interval of the average precision of C classes
    """

    overall: Interval
    of_classes: Interval


def bootstrap(first: Curves, second: Curves, draws: int = DRAWS, seed: int = 0, show: bool = False) -> Differences:
    """
    Args:
        first, second: of the same images and objects
        draws: how many
        seed: of the draws
        show: with a bar

    Returns:
        of the second minus the first
    """
    rng, share = np.random.default_rng(seed), np.full(first.num_images, 1 / max(first.num_images, 1))
    overall, of_classes = [], []
    with concurrent.futures.ThreadPoolExecutor(2) as pool, \
            tqdm.tqdm(total=draws, unit="draw", desc="bootstrap", disable=None if show else True) as progress:
        step = min(first.draws_at_once, second.draws_at_once)
        for begin in range(0, draws, step):
            weights = rng.multinomial(first.num_images, share, size=min(step, draws - begin))
            means, classes = _difference(pool, first, second, weights)
            overall.append(means)
            of_classes.append(classes)
            progress.update(len(weights))
        once = _difference(pool, first, second, None)
    return Differences(*(_interval(values[0], np.concatenate(drawn))
                         for values, drawn in zip(once, (overall, of_classes))))


def _difference(pool, first, second, weights):
    """Returns: float64 (B, COLUMNS), and (B, C) of AP alone, the second minus the first"""
    before, after = (columns_of(values) for values in
                     pool.map(lambda curves: curves.average_precision(weights), (first, second)))
    difference = after - before
    return mean(difference, axis=1), difference[:, :, 0]


def _interval(difference, drawn):
    tail = (1 - CONFIDENCE) / 2
    low, high = (_quantile(drawn, share) for share in (tail, 1 - tail))
    return Interval(difference, low, high)


def _quantile(drawn, share):
    """Returns: of each column the quantile of its numbers; of a class that some draws have not, of the others"""
    ordered = np.sort(drawn, axis=0)    # NaN comes last
    place = share * (np.maximum((~np.isnan(drawn)).sum(axis=0), 1) - 1)
    before, after = (ordered[part.astype(np.int64), np.arange(drawn.shape[1])]
                     for part in (np.floor(place), np.ceil(place)))
    return before + (after - before) * (place - np.floor(place))
