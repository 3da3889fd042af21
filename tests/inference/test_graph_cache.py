"""Frozen networks in the user's cache folder."""
import ast
import os
import pathlib
import stat
import sys

import common

import numpy as np
import pytest
import tensorflow as tf

from inference import graph_cache
from inference.graph_cache import cache_folder, freeze_cached


@pytest.fixture(scope="module")
def cfg(make_config):
    return make_config()


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Of a weight file, of which nothing is kept yet"""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "model").mkdir()
    np.savez(tmp_path / "model" / "model.npz", **{"conv0/W": np.ones(3)})
    return str(tmp_path / "model" / "model.npz")


@pytest.fixture
def frozen_anew(monkeypatch):
    """Paths of the weights that were frozen, not read from a file; each gives another graph."""
    paths = []

    def freeze(cfg, weights_path):
        paths.append(weights_path)
        with tf.Graph().as_default() as graph:
            tf.nn.conv2d(np.full((1, 2, 2, 1), len(paths), np.float32), np.ones((1, 1, 1, 1), np.float32), 1, "SAME")
        return graph.as_graph_def()

    monkeypatch.setattr(graph_cache, "freeze", freeze)
    return paths


def kept():
    """Returns: str, the path of the one file that is kept"""
    name, = os.listdir(cache_folder())
    return os.path.join(cache_folder(), name)


def test_what_was_kept_is_read_and_nothing_lies_beside_the_weights(cfg, path, frozen_anew):
    first = freeze_cached(cfg, path)
    assert freeze_cached(cfg, path) == first and frozen_anew == [path]
    assert os.listdir(os.path.dirname(path)) == ["model.npz"]


def test_what_is_kept_is_the_users_alone(cfg, path, frozen_anew):
    os.makedirs(cache_folder(), mode=0o777)
    freeze_cached(cfg, path)
    assert stat.S_IMODE(os.stat(cache_folder()).st_mode) == 0o700


def test_other_weights_settings_and_code_are_frozen_anew(make_config, cfg, path, frozen_anew, monkeypatch, tmp_path):
    freeze_cached(cfg, path)
    fewer = make_config("TEST.RESULTS_PER_IM=7")
    freeze_cached(fewer, path)
    assert len(frozen_anew) == 2
    np.savez(path, **{"conv0/W": np.zeros(3)})
    freeze_cached(fewer, path)
    assert len(frozen_anew) == 3
    # what a training is made with does not count
    freeze_cached(make_config("TEST.RESULTS_PER_IM=7", "TRAIN.BASE_LR=0.5", "DATA.BASEDIR=elsewhere"), path)
    assert len(frozen_anew) == 3
    monkeypatch.setattr(tf, "__version__", "9.9")
    freeze_cached(fewer, path)
    assert len(frozen_anew) == 4
    (tmp_path / "modeling" / "backbones").mkdir(parents=True)
    (tmp_path / "modeling" / "backbones" / "resnet.py").write_text("# changed")
    monkeypatch.setattr(common, "ROOT", str(tmp_path))
    monkeypatch.setattr(graph_cache, "PARTS", ("modeling",))
    freeze_cached(fewer, path)
    assert len(frozen_anew) == 5


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: content[:100], lambda content: b"",
                                    lambda content: content.replace(b"Conv2D", b"Conv9D")])
def test_a_damaged_file_counts_as_none(cfg, path, damage, frozen_anew):
    freeze_cached(cfg, path)
    with open(kept(), "rb") as f:
        content = f.read()
    with open(kept(), "wb") as f:
        f.write(damage(content))
    anew = freeze_cached(cfg, path)
    assert len(frozen_anew) == 2
    assert freeze_cached(cfg, path) == anew and len(frozen_anew) == 2


def test_a_file_of_another_user_counts_as_none(cfg, path, frozen_anew, monkeypatch):
    freeze_cached(cfg, path)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    freeze_cached(cfg, path)
    assert len(frozen_anew) == 2


def test_where_it_cannot_be_kept_it_is_made_each_time(cfg, path, frozen_anew, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file where the folder should be")
    freeze_cached(cfg, path)
    freeze_cached(cfg, path)
    assert len(frozen_anew) == 2 and capsys.readouterr().err.count("is not kept") == 2


@pytest.mark.parametrize("platform, environment, expected", [
    ("linux", "/elsewhere", "/elsewhere/rcnn-one-graph"), ("linux", "relative", "/home/me/.cache/rcnn-one-graph"),
    ("linux", "", "/home/me/.cache/rcnn-one-graph"), ("darwin", "", "/home/me/Library/Caches/rcnn-one-graph")])
def test_the_folder_is_where_the_system_has_caches(monkeypatch, platform, environment, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", environment)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == expected


def imported_from(path, root):
    """Returns: set of the files below `root` that a file imports, wherever in it"""
    imported = set()
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        files = [name.replace(".", "/") + end for name in names for end in (".py", "/__init__.py")]
        imported |= {file for file in files if (root / file).is_file()}
    return imported


def test_all_code_that_a_network_is_frozen_with_counts():
    root = pathlib.Path(common.ROOT)
    reached, new = set(), {"inference/frozen.py"}
    while new:
        reached |= new
        new = set().union(*(imported_from(path, root) for path in new)) - reached
    assert {"modeling/rpn.py", "weights/fit.py", "common.py"} <= reached
    assert {path.split("/")[0] for path in reached} <= set(graph_cache.PARTS)
