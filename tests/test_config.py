"""The config: its words, its files, its checks."""
import ast
import glob
import json
import os
import re

import common
import pytest
from hypothesis import given, settings, strategies as st

from config import AttrDict, ConfigError, config, finalize_configs, load_config, save_config

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture
def cfg():
    """A config that is ready for finalize_configs."""
    cfg = config.clone()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("cat", "dog"), (3, 7)
    return cfg


def updated(cfg, *words):
    cfg.update_args(words)
    return cfg.flatten()


def message_of(function, *args):
    """The message of the ConfigError that a call ends in. It is one line."""
    with pytest.raises(ConfigError) as error:
        function(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


# values -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("word, expected", [
    ("MODE_MASK=False", False),
    ("TRAIN.WARMUP=-3", -3),
    ("TRAIN.BASE_LR=0.5", 0.5),
    ("TRAIN.BASE_LR=1e-3", 1e-3),
    ("TRAIN.BASE_LR=1", 1.0),
    ("DATA.BASEDIR=/data/my coco", "/data/my coco"),
    ("DATA.BASEDIR='/data/my coco'", "/data/my coco"),
    ("DATA.BASEDIR=a=b", "a=b"),
    ("DATA.BASEDIR=2017", "2017"),
    ("DATA.BASEDIR=(1, 2)", "(1, 2)"),
    ("DATA.BASEDIR=True", "True"),
    ("BACKBONE.WEIGHTS=", ""),
    ("FPN.NORM=None", "None"),
    ("BACKBONE.RESNET_NUM_BLOCKS=(3, 4, 23, 3)", (3, 4, 23, 3)),
    ("BACKBONE.RESNET_NUM_BLOCKS=[3, 4, 23, 3]", (3, 4, 23, 3)),
    ("BACKBONE.RESNET_NUM_BLOCKS=3,4,23,3", (3, 4, 23, 3)),
    ("RPN.ANCHOR_RATIOS=(1, 2)", (1.0, 2.0)),
    ("RPN.ANCHOR_RATIOS=(1,)", (1.0,)),
    ("DATA.TRAIN=one", ("one",)),
    ("DATA.TRAIN=one,two", ("one", "two")),
    ("DATA.TRAIN=('one', 'two')", ("one", "two")),
    ("DATA.TRAIN=['one']", ("one",)),
    ("CASCADE.BBOX_REG_WEIGHTS=((1, 2, 3, 4), (5, 6, 7, 8))", ((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0))),
    (" TRAIN.WARMUP = 7 ", 7),
])
def test_a_value_is_read_as_the_type_of_its_key(cfg, word, expected):
    value = updated(cfg, word)[word.partition("=")[0].strip()]
    assert value == expected
    assert type(value) is type(expected)
    if isinstance(value, tuple):
        assert [type(v) for v in value] == [type(v) for v in expected]


def test_the_later_word_wins(cfg):
    assert updated(cfg, "TRAIN.WARMUP=1", "TRAIN.WARMUP=2")["TRAIN.WARMUP"] == 2


def test_a_word_changes_nothing_else(cfg):
    before = cfg.flatten()
    after = updated(cfg, "TRAIN.WARMUP=17")
    assert {k for k in before if before[k] != after[k]} == {"TRAIN.WARMUP"}


def test_every_default_can_be_written_as_a_word(cfg):
    before = cfg.flatten()
    assert updated(cfg, *(f"{key}={value!r}" for key, value in before.items())) == before


