"""Weights on disk: read and written."""
import os
import pickle

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest

from small_weights import SHAPES, assert_same, make_weights, message_of
from weights.files import read_weights, save_weights


def test_weights_go_to_npz_and_back(npz):
    assert_same(read_weights(npz()), make_weights())


def test_weights_are_read_from_a_checkpoint(checkpoint):
    found = read_weights(checkpoint)
    assert_same({name: found[name] for name in SHAPES}, make_weights())


def test_names_may_end_in_colon_zero(tmp_path):
    path = str(tmp_path / "w.npz")
    save_weights(path, {f"{name}:0": value for name, value in make_weights().items()})
    assert_same(read_weights(path), make_weights())


def test_saving_leaves_no_other_file(npz, tmp_path):
    npz()
    assert os.listdir(tmp_path) == ["weights.npz"]


def test_saving_that_fails_keeps_the_old_file(npz, monkeypatch):
    def full_disk(file, **_):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    path = npz()
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match="No space left"):
        save_weights(path, make_weights(seed=1))
    assert_same(read_weights(path), make_weights())


def damage(path, how):
    with open(path, "rb") as f:
        content = f.read()
    changed = {
        "empty": b"", "text": b"<html>404 not found</html>", "truncated": content[:len(content) // 2],
        "a pickle": pickle.dumps({"W": 1}),
        "zeros": bytes(1000), "bytes lost": content[:200] + content[300:],
        "bytes changed": content[:300] + bytes(b ^ 255 for b in content[300:400]) + content[400:]}[how]
    with open(path, "wb") as f:
        f.write(changed)


@pytest.mark.parametrize("how", ["empty", "text", "truncated", "a pickle", "zeros", "bytes lost", "bytes changed"])
def test_a_broken_npz_is_named(npz, how):
    path = npz()
    damage(path, how)
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)


def test_a_compressed_npz_of_which_any_byte_changed_is_read_or_refused(tmp_path):
    path = str(tmp_path / "w.npz")
    np.savez_compressed(path, W=np.random.default_rng(0).normal(size=30))
    with open(path, "rb") as f:
        content = f.read()
    escaped = set()
    for i in range(len(content)):
        with open(path, "wb") as f:
            f.write(content[:i] + bytes([content[i] ^ 0x55]) + content[i + 1:])
        try:
            read_weights(path)
        except UserError:
            pass
        except Exception as e:
            escaped.add(type(e).__name__)
    assert escaped == set()


def test_a_single_array_is_no_weight_file(tmp_path):
    path = str(tmp_path / "w.npz")
    with open(path, "wb") as f:
        np.save(f, np.ones(3))
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)


def test_pickled_objects_are_refused_and_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    path = str(tmp_path / "w.npz")
    objects = np.empty(1, object)
    objects[0] = Harmful()
    np.savez(path, **{"conv0/W": objects})
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("how", ["empty", "text", "zeros"])
def test_a_broken_checkpoint_is_named(checkpoint, ending, how):
    damage(checkpoint + ending, how)
    assert f"{checkpoint} cannot be read as weights" in message_of(read_weights, checkpoint)


def test_a_checkpoint_whose_data_is_missing_is_named(checkpoint):
    os.remove(checkpoint + ".data-00000-of-00001")
    assert f"{checkpoint} cannot be read as weights" in message_of(read_weights, checkpoint)
