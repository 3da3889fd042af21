"""Checkpoints on a disk that fails, and of processes that are killed."""
import contextlib
import errno
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import types

import common  # prepares TensorFlow, before any other import of it

import numpy as np
import pytest
from tensorpack import tfv1
from tensorpack.callbacks import EnableCallbackIf
from tensorpack.tfutils.sessinit import JustCurrentSession
from tensorpack.train import Trainer

from training import checkpoint
from training.checkpoint import CheckpointError, CheckpointSaver, TimedCheckpoints, clean_folder, write_checkpoint
from weights.checkpoints import is_whole, list_checkpoints, newest_whole_checkpoint

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def saver_of(value, size=1000):
    """A function that saves three variables of `size` floats, filled with `value`, to a path."""
    def save(path):
        with tfv1.Graph().as_default(), tfv1.Session() as sess:
            for i in range(3):
                tfv1.get_variable(f"conv{i}/W", initializer=np.full(size, value, np.float32))
            sess.run(tfv1.global_variables_initializer())
            tfv1.train.Saver().save(sess, path, write_meta_graph=False, write_state=False)
    return save


def write(folder, *steps, max_to_keep=9):
    """Write checkpoints that hold their steps."""
    for step in steps:
        write_checkpoint(saver_of(step), folder, step, max_to_keep)


def value_in(path):
    return tfv1.train.load_checkpoint(path).get_tensor("conv2/W")[-1]


def names(paths):
    return [os.path.basename(path) for path in paths]


def files_of(*steps):
    return sorted(f"model-{step}{end}" for step in steps for end in (".data-00000-of-00001", ".index"))


def cut(path, size):
    """Shorten a file to `size` bytes, or by as many where that is negative."""
    os.truncate(path, size % os.path.getsize(path))


def flip(path, at):
    """Change a byte of a file."""
    with open(path, "r+b") as f:
        content = bytearray(f.read())
        content[at] ^= 0xff
        f.seek(0)
        f.write(content)


def newest(folder):
    """The newest whole checkpoint's name, and the warnings."""
    lines = []
    path = newest_whole_checkpoint(folder, lines.append)
    return os.path.basename(path or ""), lines


@pytest.fixture
def folder(tmp_path):
    """A run's folder, not the only thing in its parent."""
    return str(tmp_path / "run")


# writing and finding -----------------------------------------------------------------------------------------------
def test_a_checkpoint_has_what_was_saved_under_tensorflows_names(folder):
    assert write_checkpoint(saver_of(7), folder, 500, 3) == os.path.join(folder, "model-500")
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(500)]
    assert value_in(os.path.join(folder, "model-500")) == 7
    assert newest(folder) == ("model-500", [])


def test_tensorflow_finds_the_checkpoints_also_after_the_folder_was_moved(folder):
    write(folder, 1, 2, 3, max_to_keep=2)
    os.rename(folder, folder + "2")
    state = tfv1.train.get_checkpoint_state(folder + "2")
    assert tfv1.train.latest_checkpoint(folder + "2") == os.path.join(folder + "2", "model-3")
    assert names(state.all_model_checkpoint_paths) == ["model-2", "model-3"]


def test_the_newest_are_kept(folder):
    write(folder, 8, 9, 10, 100, max_to_keep=2)
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(10, 100)]


def test_a_later_checkpoint_neither_counts_nor_is_deleted(folder):
    write(folder, 10, 20, 500)
    write(folder, 30, max_to_keep=2)
    assert names(list_checkpoints(folder)) == ["model-500", "model-30", "model-20"]
    assert names([tfv1.train.latest_checkpoint(folder)]) == ["model-30"]


def test_a_step_can_be_saved_again(folder):
    write(folder, 1, 2)
    write_checkpoint(saver_of(77), folder, 2, 2)
    assert names(list_checkpoints(folder)) == ["model-2", "model-1"]
    assert value_in(os.path.join(folder, "model-2")) == 77