@pytest.mark.parametrize("word, wanted", [
    ("MODE_MASK=yes", "True or False"), ("MODE_MASK=1", "True or False"), ("MODE_MASK=false", "True or False"),
    ("TRAIN.WARMUP=many", "an int"), ("TRAIN.WARMUP=1.5", "an int"), ("TRAIN.WARMUP=1e3", "an int"),
    ("TRAIN.WARMUP=True", "an int"),
    ("TRAIN.WARMUP=", "an int"), ("TRAIN.WARMUP=(1,)", "an int"), ("TRAIN.WARMUP=None", "an int"),
    ("TRAIN.BASE_LR=fast", "a float"), ("TRAIN.BASE_LR=True", "a float"), ("TRAIN.BASE_LR=nan", "a float"),
    ("TRAIN.LR_SCHEDULE=1000", "a tuple of int"), ("TRAIN.LR_SCHEDULE=(1.5, 2)", "a tuple of int"),
    ("TRAIN.LR_SCHEDULE=a,b", "a tuple of int"),
    ("RPN.ANCHOR_RATIOS=(1, 'x')", "a tuple of float"),
    ("DATA.TRAIN=(1, 2)", "a tuple of str"),
])
def test_a_value_of_the_wrong_type_names_the_key_the_value_and_the_wanted_type(cfg, word, wanted):
    before = cfg.flatten()
    message = message_of(cfg.update_args, [word])
    assert f"{word} is" in message
    assert f"takes {wanted}" in message
    assert cfg.flatten() == before


@pytest.mark.parametrize("word, wanted", [
    ("TRAIN.BASE_LEARNING=1", "TRAIN.BASE_LR"), ("TRAIN.BASELR=1", "TRAIN.BASE_LR"), ("BASE_LR=1", "TRAIN.BASE_LR"),
    ("train.base_lr=1", "TRAIN.BASE_LR"), ("MODE_MASKS=True", "MODE_MASK"), ("TEST.BASE_LR=1", "TRAIN.BASE_LR"),
])
def test_an_unknown_key_names_the_nearest(cfg, word, wanted):
    message = message_of(cfg.update_args, [word])
    assert f"no key {word.partition('=')[0]};" in message
    assert wanted in message


def test_a_key_unlike_any_says_where_the_keys_are(cfg):
    assert "config.py lists them all" in message_of(cfg.update_args, ["QQQQ=1"])


@pytest.mark.parametrize("word", [
    "TRAIN=1", "TRAIN.BASE_LR.X=1", "=1", ".=1", "TRAIN.=1", "_frozen=True", "TRAIN._frozen=True", "keys=1"])
def test_only_leaves_of_the_config_can_be_set(cfg, word):
    assert "no key" in message_of(cfg.update_args, [word])


@pytest.mark.parametrize("word", ["TRAIN.BASE_LR", "0.1", ""])
def test_a_word_without_an_equals_sign_is_no_word(cfg, word):
    message = message_of(cfg.update_args, [word])
    assert repr(word) in message and "KEY=VALUE" in message


@pytest.mark.parametrize("code", ["__import__('os').system('touch {}')", "open('{}', 'w')", "[open('{}', 'w')]"])
def test_a_value_is_never_executed(cfg, tmp_path, code):
    path = tmp_path / "touched"
    code = code.format(path)
    assert updated(cfg, f"DATA.BASEDIR={code}")["DATA.BASEDIR"] == code
    message_of(cfg.update_args, [f"TRAIN.WARMUP={code}"])
    message_of(cfg.update_args, [f"TRAIN.LR_SCHEDULE={code}"])
    assert not path.exists()


KEYS = st.sampled_from(sorted(config.flatten()))


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(KEYS, PRINTABLE | st.from_regex(r"[-\[\](){}:,.'\"0-9eaTN +=@#]*", fullmatch=True))
def test_whatever_is_written_is_taken_or_refused_in_one_line(key, text):
    try:
        config.clone().update_args([f"{key}={text}"])
    except ConfigError as e:
        assert len(str(e).splitlines()) == 1


@pytest.mark.parametrize("word", [
    "DATA.BASEDIR={[]:1}", "TRAIN.BASE_LR=1" + "0" * 400, "TRAIN.WARMUP=" + "(" * 500 + ")" * 500],
    ids=["unhashable key", "huge number", "deep nesting"])
def test_values_that_python_chokes_on_are_taken_or_refused(cfg, word):
    try:
        cfg.update_args([word])
    except ConfigError:
        pass


# files --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return f"@{path}"
    return write


