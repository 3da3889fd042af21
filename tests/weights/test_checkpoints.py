"""Finding the checkpoints of a run, and whether they are whole."""
import os
import re

import common

import pytest
from tensorpack import tfv1

from checkpoint_files import cut, flip, names, newest_whole, write
from training.checkpoint import clean_folder
from weights.checkpoints import is_whole, list_checkpoints, newest_whole_checkpoint


@pytest.fixture
def folder(tmp_path):
    """A run's folder, not the only thing in its parent."""
    return str(tmp_path / "run")


def test_other_files_are_no_checkpoints(folder):
    write(folder, 3)
    for name in ("model-x.index", "model-.index", "model-4.index.bak", "xmodel-5.index", "model-06.index",
                 "model--7.index", "model-8.indexes", "model-9\n.index", "model-٣.index", "best-10.index",
                 "model-11.meta"):
        open(os.path.join(folder, name), "w").close()
    os.mkdir(os.path.join(folder, "model-12.index"))
    assert names(list_checkpoints(folder)) == ["model-3"]
    clean_folder(folder)
    assert len(os.listdir(folder)) == 3 + 12


def test_a_folder_without_checkpoints_gives_none(folder):
    assert newest_whole_checkpoint(folder, pytest.fail) is None
    os.mkdir(folder)
    assert newest_whole_checkpoint(folder, pytest.fail) is None


def test_the_state_file_is_not_relied_on(folder):
    write(folder, 1, 2)
    with open(os.path.join(folder, "checkpoint"), "w") as f:
        f.write("\0\0\0")
    assert newest_whole(folder) == ("model-2", [])


@pytest.mark.parametrize("end, damage, reason", [
    (".data-00000-of-00001", lambda path: cut(path, -1), "Read fewer bytes|Read less bytes"),
    (".data-00000-of-00001", lambda path: cut(path, 0), "Read fewer bytes|Read less bytes"),
    (".data-00000-of-00001", lambda path: flip(path, 0), "[Cc]hecksum"),
    (".data-00000-of-00001", lambda path: flip(path, -1), "[Cc]hecksum"),
    (".data-00000-of-00001", os.remove, "^model-2.data-00000-of-00001; No such file"),
    (".index", lambda path: cut(path, -1), "not an sstable"),
    (".index", lambda path: cut(path, 0), "too short"),
    (".index", lambda path: flip(path, 0), "checksum"),
    (".index", lambda path: flip(path, -1), "not an sstable"),
])
def test_a_damaged_checkpoint_is_named_and_passed_over(folder, end, damage, reason):
    write(folder, 1, 2)
    path = os.path.join(folder, "model-2")
    damage(path + end)
    found = is_whole(path)
    assert re.search(reason, found), found
    name, (line,) = newest_whole(folder)
    assert name == "model-1"
    assert line == f"{path} is damaged ({found}), going back to model-1" and "\n" not in line


def test_every_flipped_byte_of_an_index_is_found_or_harmless(folder):
    write(folder, 1)
    path = os.path.join(folder, "model-1")
    with open(path + ".index", "rb") as f:
        content = f.read()
    found = 0
    for at in range(len(content)):
        with open(path + ".index", "wb") as f:
            f.write(content[:at] + bytes([content[at] ^ 0x81]) + content[at + 1:])
        if is_whole(path) is None:
            assert len(tfv1.train.load_checkpoint(path).get_variable_to_shape_map()) == 3, at
        else:
            found += 1
    assert found > len(content) / 2


def test_an_index_of_nothing_is_not_whole(folder):
    write(folder, 1)
    with open(os.path.join(folder, "model-1.index"), "wb") as f:
        f.write(b"\0" * 300)
    assert is_whole(os.path.join(folder, "model-1"))
    assert is_whole(os.path.join(folder, "model-2"))


def test_where_all_are_damaged_one_line_says_so(folder):
    write(folder, 1, 2)
    for step in 1, 2:
        flip(os.path.join(folder, f"model-{step}.data-00000-of-00001"), 5)
    lines = []
    with pytest.raises(common.UserError) as e:
        newest_whole_checkpoint(folder, lines.append)
    assert str(e.value).startswith(f"{folder}: all of its 2 checkpoints are damaged, the oldest is ")
    assert "\n" not in str(e.value) and len(lines) == 1
