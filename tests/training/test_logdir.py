"""The folder of a run."""
import json
import os

from common import UserError

import pytest

from config import new_config, save_config
from training.logdir import check_free, read_config, remove_run

OTHER_CONFIGS = ["", "[1]", '{"model": "gpt"}', '{"TRAIN": 1, "DATA": {}, "BACKBONE": {}}']


@pytest.fixture
def run(tmp_path):
    """A run's folder, with some files of a person in it."""
    save_config(new_config(), tmp_path / "config.json")
    for name in ("batches.json", "eval.json", "log.log", "log.log.1124-131946", "events.out.tfevents.1795524793.vm",
                 "checkpoint", "model-8.index", "model-8.data-00000-of-00001", "model-6.data-00000-of-00001",
                 "model-8.frozen", "detections-val-8.json", "detections-val-8_curves.png",
                 "detections-val-8.json.partial", "notes.txt", "model-8.npz", "model.py", "config.json.bak"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".writing-77").mkdir()
    (tmp_path / ".writing-77" / "model-9.index").write_text("x")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "eval.json").write_text("x")
    return tmp_path


def test_overwriting_a_run_deletes_its_files_and_nothing_else(run):
    check_free(str(run), overwrite=True)
    remove_run(str(run))
    assert sorted(os.listdir(run)) == ["config.json.bak", "model-8.npz", "model.py", "notes.txt", "pictures"]
    assert os.listdir(run / "pictures") == ["eval.json"]


@pytest.mark.parametrize("content", OTHER_CONFIGS)
def test_a_folder_whose_config_is_no_runs_is_never_overwritten(run, content):
    (run / "config.json").write_text(content)
    before = sorted(os.listdir(run))
    for overwrite in (False, True):
        with pytest.raises(UserError, match="config.json is not a run's"):
            check_free(str(run), overwrite)
    remove_run(str(run))
    assert sorted(os.listdir(run)) == before


def test_a_run_of_another_version_can_be_overwritten(run):
    (run / "config.json").write_text(json.dumps({"TRAIN": {"X": 1}, "DATA": {}, "BACKBONE": {}, "NEW": 1}))
    check_free(str(run), overwrite=True)
    remove_run(str(run))
    assert not (run / "model-8.index").exists()


def test_a_folder_without_a_config_is_free_and_left_alone(run):
    (run / "config.json").unlink()
    before = sorted(os.listdir(run))
    check_free(str(run), overwrite=False)
    remove_run(str(run))
    assert sorted(os.listdir(run)) == before and read_config(str(run)) is None