def test_a_file_has_a_word_a_line_with_comments_and_blank_lines(cfg, write):
    word = write("a.cfg", "# a comment\n\n  TRAIN.WARMUP=5  \nDATA.BASEDIR=a#b\n   # TRAIN.WARMUP=6\n")
    flat = updated(cfg, word)
    assert (flat["TRAIN.WARMUP"], flat["DATA.BASEDIR"]) == (5, "a#b")


def test_a_file_may_name_another(cfg, write):
    inner = write("inner.cfg", "TRAIN.WARMUP=1\nTRAIN.SEED=1\n")
    outer = write("outer.cfg", f"{inner}\nTRAIN.WARMUP=2\n")
    flat = updated(cfg, outer)
    assert (flat["TRAIN.WARMUP"], flat["TRAIN.SEED"]) == (2, 1)


def test_files_and_words_count_from_left_to_right(cfg, write):
    word = write("a.cfg", "TRAIN.WARMUP=1\nTRAIN.SEED=1\n")
    flat = updated(cfg, "TRAIN.WARMUP=2", word, "TRAIN.SEED=2")
    assert (flat["TRAIN.WARMUP"], flat["TRAIN.SEED"]) == (1, 2)


def test_a_file_that_names_itself_is_refused(cfg, write, tmp_path):
    word = write("loop.cfg", f"TRAIN.WARMUP=1\n@{tmp_path}/loop.cfg\n")
    assert "loop.cfg" in message_of(cfg.update_args, [word])


def test_a_missing_file_is_named(cfg, tmp_path):
    assert f"cannot read {tmp_path}/no.cfg" in message_of(cfg.update_args, [f"@{tmp_path}/no.cfg"])


def test_a_folder_is_no_file(cfg, tmp_path):
    assert f"cannot read {tmp_path}" in message_of(cfg.update_args, [f"@{tmp_path}"])


def test_a_file_that_is_no_text_is_named(cfg, tmp_path):
    (tmp_path / "x.cfg").write_bytes(b"\xff\xfe\x00\x80")
    assert f"cannot read {tmp_path}/x.cfg (not a text file)" in message_of(cfg.update_args, [f"@{tmp_path}/x.cfg"])


def test_a_mistake_in_a_file_is_refused_as_on_the_command_line(cfg, write):
    assert "TRAIN.BASE_LR" in message_of(cfg.update_args, [write("a.cfg", "TRAIN.BASE_L=1\n")])


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(ROOT, "configs", "*.cfg"))), ids=os.path.basename)
def test_every_config_that_comes_along_can_be_trained(cfg, path):
    cfg.update_args([f"@{path}"])
    finalize_configs(cfg, is_training=True)


# the tree -----------------------------------------------------------------------------------------------------------
def test_a_key_that_is_not_there_names_those_that_are():
    with pytest.raises(AttributeError, match="no key BASE_L;.*BASE_LR"):
        config.TRAIN.BASE_L


def test_a_clone_is_independent(cfg):
    clone = cfg.clone()
    clone.TRAIN.WARMUP = 77
    clone.NEW = 1
    assert cfg.TRAIN.WARMUP != 77 and "NEW" not in cfg.keys()


def test_a_finalized_config_does_not_change(cfg):
    finalize_configs(cfg, is_training=True)
    before = cfg.flatten()
    for change in (lambda: setattr(cfg, "MODE_MASK", False), lambda: setattr(cfg.TRAIN, "WARMUP", 1),
                   lambda: setattr(cfg.TRAIN, "NEW", 1), lambda: cfg.update_args(["TRAIN.WARMUP=1"])):
        assert "frozen" in message_of(change)
    assert cfg.flatten() == before


def test_a_clone_of_a_finalized_config_can_be_changed(cfg):
    finalize_configs(cfg, is_training=True)
    clone = cfg.clone()
    clone.TRAIN.WARMUP = 7
    assert clone.TRAIN.WARMUP == 7


def test_tests_do_not_change_the_default(cfg):
    cfg.TRAIN.WARMUP = 7
    assert config.TRAIN.WARMUP == 1000


