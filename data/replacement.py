"""What takes the place of a training image whose file cannot be used."""
import traceback
from dataclasses import dataclass
from typing import NamedTuple

from common import UserError

import numpy as np

from data.batch import Sample

MAX_OTHERS = 20     # images that are tried in place of one
NUM_NEAR = 64       # images of like shape among which they are


class Prepared(NamedTuple):
    """
    What became of one place in the stream of images.

    Attributes:
        sample (Sample): of the last image that was tried; None where that one is bad, too
        tried (list[int]): numbers of the records that were tried
        problems (list[str]): why images before could not be used; each starts with the path of a file
    """

    sample: Sample
    tried: list
    problems: list


@dataclass
class Failure:
    """An error in the program, which must not die with its process."""

    traceback: str


class Replacing:
    """
    Prepares images. One with a bad file is replaced by another of like shape, which follows from its seed. So a batch
    is the same whatever came before it, in any number of processes.

    Args:
        make_sample (callable): from a record and a seed to a Sample; raises UserError for a bad file
        records (sequence of Record)
        ratios: float (n,), their aspect ratios
    """

    def __init__(self, make_sample, records, ratios):
        self._make_sample, self._records = make_sample, records
        self._ratios = np.log(ratios)    # twice as wide is as far as twice as high
        self._by_ratio = np.argsort(ratios, kind="stable")
        self._place = np.argsort(self._by_ratio)    # of each record therein

    def __call__(self, datapoint):
        """
        Args:
            datapoint: [index, number of a record, seed]

        Returns:
            [index, Prepared | Failure]
        """
        index, number, seed = datapoint
        try:
            return [index, self._prepare(number, seed)]
        except Exception:    # noqa: B902  (it would end the worker, and the training would wait forever)
            return [index, Failure(traceback.format_exc())]

    def _prepare(self, number, seed):
        tried, problems = [], []
        for candidate in self._candidates(number, seed):
            tried.append(candidate)
            try:
                return Prepared(self._make_sample(self._records[candidate], seed), tried, problems)
            except UserError as e:
                problems.append(str(e))
        return Prepared(None, tried, problems)

    def _candidates(self, number, seed):
        """Yields: the number of a record, and those of others of like shape in a random order"""
        yield number
        others = np.random.default_rng([seed, 1]).permutation(self._near(number))[:MAX_OTHERS]
        yield from others.tolist()

    def _near(self, number):
        """Returns: int (NUM_NEAR,) at most, other records of like shape"""
        place = self._place[number]
        near = self._by_ratio[max(place - NUM_NEAR, 0):place + NUM_NEAR + 1]
        near = near[near != number]
        return near[np.argsort(np.abs(self._ratios[near] - self._ratios[number]), kind="stable")][:NUM_NEAR]
