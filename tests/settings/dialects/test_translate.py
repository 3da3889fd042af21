"""What each of the files stands for, whose it is, and what is told of it."""
import itertools

import pytest

from config import finalize_configs, load_config, new_config, save_config
from settings import ConfigError
from settings.dialects import detectron, detectron2, maskrcnn_benchmark, translate
from settings.dialects.files import plain
from settings.dialects.theirs import Theirs
from tiny import message_of
from yaml_configs import D2_FPN_BASE, D_FPN, D_MASK, FILES, MB_FPN, write_yaml


@pytest.fixture
def read(tmp_path):
    """From dotted keys to the config that their file makes."""
    def read(said, *words):
        cfg = new_config()
        cfg.update_args([write_yaml(tmp_path / "their.yaml", said), *words])
        return cfg
    return read


def complete(cfg):
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("person",), (1,)
    if cfg.MODE_KEYPOINT:
        cfg.DATA.KEYPOINT_NAMES = ("head", "foot")
    return cfg


@pytest.mark.parametrize("name", FILES)
def test_a_file_sets_the_keys_that_it_stands_for(read, name):
    said, expected = FILES[name]
    flat = read(said).flatten()
    assert {key: flat[key] for key in expected} == {key: pytest.approx(value) if isinstance(value, float) else value
                                                    for key, value in expected.items()}


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_sets_can_be_trained(read, name):
    finalize_configs(complete(read(FILES[name][0])), is_training=True)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognized(read, name, capsys):
    read(FILES[name][0])
    project = name.split(",")[0].split(" ")[0]
    name = {"GIoU": "the GIoU fork of Detectron.pytorch"}.get(project, project)
    assert f"their.yaml is of {name} (" in capsys.readouterr().err


def test_a_file_ends_in_yml_too(tmp_path):
    cfg = new_config()
    cfg.update_args([write_yaml(tmp_path / "THEIR.YML", D_FPN)])
    assert cfg.TRAIN.WARMUP == 500


def test_later_words_win(read):
    assert read(D_FPN, "TRAIN.WARMUP=7").TRAIN.WARMUP == 7


def test_a_config_of_ours_may_name_a_file(tmp_path):
    word = write_yaml(tmp_path / "their.yaml", D_FPN)
    (tmp_path / "ours.cfg").write_text(f"{word}\nTRAIN.SEED=5\n")
    cfg = new_config()
    cfg.update_args([f"@{tmp_path / 'ours.cfg'}"])
    assert (cfg.TRAIN.WARMUP, cfg.TRAIN.SEED) == (500, 5)


def test_what_a_file_sets_is_in_the_runs_config(read, tmp_path):
    cfg, again = read({**D_FPN, **D_MASK}), new_config()
    save_config(cfg, tmp_path / "config.json")
    load_config(again, tmp_path / "config.json")
    assert again.flatten() == cfg.flatten()


# the table ----------------------------------------------------------------------------------------------------------
def test_what_has_no_effect_is_a_table_with_the_reasons(read, capsys):
    read({**D_FPN, "TEST.BBOX_AUG.ENABLED": True, "TEST.BBOX_AUG.H_FLIP": True, "TEST.SOFT_NMS.ENABLED": True,
          "MRCNN.DILATION": 2})
    lines = capsys.readouterr().err.splitlines()
    first, header, _, *rows = lines
    assert "(only there are keys such as MODEL.TYPE" in first or "(only there are keys such as " in first
    assert header.split() == ["key", "value", "here"]
    table = {row.split()[0]: row for row in rows}
    assert "2 keys" in table["TEST.BBOX_AUG.*"] and "once" in table["TEST.BBOX_AUG.*"]
    assert "True" in table["TEST.SOFT_NMS.ENABLED"] and "NMS is not soft" in table["TEST.SOFT_NMS.ENABLED"]
    assert "MODEL.MASK_ON is not set" in table["MRCNN.DILATION"]
    assert "not fetched" in table["TRAIN.WEIGHTS"] and "BACKBONE.WEIGHTS" in table["TRAIN.WEIGHTS"]
    assert "81" in table["MODEL.NUM_CLASSES"]
    assert not [key for key in D_FPN if key in table and key in ("FPN.FPN_ON", "SOLVER.STEPS", "TEST.NMS")]


def test_the_table_is_shown_once(tmp_path, capsys):
    word = write_yaml(tmp_path / "their.yaml", D_FPN)
    for _ in range(2):
        new_config().update_args([word])
    assert capsys.readouterr().err.count("their.yaml is of Detectron") == 1


def test_only_the_first_process_of_a_job_shows_it(read, capsys, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "1")
    read(D_FPN)
    assert capsys.readouterr().err == ""


# whose it is --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("said", [
    {"OUTPUT_DIR": "."}, {"SOLVER.BASE_LR": 0.1, "DATASETS.TRAIN": "('a',)"}, {"AAA": 1}, {"TRAIN": 1},
    {"MODEL.META_ARCHITECTURE": "GeneralizedRCNN", "MODEL.MASK_ON": True}])
def test_a_file_that_several_could_have_written_is_refused(read, said):
    assert "could be any of Detectron, maskrcnn-benchmark, Detectron2" in message_of(read, said)


@pytest.mark.parametrize("said, key, value, also", [
    (D_FPN, "TRAIN.FREEZ_AT", 0, "did you mean TRAIN.FREEZE_AT?"),
    (D_FPN, "MODEL.ROI_HEADS.NMS", 0.3, "is no key of Detectron"),
    (MB_FPN, "MODEL.MASKIOU_ON", True, "is no key of maskrcnn-benchmark"),
    (D2_FPN_BASE, "SOLVER.OPTIMIZER", "ADAMW", "is no key of Detectron2"),
    (D2_FPN_BASE, "MODEL.SWINT.EMBED_DIM", 96, "is no key of Detectron2")])
def test_a_key_that_is_not_known_is_refused(read, said, key, value, also):
    message = message_of(read, {**said, key: value})
    assert f"their.yaml: {key}={value!r}" in message and also in message


@pytest.mark.parametrize("dialect, said", [(detectron, {**D_FPN, **D_MASK}), (maskrcnn_benchmark, MB_FPN),
                                           (detectron2, D2_FPN_BASE)])
def test_whatever_the_value_of_a_key_is_it_is_taken_or_refused_in_one_line(dialect, said):
    names = {*dialect.keys.DEFAULTS, *(key for fixed in dialect.keys.FIXED for key in fixed)}
    for name, value in itertools.product(sorted(names), (None, "x", 10 ** 400, ("x",), ((),))):
        theirs = Theirs("their.yaml", dialect.keys, {**{key: plain(v) for key, v in said.items()}, name: value})
        try:
            dialect.translate(theirs)
        except ConfigError as e:
            assert "\n" not in str(e)


def test_a_reason_names_three_keys_at_most(tmp_path):
    write_yaml(tmp_path / "their.yaml", D_FPN)
    _, reason = translate.translate(str(tmp_path / "their.yaml"))
    assert reason.count(",") == 2 and " more" in reason