def test_flatten_has_dotted_names_and_no_inner_nodes():
    flat = AttrDict({"A": {"B": {"C": 1}, "D": (2,)}, "E": None}).flatten()
    assert flat == {"A.B.C": 1, "A.D": (2,), "E": None}


# finalize -----------------------------------------------------------------------------------------------------------
def test_finalize_counts_the_classes_and_expands_the_home_folder(cfg, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    cfg.DATA.BASEDIR = "~/coco"
    finalize_configs(cfg, is_training=False)
    assert (cfg.DATA.NUM_CATEGORY, cfg.DATA.BASEDIR) == (2, "/home/me/coco")


def test_finalize_wants_class_names():
    assert "DATA.CLASS_NAMES" in message_of(finalize_configs, config.clone(), False)


def test_finalize_wants_an_id_for_every_class(cfg):
    cfg.DATA.CATEGORY_IDS = (3,)
    message = message_of(finalize_configs, cfg, False)
    assert "DATA.CATEGORY_IDS=(3,)" in message and "2 numbers" in message


@pytest.mark.parametrize("words, remedy", [
    ("MODE_FPN=False FPN.CASCADE=True", "set MODE_FPN=True, or FPN.CASCADE=False"),
    ("MODE_FPN=False RPN.ANCHOR_STRIDE=32", "RPN.ANCHOR_STRIDE=32 must be 16"),
    ("MODE_FPN=False RPN.ANCHOR_SIZES=()", "RPN.ANCHOR_SIZES=() must be positive numbers, at least one"),
    ("FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6)", "CASCADE.IOUS=(0.5, 0.6) must be two or more IoUs"),
    ("FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6, 70)", "CASCADE.IOUS=(0.5, 0.6, 70.0) must be two or more IoUs in 0..1"),
    ("FPN.CASCADE=True CASCADE.BBOX_REG_WEIGHTS=((1,),(1,),(1,))", "with 4 numbers for each of them"),
    ("FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head FPN.FRCNN_CONV_HEAD_DIM=33", "CONV_HEAD_DIM=33 does not split"),
    ("FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head MRCNN.HEAD_DIM=33", "MRCNN.HEAD_DIM=33 does not split"),
])
def test_parts_that_do_not_go_together_are_refused_with_the_remedy(cfg, words, remedy):
    cfg.update_args(re.split(r" (?=[A-Z])", words))
    assert remedy in message_of(finalize_configs, cfg, True)


@pytest.mark.parametrize("words", [
    "MODE_FPN=False RPN.ANCHOR_SIZES=(32, 64)", "FPN.CASCADE=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_head",
    "FPN.CASCADE=True CASCADE.IOUS=(0.5, 0.6) CASCADE.BBOX_REG_WEIGHTS=((10, 10, 5, 5), (20, 20, 10, 10))"])
def test_parts_that_go_together_are_taken(cfg, words):
    cfg.update_args(re.split(r" (?=[A-Z])", words))
    finalize_configs(cfg, True)


@pytest.mark.parametrize("words, rpn, frcnn, cascade", [
    ((), "smooth_l1", "smooth_l1", "smooth_l1"), (("FRCNN.LOSS_TYPE=sl1",), "smooth_l1", "smooth_l1", "smooth_l1"),
    (("FRCNN.LOSS_TYPE=giou",), "smooth_l1", "giou", "giou"),
    (("RPN.LOSS_TYPE=iou", "FRCNN.LOSS_TYPE=diou", "CASCADE.LOSS_TYPE=ciou"), "iou", "diou", "ciou")])
def test_each_part_has_a_loss_and_a_cascade_that_of_the_box_head(cfg, words, rpn, frcnn, cascade):
    cfg.update_args(words)
    finalize_configs(cfg, True)
    assert (cfg.RPN.LOSS_TYPE, cfg.FRCNN.LOSS_TYPE, cfg.CASCADE.LOSS_TYPE) == (rpn, frcnn, cascade)


@pytest.mark.parametrize("name, steps", [
    ("1x", (120000, 160000, 180000)), ("2x", (240000, 320000, 360000)), ("4x", (600000, 680000, 720000)),
    ("9x", (1500000, 1580000, 1620000))])
def test_a_schedule_of_the_zoo_has_a_name(cfg, name, steps):
    cfg.update_args([f"TRAIN.LR_SCHEDULE={name}"])
    assert cfg.TRAIN.LR_SCHEDULE == steps


@pytest.mark.parametrize("name", ["0x", "10x", "x", "2X"])
def test_no_other_schedule_has_a_name(cfg, name):
    assert f"TRAIN.LR_SCHEDULE={name} is a string" in message_of(cfg.update_args, [f"TRAIN.LR_SCHEDULE={name}"])


@pytest.mark.parametrize("word", [
    "TRAINER=horses", "BACKBONE.NORM=BN", "BACKBONE.FREEZE_AT=3", "BACKBONE.FREEZE_AT=-1", "FPN.PROPOSAL_MODE=level",
    "FPN.NORM=FreezeBN",
    "FPN.FRCNN_HEAD_FUNC=x", "FPN.MRCNN_HEAD_FUNC=x", "RPN.HEAD_DIM=0", "FPN.FRCNN_CONV_HEAD_DIM=0",
    "RPN.ANCHOR_SIZES=(0, 1, 2, 3, 4)", "RPN.LOSS_TYPE=GIoU", "FRCNN.LOSS_TYPE=l2", "CASCADE.LOSS_TYPE=none",
    "RPN.LOSS_BBOX_WEIGHT=-1", "FRCNN.LOSS_BBOX_WEIGHT=-0.5",
    "BACKBONE.RESNET_NUM_BLOCKS=(3, 4, 6)", "BACKBONE.RESNET_NUM_BLOCKS=(3, 4, 6, 0)", "BACKBONE.RESNET_NUM_BLOCKS=()",
    "FPN.ANCHOR_STRIDES=(8, 16, 32, 64, 128)", "FPN.ANCHOR_STRIDES=(4, 8, 16, 32, 65)",
    "RPN.ANCHOR_SIZES=(32, 64, 128, 256)", "PREPROC.TRAIN_SHORT_EDGE_SIZE=(800, 640)",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(800,)",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(0, 800)", "PREPROC.TEST_SHORT_EDGE_SIZE=0",
    "PREPROC.TEST_SHORT_EDGE_SIZE=1400", "PREPROC.MAX_SIZE=700",
    "TEST.IMS_PER_BATCH=0", "TEST.RESULTS_PER_IM=0", "TRAIN.IMS_PER_GPU=0", "TRAIN.STEPS_PER_EPOCH=0",
    "RPN.BATCH_PER_IM=0",
    "FRCNN.BATCH_PER_IM=-1", "TRAIN.EVAL_PERIOD=0", "TRAIN.CHECKPOINT_PERIOD=0", "TRAIN.MAX_TO_KEEP=0",
    "MRCNN.GT_RESOLUTION=0",
    "RPN.POSITIVE_ANCHOR_THRESH=1.5", "RPN.NEGATIVE_ANCHOR_THRESH=-0.1", "RPN.FG_RATIO=2", "RPN.PROPOSAL_NMS_THRESH=70",
    "FRCNN.FG_THRESH=1.1", "FRCNN.FG_RATIO=-1", "TEST.FRCNN_NMS_THRESH=2", "TEST.RESULT_SCORE_THRESH=5",
    "TRAIN.LR_SCHEDULE=()", "TRAIN.LR_SCHEDULE=(100, 50)", "TRAIN.LR_SCHEDULE=(100, 100)",
    "TRAIN.LR_SCHEDULE=(0, 100)", "DATA.NUM_WORKERS=-1",
])
def test_a_value_that_cannot_work_is_refused_with_key_and_value(cfg, word):
    cfg.update_args([word])
    message = message_of(finalize_configs, cfg, True)
    key, _, value = word.partition("=")
    assert f"{key}=" in message
    assert value in message or f"{key}={cfg.flatten()[key]}" in message


def test_a_short_edge_beyond_the_longest_edge_is_refused(cfg):
    cfg.update_args(["PREPROC.TRAIN_SHORT_EDGE_SIZE=(800, 2000)"])
    message = message_of(finalize_configs, cfg, True)
    assert "PREPROC.TRAIN_SHORT_EDGE_SIZE=2000" in message and "PREPROC.MAX_SIZE=1333" in message


@pytest.mark.parametrize("word", [
    "BACKBONE.WIDTH=0", "BACKBONE.WIDTH=40", "FPN.NUM_CHANNEL=0", "FPN.NUM_CHANNEL=100",
    "PREPROC.PIXEL_MEAN=(1.0, 2.0)",
    "PREPROC.PIXEL_STD=(0.0, 1.0, 1.0)", "FRCNN.BBOX_REG_WEIGHTS=(10.0, 5.0)", "RPN.ANCHOR_RATIOS=()",
    "RPN.TEST_PER_LEVEL_NMS_TOPK=0",
    "TRAIN.NUM_GPUS=-1",
])
def test_a_value_that_no_network_with_group_norm_can_be_built_with_is_refused(cfg, word):
    cfg.update_args(["BACKBONE.NORM=GN", "FPN.NORM=GN", word])
    assert word.partition("=")[0] in message_of(finalize_configs, cfg, True)


def test_the_schedule_does_not_matter_without_training(cfg):
    cfg.TRAIN.LR_SCHEDULE = ()
    finalize_configs(cfg, is_training=False)


# json ---------------------------------------------------------------------------------------------------------------
def test_a_config_goes_to_json_and_back(cfg, tmp_path):
    cfg.update_args(["TRAIN.BASE_LR=1", "DATA.TRAIN=a,b", "CASCADE.BBOX_REG_WEIGHTS=((1, 2, 3, 4),)",
                     "DATA.BASEDIR=/ä b"])
    finalize_configs(cfg, is_training=True)
    save_config(cfg, tmp_path / "config.json")
    loaded = config.clone()
    load_config(loaded, tmp_path / "config.json")
    assert loaded.flatten() == cfg.flatten()
    assert {k: type(v) for k, v in loaded.flatten().items()} == {k: type(v) for k, v in cfg.flatten().items()}


def test_a_json_of_some_keys_leaves_the_others(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"TRAIN": {"WARMUP": 5}}))
    cfg = config.clone()
    load_config(cfg, tmp_path / "c.json")
    assert cfg.TRAIN.WARMUP == 5 and cfg.TRAIN.BASE_LR == config.TRAIN.BASE_LR


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3", "null", "\x00"])
def test_a_file_that_is_no_config_is_named(text, tmp_path):
    (tmp_path / "c.json").write_text(text)
    assert f"cannot read {tmp_path}/c.json" in message_of(load_config, config.clone(), str(tmp_path / "c.json"))


def test_a_json_that_is_missing_is_named(tmp_path):
    assert f"cannot read {tmp_path}/c.json" in message_of(load_config, config.clone(), str(tmp_path / "c.json"))


@pytest.mark.parametrize("tree, named", [
    ({"TRAIN": {"WARMUPS": 5}}, "TRAIN.WARMUP"), ({"TRAIN": {"WARMUP": "x"}}, "TRAIN.WARMUP"), ({"TRAIN": 3}, "TRAIN"),
    ({"MODE_MASK": None}, "MODE_MASK"), ({"TRAIN": {"LR_SCHEDULE": [1.5]}}, "TRAIN.LR_SCHEDULE"),
])
def test_a_json_with_other_keys_or_types_is_refused(tree, named, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(tree))
    assert named in message_of(load_config, config.clone(), str(tmp_path / "c.json"))


def test_config_py_never_evaluates():
    with open(os.path.join(ROOT, "config.py"), encoding="utf-8") as f:
        nodes = ast.walk(ast.parse(f.read()))
    assert not {node.id for node in nodes if isinstance(node, ast.Name)} & {"eval", "exec", "compile", "__import__"}
