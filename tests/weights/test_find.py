"""Finding weights by what --load names."""
import os

import common  # noqa: F401

import pytest

from small_weights import message_of
from weights.find import find_run


def test_an_npz_file_is_found_as_it_is(npz):
    path = npz()
    assert find_run(path) == (path, None)


def test_a_checkpoint_is_found_with_and_without_its_ending(checkpoint):
    assert find_run(checkpoint) == (checkpoint, None)
    assert find_run(checkpoint + ".index") == (checkpoint, None)


def test_a_runs_folder_stands_for_its_latest_checkpoint(checkpoint):
    assert find_run(os.path.dirname(checkpoint)) == (checkpoint, None)


def test_the_config_of_a_run_comes_along(checkpoint, npz):
    folder = os.path.dirname(checkpoint)
    config_path = os.path.join(folder, "config.json")
    open(config_path, "w").close()
    for load in (folder, checkpoint, checkpoint + ".index"):
        assert find_run(load) == (checkpoint, config_path)


def test_a_folder_that_was_moved_still_stands_for_its_checkpoint(checkpoint, tmp_path):
    os.rename(os.path.dirname(checkpoint), tmp_path / "moved")
    assert find_run(str(tmp_path / "moved"))[0] == str(tmp_path / "moved" / "model-500")


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    assert f"--load {tmp_path}: this folder has no checkpoint" in message_of(find_run, str(tmp_path))


@pytest.mark.parametrize("name", ["photo.jpg", "text.txt"])
def test_a_file_that_is_no_model_is_not_said_to_be_missing(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    message = message_of(find_run, str(tmp_path / name))
    assert f"{name}: this file is no model" in message and "there is no such" not in message


def test_a_pkl_is_found_as_it_is(tmp_path):
    (tmp_path / "w.pkl").write_bytes(b"")
    assert find_run(str(tmp_path / "w.pkl")) == (str(tmp_path / "w.pkl"), None)


def test_the_option_that_names_missing_weights_is_named():
    assert "BACKBONE.WEIGHTS gone.npz: there is no such" in message_of(find_run, "gone.npz", "BACKBONE.WEIGHTS")


@pytest.mark.parametrize("name", ["missing", "missing.npz", "missing.pkl", "missing.index", "missing/model-500"])
def test_a_path_without_weights_is_named(tmp_path, name):
    assert f"--load {tmp_path / name}: there is no such" in message_of(find_run, str(tmp_path / name))
