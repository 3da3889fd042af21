"""A program that makes records itself."""
import importlib
import json

import pytest

from coco_folder import write_image
from config import new_config
from convert_folders import write_text
from data.registry import load_datasets
from training_runs import SMALLEST, TINY, train_here

ROWS = ["1.jpg,60,80,1,10,10,30,40", "1.jpg,60,80,2,5,5.5,25,50", "2.jpg,60,80,2,40,10,70,55"]


@pytest.fixture
def folder(tmp_path):
    for name in ("my_train", "my_val"):
        write_text(tmp_path / f"{name}.csv", "\n".join(ROWS) + "\n")
    for number in (1, 2):
        write_image(tmp_path / f"{number}.jpg", 60, 80, number)
    return tmp_path


def test_a_data_set_of_ones_own_is_found_by_its_name(folder):
    importlib.import_module("docs.own_records")
    cfg = new_config()
    cfg.DATA.BASEDIR = str(folder)
    (dataset,) = load_datasets(cfg, ("my_train",))
    assert dataset.class_names == ("cat", "dog")
    first, second = dataset.records
    assert first.boxes.tolist() == [[10, 10, 30, 40], [5, 5.5, 25, 50]] and first.labels.tolist() == [1, 2]
    assert first.size == (60, 80) and second.labels.tolist() == [2]
    assert first.areas.tolist() == [600, 890] and first.segmentations == [None, None]


@pytest.mark.slow
def test_a_data_set_of_ones_own_is_trained_on(folder, tmp_path):
    importlib.import_module("docs.own_records")
    train_here(["--logdir", str(tmp_path / "run"), "--config", *TINY, *SMALLEST, f"DATA.BASEDIR={folder}",
              "DATA.TRAIN=my_train", "DATA.VAL=my_val", "MODE_MASK=False", "TRAIN.LR_SCHEDULE=(2, 4)"])
    assert json.loads((tmp_path / "run" / "eval.json").read_text())["my_val"]["step"] == 4
