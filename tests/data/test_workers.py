"""Worker processes, also on systems that lack what Linux has."""
import ctypes
import os
import signal
import time

import pytest

from data import workers
from data.shapes import render

DEADLINE = 20    # seconds, on a loaded machine


@pytest.fixture
def not_linux(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())    # a C library without prctl
    monkeypatch.setattr(workers, "_PARENT_PERIOD", 0.05)


def test_without_a_set_of_cores_those_of_the_machine_count(not_linux):
    assert workers.num_cores() == os.cpu_count()


def test_shapes_are_rendered_without_what_linux_has(not_linux, tmp_path):
    render.render_dataset(str(tmp_path / "set"), 2, 1, seed=0)
    assert len(os.listdir(tmp_path / "set" / "train")) == 2


def assert_a_worker_ends_with_its_parent():
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            workers.prepare_worker()
            os.write(writer, b"!")
            time.sleep(DEADLINE)
            os.write(writer, b"orphan")
        else:
            os.close(writer)
            time.sleep(DEADLINE)
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    with os.fdopen(reader, "rb") as f:
        assert f.read() == b""


def test_a_worker_ends_with_its_parent():
    assert_a_worker_ends_with_its_parent()


def test_a_worker_ends_with_its_parent_without_what_linux_has(not_linux):
    assert_a_worker_ends_with_its_parent()
