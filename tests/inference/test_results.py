"""Results that grow in a file."""
import json
import os

import common
from common import UserError

import pytest

from inference.results import ResultsFile, has_partial, partial_path, remove_partial, write_json

KEY = {"weights": "abc", "TEST.RESULTS_PER_IM": 100, "sizes": (1, 2)}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.json")


def found(image_id, count):
    return [{"image_id": image_id, "score": i / 7, "name": "ünï\tcode"} for i in range(count)]


def write(path, indices, **kwargs):
    results = ResultsFile(path, KEY, **kwargs)
    for i in indices:
        results.add(i, found(i, i % 3))
    return results


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]])
def test_the_json_file_is_a_list_of_all_in_the_order_of_the_data_set(path, order):
    write(path, order).finish()
    with open(path) as f:
        text = f.read()
    assert text == json.dumps([result for i in range(5) for result in found(i, i % 3)])


@pytest.mark.parametrize("indices", [[], [0], [3]])
def test_few_or_no_results_are_json_too(path, indices):
    write(path, indices).finish()
    with open(path) as f:
        assert json.load(f) == []


def test_an_interrupted_file_goes_on_to_the_same_bytes(path, tmp_path):
    write(path, [3, 1])    # and it is never closed
    assert has_partial(path) and not os.path.exists(path)
    resumed = write(path, [], resume=True)
    assert 3 in resumed and 1 in resumed and 4 not in resumed and len(resumed) == 2
    for i in (4, 2, 0):
        resumed.add(i, found(i, i % 3))
    resumed.finish()
    whole = str(tmp_path / "whole.json")
    write(whole, [3, 1, 4, 2, 0]).finish()
    with open(path, "rb") as a, open(whole, "rb") as b:
        assert a.read() == b.read()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_short_is_written_again(path, cut):
    write(path, [1, 2]).close()
    size = os.path.getsize(partial_path(path))
    os.truncate(partial_path(path), size - cut)
    resumed = ResultsFile(path, KEY, resume=True)
    assert 1 in resumed and 2 not in resumed
    resumed.add(2, found(2, 2))
    resumed.finish()
    with open(path) as f:
        assert json.load(f) == found(1, 1) + found(2, 2)


def test_a_file_that_was_cut_short_in_its_first_line_starts_anew(path):
    write(path, []).close()
    os.truncate(partial_path(path), 10)
    assert len(write(path, [1], resume=True)) == 1
    assert 1 in ResultsFile(path, KEY, resume=True)


def test_an_image_that_comes_again_counts_once(path):
    results = write(path, [1, 2])
    results.add(2, found(9, 1))
    results.finish()
    with open(path) as f:
        assert json.load(f) == found(1, 1) + found(9, 1)


def test_without_resuming_what_was_left_is_dropped(path):
    write(path, [1, 2]).close()
    assert len(ResultsFile(path, KEY)) == 0


@pytest.mark.parametrize("key, named", [
    ({**KEY, "weights": "xyz"}, "weights"), ({**KEY, "new": 1}, "new"), ({"weights": "abc"}, "TEST.RESULTS_PER_IM")])
def test_another_evaluation_is_not_gone_on_with(path, key, named):
    write(path, [1, 2]).close()
    before = os.path.getsize(partial_path(path))
    with pytest.raises(UserError, match=named):
        ResultsFile(path, key, resume=True)
    assert os.path.getsize(partial_path(path)) == before


def test_a_file_that_is_something_else_is_refused(path):
    with open(partial_path(path), "w") as f:
        f.write("my notes\n")
    with pytest.raises(UserError, match="no unfinished evaluation"):
        ResultsFile(path, KEY, resume=True)


def test_results_can_be_read_while_they_grow(path):
    results = write(path, [2, 1])
    assert list(results) == [found(1, 1), found(2, 2)]
    results.add(0, [])
    assert list(results) == [[], found(1, 1), found(2, 2)]


def test_without_a_path_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = write(None, [1, 2])
    results.finish()
    assert list(results) == [found(1, 1), found(2, 2)] and os.listdir(tmp_path) == []


def test_what_is_left_behind_can_be_removed_twice(path):
    write(path, [1]).finish()
    remove_partial(path)
    remove_partial(path)
    assert not has_partial(path) and os.path.exists(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        ResultsFile(str(tmp_path / "nowhere" / "out.json"), KEY)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk")
def test_a_full_disk_is_said_in_one_line(path):
    results = write(path, [1])
    results._file.close()
    results._file = open("/dev/full", "r+b", buffering=0)    # noqa: SIM115
    with pytest.raises(UserError, match="room"):
        results.add(2, found(2, 2))


def test_a_json_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.json"
    write_json(str(path), [1])
    with pytest.raises(TypeError):
        write_json(str(path), [1, object()])
    assert json.loads(path.read_text()) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_json_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(common.UserError, match="nowhere"):
        write_json(str(tmp_path / "nowhere" / "out.json"), [])
