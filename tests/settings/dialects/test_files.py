"""YAML files: bases, values, and what is refused before anybody looks at a key."""
import os
import subprocess
import sys

import pytest

from config import new_config
from settings.dialects import files
from tiny import ROOT, message_of
from yaml_configs import D2_FPN_BASE, write_yaml


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write


def refusal(path):
    """What `--config @PATH` says, in one line that names the file."""
    message = message_of(new_config().update_args, [f"@{path}"])
    assert os.path.basename(path) in message
    return message


@pytest.mark.parametrize("text, expected", [
    ("(0.5, 1.0)", (0.5, 1.0)), ("[1, [2, 3]]", (1, (2, 3))), ("1e-4", 1e-4), ("'(1,)'", (1,)), ("abc", "abc"),
    ("('a', 'b')", ("a", "b")), ("True", True), ("'True'", True), ("", None), ("(1, 'x)", "(1, 'x)"), ("0.02", 0.02),
    ("2017-01-01", "2017-01-01"), ("{}", None), ("__import__('os')", "__import__('os')"), ("b'dag'", "b'dag'")])
def test_a_value_is_what_its_project_takes_it_for(write, text, expected):
    said, _ = files.read(write("a.yaml", f"A:\n  B: {text}\n"))
    assert said == ({} if text == "{}" else {"A.B": expected})


# bases --------------------------------------------------------------------------------------------------------------
def test_a_file_says_what_its_base_says_but_for_what_it_says_itself(tmp_path):
    (tmp_path / "configs").mkdir()
    write_yaml(tmp_path / "Base.yaml", D2_FPN_BASE)
    write_yaml(tmp_path / "configs" / "middle.yaml", {"_BASE_": "../Base.yaml", "MODEL.MASK_ON": True,
                                                      "SOLVER.MAX_ITER": 100000})
    word = write_yaml(tmp_path / "configs" / "top.yaml", {"_BASE_": "middle.yaml", "SOLVER.MAX_ITER": 270000})
    cfg = new_config()
    cfg.update_args([word])
    assert (cfg.MODE_MASK, cfg.TRAIN.LR_SCHEDULE, cfg.FPN.NUM_CHANNEL) == (True, (120000, 160000, 540000), 256)


def test_of_several_bases_the_later_wins(write):
    write("a.yaml", "A: {B: 1, C: 1}\n")
    write("b.yaml", "A: {B: 2, D: 2}\n")
    assert files.read(write("c.yaml", "_BASE_: [a.yaml, b.yaml]\n")) == ({"A.B": 2, "A.C": 1, "A.D": 2}, True)


def test_a_file_with_a_base_is_detectron2s(write, capsys):
    write("base.yaml", "SOLVER: {BASE_LR: 0.02}\n")
    new_config().update_args([f"@{write('top.yaml', '_BASE_: base.yaml')}"])
    assert "is of Detectron2 (it has a _BASE_)" in capsys.readouterr().err


@pytest.mark.parametrize("base, why", [
    ("a.yaml", "is based on itself"), ("b.yaml", "is based on itself"), ("no.yaml", "cannot read"),
    ("config.txt", "is no YAML file"), ("https://example.org/a.yaml", "is no YAML file"), ("5", "is no YAML file")])
def test_a_base_that_cannot_be_read_is_refused(write, base, why):
    write("b.yaml", "_BASE_: a.yaml\n")
    message = message_of(new_config().update_args, [f"@{write('a.yaml', f'_BASE_: {base}')}"])
    assert why in message


def test_a_long_chain_of_bases_is_refused(write):
    for i in range(30):
        write(f"{i}.yaml", f"_BASE_: {i + 1}.yaml\n")
    assert "is based on itself" in message_of(new_config().update_args, [f"@{write('top.yaml', '_BASE_: 0.yaml')}"])


# what is no config --------------------------------------------------------------------------------------------------
EVIL = {
    "a Python object": "A: !!python/object/apply:os.system ['touch touched']",
    "a Python tuple": "A: !!python/tuple [1, 2]",
    "a Python name": "A: !!python/name:os.system",
    "an object of Detectron": "!!python/object/new:detectron.utils.collections.AttrDict {}",
    "aliases": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
    "a merge": "a: &a {b: 1}\nc: {<<: *a}",
    "a list": "[1, 2]", "a text": "abc", "nothing": "", "two documents": "A: 1\n---\nB: 2\n",
    "a broken file": "A: [1, 2", "a tab": "A:\n\t- 1", "binary": b"\xff\xfe\x00\x80", "null bytes": b"A: \0\0",
    "a number for a key": "5: 1", "a list for a key": "[1, 2]: 1", "an impossible date": "A: 2001-99-99",
    "many levels": "A: " + "[" * 20000, "many keys": "".join("  " * i + "A:\n" for i in range(350)),
    "a huge file": "A: " + "x" * 1_000_000, "a huge number": "A: " + "9" * 5000 + "\nMODEL: {CONV_BODY: a}"}


@pytest.mark.parametrize("name", EVIL)
def test_what_is_no_config_is_refused_in_one_line(write, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    refusal(write("evil.yaml", EVIL[name]))
    assert os.listdir(tmp_path) == ["evil.yaml"]


@pytest.mark.parametrize("name, why", [
    ("aliases", "it has an alias"), ("a merge", "it has an alias"), ("a huge file", "has more than 128 KiB"),
    ("many levels", "it is nested too deeply"), ("many keys", "it is nested too deeply"),
    ("a Python name", "could not determine a constructor"), ("a broken file", "in line"), ("a list", "has no keys")])
def test_a_refusal_says_what_is_wrong(write, name, why):
    assert why in refusal(write("evil.yaml", EVIL[name]))


@pytest.mark.parametrize("name", ["no.yaml", "."])
def test_a_missing_file_is_named(tmp_path, name):
    (tmp_path / "folder.yaml").mkdir()
    path = tmp_path / name if name != "." else tmp_path / "folder.yaml"
    assert f"cannot read {path}" in refusal(str(path))


@pytest.mark.slow
def test_a_command_ends_with_one_line_and_status_2(write):
    path = write("evil.yaml", EVIL["a Python object"])
    done = subprocess.run([sys.executable, os.path.join(ROOT, "train.py"), "--config", f"@{path}"], text=True,
                          capture_output=True, cwd=os.path.dirname(path))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "could not determine a constructor" in done.stderr
