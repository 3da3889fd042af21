"""Broken annotation files: a few hundred of them, and what the fuzzer itself takes for a failure."""
import time

from common import UserError

import pytest

import fuzz_annotations
from fuzz_annotations import FORMATS, Fuzzer, run_all

SEED = 7


def test_broken_files_are_read_or_refused_in_one_line(tmp_path):
    fuzzer = Fuzzer(tmp_path, SEED)
    outcomes = [(number, *fuzzer.run(number)) for number in range(10 * len(FORMATS))]
    assert [outcome for outcome in outcomes if outcome[2] not in ("read", "refused")] == []


@pytest.mark.slow
def test_more_broken_files_are_read_or_refused_in_one_line():
    outcomes = list(run_all(SEED, range(1000, 2000)))
    assert len(outcomes) == 1000
    assert [outcome for outcome in outcomes if outcome[2] not in ("read", "refused")] == []


def test_a_case_follows_from_its_number(tmp_path):
    texts = []
    for again in ("first", "second"):
        def keep(source, target):
            texts.append({path.name: path.read_bytes() for path in source.rglob("*.json")})
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(FORMATS, "coco", (FORMATS["coco"][0], keep))
            Fuzzer(tmp_path / again, SEED).run(len(FORMATS))
    assert texts[0] == texts[1] != {}


# what is a failure --------------------------------------------------------------------------------------------------
def outcome_of(folder, monkeypatch, read):
    monkeypatch.setattr(fuzz_annotations, "FORMATS", {"coco": (FORMATS["coco"][0], read)})
    fuzzer = Fuzzer(folder, SEED)
    return fuzzer.run(0)[1]


def test_an_exception_is_a_failure(tmp_path, monkeypatch):
    assert "ZeroDivisionError" in outcome_of(tmp_path, monkeypatch, lambda source, target: 1 / 0)


def test_more_than_a_line_is_a_failure(tmp_path, monkeypatch):
    def refuse(source, target):
        raise UserError("a\nb")

    def skip(source, target):
        fuzz_annotations.records.logger.warn("a" * 10_000)

    assert "not one line" in outcome_of(tmp_path / "refuse", monkeypatch, refuse)
    assert "not one line" in outcome_of(tmp_path / "skip", monkeypatch, skip)


def test_a_file_opened_elsewhere_is_a_failure(tmp_path, monkeypatch):
    def read(source, target):
        (source / ".." / ".." / ".." / "secret.jpg").read_bytes()
    assert "secret.jpg" in outcome_of(tmp_path, monkeypatch, read)


@pytest.mark.slow
def test_a_hang_and_a_death_are_failures_and_the_next_cases_follow(monkeypatch):
    def read(source, target):
        number = int(source.parent.name)
        if number == 1:
            time.sleep(60)
        if number == 2:
            fuzz_annotations.os.kill(fuzz_annotations.os.getpid(), 9)
        if number == 3:
            bytearray(2 * fuzz_annotations.BYTES)
    monkeypatch.setattr(fuzz_annotations, "FORMATS", {"coco": (FORMATS["coco"][0], read)})
    monkeypatch.setattr(fuzz_annotations, "SECONDS", 2)
    outcomes = [outcome for _, _, outcome in run_all(SEED, range(5))]
    assert outcomes[0] == outcomes[4] == "read" and "no answer" in outcomes[1] and "died with -9" in outcomes[2]
    assert "MemoryError" in outcomes[3]
