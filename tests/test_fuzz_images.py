"""Broken image files: a hundred of them, and what the fuzzer itself takes for a failure."""
import os
import signal

from common import UserError

import numpy as np
import pytest

import data
import fuzzing
from fuzz_images import Fuzzer, mutate, run_all
from image_kinds import kinds

SEED = 7


def test_broken_files_give_an_image_or_a_line(capfd):
    outcomes = list(run_all(SEED, range(50)))
    assert len(outcomes) == 50
    assert [outcome for outcome in outcomes if outcome[2] not in fuzzing.FINE] == []
    assert {outcome for _, _, outcome in outcomes} == set(fuzzing.FINE)


@pytest.mark.slow
def test_more_broken_files_give_an_image_or_a_line(capfd):
    outcomes = list(run_all(SEED, range(1000, 2000)))
    assert len(outcomes) == 1000
    assert [outcome for outcome in outcomes if outcome[2] not in fuzzing.FINE] == []


def test_a_case_follows_from_its_seed():
    content = kinds()["png"].content
    first, again, other = (mutate(content, np.random.default_rng([0, number])) for number in (4, 4, 5))
    assert first == again != other


# what is a failure --------------------------------------------------------------------------------------------------
def outcome_of(folder, monkeypatch, load):
    monkeypatch.setattr(data, "load_image", load)
    return Fuzzer(folder, SEED).run(0)[1]


def test_an_exception_is_a_failure(tmp_path, monkeypatch):
    assert "ZeroDivisionError" in outcome_of(tmp_path, monkeypatch, lambda path: 1 / 0)


def test_more_than_a_line_is_a_failure(tmp_path, monkeypatch):
    def load(path):
        raise UserError("a\nb")
    assert "not one line" in outcome_of(tmp_path, monkeypatch, load)


def test_what_is_no_image_in_colour_is_a_failure(tmp_path, monkeypatch):
    assert outcome_of(tmp_path, monkeypatch, lambda path: np.zeros((3, 4), np.uint8)) == "uint8 of shape (3, 4)"


class Dying:
    """A fuzzer whose second case ends its process."""

    def __init__(self, folder):
        pass

    def run(self, number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return "a", "read"


def test_a_process_that_dies_is_a_failure_and_the_others_go_on():
    outcomes = list(fuzzing.run_all(Dying, ["a"], range(3), 20, 2**30))
    assert [number for number, _, _ in outcomes] == [0, 1, 2]
    assert [outcome for _, _, outcome in outcomes[::2]] == ["read", "read"]
    assert "died with -9" in outcomes[1][2]
