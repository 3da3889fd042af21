"""Words of a config: what is taken, as what, and what is refused."""
import ast
import contextlib
import os

import hypothesis
import pytest
from hypothesis import strategies as st

from config import new_config
from settings import ConfigError
from tiny import ROOT, message_of


def updated(cfg, *args):
    cfg.update_args(args)
    return cfg.flatten()


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


KEYS = st.sampled_from(sorted(new_config().flatten()))


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
@hypothesis.given(KEYS, PRINTABLE | st.from_regex(r"[-\[\](){}:,.'\"0-9eaTN +=@#]*", fullmatch=True))
def test_whatever_is_written_is_taken_or_refused_in_one_line(key, text):
    try:
        new_config().update_args([f"{key}={text}"])
    except ConfigError as e:
        assert len(str(e).splitlines()) == 1


@pytest.mark.parametrize("word", [
    "DATA.BASEDIR={[]:1}", "TRAIN.BASE_LR=1" + "0" * 400, "TRAIN.WARMUP=" + "(" * 500 + ")" * 500],
    ids=["unhashable key", "huge number", "deep nesting"])
def test_values_that_python_chokes_on_are_taken_or_refused(cfg, word):
    with contextlib.suppress(ConfigError):
        cfg.update_args([word])


@pytest.mark.parametrize("name, steps", [
    ("1x", (120000, 160000, 180000)), ("2x", (240000, 320000, 360000)), ("4x", (600000, 680000, 720000)),
    ("9x", (1500000, 1580000, 1620000))])
def test_a_schedule_of_the_zoo_has_a_name(cfg, name, steps):
    cfg.update_args([f"TRAIN.LR_SCHEDULE={name}"])
    assert cfg.TRAIN.LR_SCHEDULE == steps


@pytest.mark.parametrize("name", ["0x", "10x", "x", "2X"])
def test_no_other_schedule_has_a_name(cfg, name):
    assert f"TRAIN.LR_SCHEDULE={name} is a string" in message_of(cfg.update_args, [f"TRAIN.LR_SCHEDULE={name}"])


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


def test_a_file_that_a_file_names_may_stand_beside_it(cfg, write):
    write("inner.cfg", "TRAIN.WARMUP=1\n")
    assert updated(cfg, write("outer.cfg", "@inner.cfg\nTRAIN.SEED=1\n"))["TRAIN.WARMUP"] == 1


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


@pytest.mark.parametrize("name", ["config.py", "settings/words.py", "settings/tree.py"])
def test_a_config_never_evaluates(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        nodes = ast.walk(ast.parse(f.read()))
    assert not {node.id for node in nodes if isinstance(node, ast.Name)} & {"eval", "exec", "compile", "__import__"}
