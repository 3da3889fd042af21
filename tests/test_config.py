"""The config: its defaults, what follows from them, its json."""
import glob
import json
import os

import pytest

from config import finalize_configs, load_config, new_config, save_config
from tiny import ROOT, complete_config, message_of


@pytest.fixture
def cfg():
    """A config that is ready for finalize_configs."""
    return complete_config()


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(ROOT, "configs", "*.cfg"))), ids=os.path.basename)
def test_every_config_that_comes_along_can_be_trained(cfg, path):
    cfg.update_args([f"@{path}"])
    finalize_configs(cfg, is_training=True)


def test_finalize_counts_the_classes_and_leaves_a_home_folder_as_it_was_written(cfg):
    cfg.DATA.BASEDIR = "~/coco"
    finalize_configs(cfg, is_training=False)
    assert (cfg.DATA.NUM_CATEGORY, cfg.DATA.BASEDIR) == (2, "~/coco")


@pytest.mark.parametrize("words, rpn, frcnn, cascade", [
    ((), "smooth_l1", "smooth_l1", "smooth_l1"), (("FRCNN.LOSS_TYPE=sl1",), "smooth_l1", "smooth_l1", "smooth_l1"),
    (("FRCNN.LOSS_TYPE=giou",), "smooth_l1", "giou", "giou"),
    (("RPN.LOSS_TYPE=iou", "FRCNN.LOSS_TYPE=diou", "CASCADE.LOSS_TYPE=ciou"), "iou", "diou", "ciou")])
def test_each_part_has_a_loss_and_a_cascade_that_of_the_box_head(cfg, words, rpn, frcnn, cascade):
    cfg.update_args(words)
    finalize_configs(cfg, True)
    assert (cfg.RPN.LOSS_TYPE, cfg.FRCNN.LOSS_TYPE, cfg.CASCADE.LOSS_TYPE) == (rpn, frcnn, cascade)


# json ---------------------------------------------------------------------------------------------------------------
def test_a_config_goes_to_json_and_back(cfg, tmp_path):
    cfg.update_args(["TRAIN.BASE_LR=1", "DATA.TRAIN=a,b", "CASCADE.BBOX_REG_WEIGHTS=((1, 2, 3, 4),)",
                     "DATA.BASEDIR=/ä b"])
    finalize_configs(cfg, is_training=True)
    save_config(cfg, tmp_path / "config.json")
    loaded = new_config()
    load_config(loaded, tmp_path / "config.json")
    assert loaded.flatten() == cfg.flatten()
    assert {k: type(v) for k, v in loaded.flatten().items()} == {k: type(v) for k, v in cfg.flatten().items()}


def test_a_json_of_some_keys_leaves_the_others(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"TRAIN": {"WARMUP": 5}}))
    cfg = new_config()
    load_config(cfg, tmp_path / "c.json")
    assert cfg.TRAIN.WARMUP == 5 and cfg.TRAIN.BASE_LR == new_config().TRAIN.BASE_LR


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3", "null", "\x00"])
def test_a_file_that_is_no_config_is_named(text, tmp_path):
    (tmp_path / "c.json").write_text(text)
    assert f"cannot read {tmp_path}/c.json" in message_of(load_config, new_config(), str(tmp_path / "c.json"))


def test_a_json_that_is_missing_is_named(tmp_path):
    assert f"cannot read {tmp_path}/c.json" in message_of(load_config, new_config(), str(tmp_path / "c.json"))


@pytest.mark.parametrize("tree, named", [
    ({"TRAIN": {"WARMUP": "x"}}, "TRAIN.WARMUP"), ({"TRAIN": 3}, "TRAIN"),
    ({"MODE_MASK": None}, "MODE_MASK"), ({"TRAIN": {"LR_SCHEDULE": [1.5]}}, "TRAIN.LR_SCHEDULE"),
])
def test_a_json_with_other_types_is_refused(tree, named, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(tree))
    assert named in message_of(load_config, new_config(), str(tmp_path / "c.json"))


def test_a_key_of_another_version_in_a_runs_config_is_named_and_passed_over(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"TRAIN": {"COSINE": true, "SEED": 5}, "MODE_DEPTH": false}')
    cfg = new_config()
    load_config(cfg, tmp_path / "config.json")
    assert cfg.TRAIN.SEED == 5 and "TRAIN.COSINE" not in cfg.flatten()
    (line,) = capsys.readouterr().err.splitlines()
    assert "TRAIN.COSINE, MODE_DEPTH" in line and "config.json" in line