def test_all_shards_come_and_go_with_their_checkpoint(folder):
    def save(path):
        with tfv1.Graph().as_default(), tfv1.Session() as sess:
            for device in "/cpu:0", "/job:localhost/replica:0/task:0/cpu:0":
                with tfv1.device(device):
                    tfv1.get_variable(f"v{device.count('/')}", initializer=np.ones(100, np.float32))
            sess.run(tfv1.global_variables_initializer())
            tfv1.train.Saver(sharded=True).save(sess, path, write_meta_graph=False, write_state=False)

    write_checkpoint(save, folder, 1, 1)
    shards = [name for name in os.listdir(folder) if ".data" in name]
    assert sorted(shards) == ["model-1.data-00000-of-00002", "model-1.data-00001-of-00002"]
    os.rename(os.path.join(folder, shards[0]), folder + "shard")
    assert shards[0] in is_whole(os.path.join(folder, "model-1"))
    os.rename(folder + "shard", os.path.join(folder, shards[0]))
    assert is_whole(os.path.join(folder, "model-1")) is None
    write(folder, 2, max_to_keep=1)
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(2)]


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
    assert newest(folder) == ("model-2", [])


def test_a_folder_with_odd_characters_works(tmp_path):
    folder = str(tmp_path / "run 1]*?; ü\"x\" {a,b} $HOME %s #~&")
    CheckpointSaver(folder, 1)
    write(folder, 1, 2, max_to_keep=1)
    assert newest(folder) == ("model-2", [])


@pytest.mark.parametrize("character", "[\\")
def test_a_folder_that_tensorflow_cannot_read_from_is_refused(tmp_path, character):
    folder = str(tmp_path / f"run{character}1]")
    write(folder, 1)
    assert is_whole(os.path.join(folder, "model-1"))
    with pytest.raises(common.UserError, match="--logdir .* take another"):
        CheckpointSaver(folder, 1)


def test_a_training_writes_checkpoints_and_ends_where_it_cannot(folder, monkeypatch):
    os.mkdir(folder)
    open(os.path.join(folder, ".writing-1"), "w").close()
    with tfv1.Graph().as_default():
        weight = tfv1.get_variable("W", initializer=np.zeros(3, np.float32))
        trainer = Trainer()
        trainer.train_op = tfv1.assign_add(weight, [1, 1, 1]).op

        class FillUp(checkpoint.Callback):
            def _trigger(self):
                if self.epoch_num == 4:
                    monkeypatch.setattr(os, "fsync", raise_no_space)

        with pytest.raises(CheckpointError, match="model-8 cannot be written"):
            trainer.train_with_defaults(
                callbacks=[FillUp(), CheckpointSaver(folder, 2)], monitors=[], steps_per_epoch=2, max_epoch=9,
                session_creator=common.QuietSessionCreator(), session_init=JustCurrentSession())
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(4, 6)]
    reader = tfv1.train.load_checkpoint(folder)
    assert reader.get_tensor("W").tolist() == [6, 6, 6] and reader.get_tensor("global_step") == 6


def test_a_training_of_long_epochs_writes_checkpoints_by_the_clock(folder, monkeypatch):
    seconds = iter(range(0, 1000, 25))    # it is read once a step, and once a checkpoint
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    with tfv1.Graph().as_default():
        trainer = Trainer()
        trainer.train_op = tfv1.assign_add(tfv1.get_variable("W", initializer=np.zeros(3, np.float32)), [1, 1, 1]).op
        saver = CheckpointSaver(folder, 9)
        trainer.train_with_defaults(
            callbacks=[TimedCheckpoints(saver, 1), EnableCallbackIf(saver, lambda _: True)], monitors=[],
            steps_per_epoch=7, max_epoch=1,
            session_creator=common.QuietSessionCreator(), session_init=JustCurrentSession())
    assert names(list_checkpoints(folder)) == ["model-7", "model-6", "model-3"]


# damage ------------------------------------------------------------------------------------------------------------
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
    name, (line,) = newest(folder)
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


# a disk that fails -------------------------------------------------------------------------------------------------
def raise_no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check_failure(folder, step, save, reason):
    """A failing write says so in one line, and leaves the folder with the checkpoint of step 1 as it was."""
    with pytest.raises(CheckpointError) as e:
        write_checkpoint(save, folder, step, 1)
    assert str(e.value) == (f"{folder}/model-{step} cannot be written ({reason}); model-1 is whole: "
                            f"{'free space' if 'space' in reason else 'mend that'}, then go on with --resume")
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(1)]
    assert newest(folder) == ("model-1", []) and value_in(os.path.join(folder, "model-1")) == 1


