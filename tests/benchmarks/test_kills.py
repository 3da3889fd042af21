"""What the benchmark of killed trainings finds."""
import os
import signal
import subprocess

from common import UserError

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from benchmarks import kills


def start_shell(command):
    return subprocess.Popen(["sh", "-c", command], start_new_session=True)


def test_a_process_is_killed_with_sigkill_unless_it_ends_before():
    process = start_shell("exec sleep 100")
    assert kills.kill(process, 0.5) and process.returncode == -signal.SIGKILL
    assert not kills.kill(start_shell("exit 0"), 60)


def test_a_worker_that_outlives_its_training_is_reported(monkeypatch):
    monkeypatch.setattr(kills, "ORPHANS_END", 0.5)
    process = start_shell("sleep 100 & wait")
    with pytest.raises(UserError, match="live on"):
        kills.kill(process, 0.5)
    os.killpg(process.pid, signal.SIGKILL)


def test_a_checkpoint_that_cannot_be_read_is_reported(tmp_path):
    assert kills.check_checkpoints(str(tmp_path / "none")) == []
    with tf.Graph().as_default(), tfv1.Session() as sess:
        variable = tfv1.get_variable("x", initializer=tf.ones([1000]))
        sess.run(variable.initializer)
        for step in (100, 20):
            tfv1.train.Saver().save(sess, str(tmp_path / f"model-{step}"))
    assert kills.check_checkpoints(str(tmp_path)) == [20, 100]
    with open(tmp_path / "model-20.data-00000-of-00001", "r+b") as f:
        f.seek(50)
        f.write(b"\0")
    with pytest.raises(UserError, match="model-20 cannot be read"):
        kills.check_checkpoints(str(tmp_path))


def test_variables_that_differ_in_two_runs_are_counted(tmp_path):
    for run, values in {"a": ([1, 2], 3), "b": ([1, 2], 3), "c": ([1, 2.0000002], 4)}.items():
        with tf.Graph().as_default(), tfv1.Session() as sess:
            for name, value in zip("xy", values):
                tfv1.get_variable(name, initializer=np.float32(value))
            sess.run(tfv1.global_variables_initializer())
            (tmp_path / run).mkdir()
            tfv1.train.Saver().save(sess, str(tmp_path / run / "model-7"))
    assert kills.num_different(str(tmp_path / "a"), str(tmp_path / "b")) == 0
    assert kills.num_different(str(tmp_path / "a"), str(tmp_path / "c")) == 2
