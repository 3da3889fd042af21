"""Checkpoints of processes that are killed."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import common  # noqa: F401

import pytest

from checkpoint_files import files_of, names, saver_of, value_in, write
from tiny import ROOT
from training import checkpoint
from training.checkpoint import clean_folder, write_checkpoint
from weights.checkpoints import list_checkpoints, newest_whole_checkpoint


@pytest.fixture
def folder(tmp_path):
    """A run's folder, not the only thing in its parent."""
    return str(tmp_path / "run")


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


@pytest.mark.slow
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