@pytest.mark.parametrize("step", [1, 2])
def test_a_full_disk_leaves_the_checkpoint_before_as_it_was(folder, step, monkeypatch):
    write(folder, 1)
    monkeypatch.setattr(os, "fsync", raise_no_space)
    check_failure(folder, step, saver_of(2), "No space left on device")


@pytest.mark.parametrize("step", [1, 2])
def test_a_file_that_grows_too_large_leaves_the_checkpoint_before_as_it_was(folder, step):
    def save(path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            saver_of(2, size=1 << 20)(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    write(folder, 1)
    check_failure(folder, step, save, "File too large")


@pytest.fixture
def small_disk(tmp_path):
    disk = str(tmp_path / "disk")
    os.mkdir(disk)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("step", [1, 2])
def test_a_disk_of_8_mb_fills_up(small_disk, step):
    write(small_disk, 1)
    check_failure(small_disk, step, saver_of(2, size=1 << 20), "No space left on device")
    write(small_disk, 3, max_to_keep=1)
    assert sorted(os.listdir(small_disk)) == ["checkpoint", *files_of(3)]


def test_the_first_checkpoint_that_fails_says_that_there_is_none(folder, monkeypatch):
    monkeypatch.setattr(os, "fsync", raise_no_space)
    with pytest.raises(CheckpointError) as e:
        write(folder, 1)
    assert str(e.value) == (f"{folder}/model-1 cannot be written (No space left on device); there is no earlier "
                            "checkpoint: free space, then start again")
    assert os.listdir(folder) == []


def test_a_state_file_that_cannot_be_written_leaves_the_new_checkpoint_and_the_old(folder, monkeypatch):
    write(folder, 1)
    monkeypatch.setattr(checkpoint, "_write_state", raise_no_space)
    with pytest.raises(CheckpointError, match="run/checkpoint cannot be written .*; model-2 is whole: free space"):
        write(folder, 2, max_to_keep=1)
    assert names(list_checkpoints(folder)) == ["model-2", "model-1"]


# kills -------------------------------------------------------------------------------------------------------------
class Killed(BaseException):
    """Stands for the end of a process."""


@contextlib.contextmanager
def killed_at(call, monkeypatch):
    """Ends at the given call that changes the disk or waits for it, and lets none after it through."""
    count = 0

    def guarded(function):
        def guard(*args, **kwargs):
            nonlocal count
            count += 1
            if count > call:
                raise Killed
            return function(*args, **kwargs)
        return guard

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for module, name in ((os, "replace"), (os, "rename"), (os, "remove"), (os, "rmdir"), (os, "makedirs"),
                             (os, "fsync"), (shutil, "rmtree")):
            patch.setattr(module, name, guarded(getattr(module, name)))
        yield


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A function that saves by copying: of a value, 10 or 20."""
    folder = tmp_path_factory.mktemp("ready")
    for value in 10, 20:
        saver_of(value)(str(folder / f"model-{value}"))

    def copy(value):
        def save(path):
            for end in ".data-00000-of-00001", ".index":
                shutil.copyfile(folder / f"model-{value}{end}", path + end)
        return save
    return copy


@pytest.mark.parametrize("step, max_to_keep", [(2, 1), (2, 2), (1, 1)])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path, ready, monkeypatch, step, max_to_keep):
    results = []
    for call in range(100):
        folder = str(tmp_path / str(call))
        write_checkpoint(ready(10), folder, 1, 1)
        done = False
        with killed_at(call, monkeypatch):
            write_checkpoint(ready(20), folder, step, max_to_keep)
            done = True
        if step != 1:
            # also before anything was cleaned
            assert newest_whole_checkpoint(folder, pytest.fail)
        clean_folder(folder)
        results.append(value_in(newest_whole_checkpoint(folder, pytest.fail)))
        assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(*{
            int(name.rsplit("-", 1)[1]) for name in names(list_checkpoints(folder))})]
        if done:
            break
    assert done and len(results) > 8
    assert results == sorted(results) and set(results) == {10, 20}    # once the new one is there it stays


def test_a_kill_while_cleaning_loses_nothing(tmp_path, ready, monkeypatch):
    for call in range(20):
        folder = str(tmp_path / str(call))
        write_checkpoint(ready(10), folder, 1, 1)
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "_place", lambda *_: None)
            write_checkpoint(ready(20), folder, 1, 1)
        with killed_at(call, monkeypatch):
            clean_folder(folder)
        clean_folder(folder)
        assert value_in(newest_whole_checkpoint(folder, pytest.fail)) == 20
        assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(1)]


def test_files_are_on_the_disk_before_they_get_their_place_and_data_before_the_index(folder, monkeypatch):
    events = []

    def record(name, describe):
        function = getattr(os, name)

        def recorded(*args):
            events.append((name, os.path.basename(describe(*args)).split(".")[1:2] or ["run"]))
            return function(*args)
        monkeypatch.setattr(os, name, recorded)

    record("fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
    record("rename", lambda source, _: source)
    record("replace", lambda source, _: source)
    write(folder, 1)
    pid = os.getpid()
    kinds = [(name, kind.replace("-00000-of-00001", "").replace(f"-{pid}", "")) for name, (kind,) in events]
    assert set(kinds[:2]) == {("fsync", "data"), ("fsync", "index")}
    assert kinds[2:] == [
        ("fsync", "writing"), ("rename", "writing"), ("replace", "data"), ("fsync", "run"), ("replace", "index"),
        ("fsync", "run"), ("fsync", "writing"), ("replace", "writing")]


def test_what_killed_trainings_left_is_removed_at_the_start(folder):
    write(folder, 1)
    os.makedirs(os.path.join(folder, ".writing-77", "sub"))
    for name in (".writing-77/model-5.index", ".writing-78", "model-6.data-00000-of-00001", "checkpoint.tmp0123abcd",
                 "model-7.data-00000-of-00001.tempstate123", "model-7.index.tempstate456", "config.json",
                 "model-8.npz", "events.out"):
        open(os.path.join(folder, name), "w").close()
    clean_folder(folder)
    assert sorted(os.listdir(folder)) == sorted(
        ["checkpoint", *files_of(1), "config.json", "model-8.npz", "events.out"])


NURSERY = """
import common
import os, sys
import numpy as np
from tensorpack import tfv1
from training.checkpoint import clean_folder, write_checkpoint

def save_forever(folder, step):
    clean_folder(folder)
    for i in range(4):
        tfv1.get_variable(f"conv{i}/W", initializer=np.full(1250000, 0, np.float32))
    steps = [v.assign(tfv1.fill([1250000], tfv1.placeholder_with_default(0., [], name=f"step{i}")))
             for i, v in enumerate(tfv1.global_variables())]
    saver = tfv1.train.Saver(max_to_keep=None)
    with tfv1.Session() as sess:
        def save(path):
            saver.save(sess, path, write_meta_graph=False, write_state=False)
        sess.run(tfv1.global_variables_initializer())
        print("saving", flush=True)
        while True:
            step += 1
            sess.run(steps, {f"step{i}:0": step for i in range(4)})
            write_checkpoint(save, folder, step, 2)
            print("saved", step, flush=True)

# imported once, forked for each round
tfv1.disable_eager_execution()
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        save_forever(sys.argv[1], int(line))
    print("pid", pid, flush=True)
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""


def test_a_process_that_saves_is_killed_eight_times(tmp_path):
    folder = str(tmp_path)
    delays = random.Random(0)
    last, rounds = 0, 0
    with subprocess.Popen([sys.executable, "-c", NURSERY, folder], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as nursery:
        for _ in range(8):
            nursery.stdin.write(f"{last}\n")
            nursery.stdin.flush()
            words = {}
            while len(words) < 2:
                word, *number = nursery.stdout.readline().split()
                words[word] = number
            time.sleep(delays.uniform(0.02, 1))
            os.kill(int(words["pid"][0]), signal.SIGKILL)
            reported = [int(line.split()[1]) for line in iter(nursery.stdout.readline, "dead\n") if "saved" in line]
            rounds += bool(reported)
            last = max([last, *reported])

            path = newest_whole_checkpoint(folder, pytest.fail)
            step = int(path.rsplit("-", 1)[1]) if path else 0
            assert step >= last
            assert not path or value_in(path) == step
            last = step
        nursery.stdin.close()
    clean_folder(folder)
    assert last and rounds
    assert [name for name in os.listdir(folder) if name != "checkpoint" and not name.startswith("model-")] == []
    assert len(list_checkpoints(folder)) <= 3
