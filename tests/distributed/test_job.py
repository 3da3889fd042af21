"""A process and its job: alone, and of two ranks under Horovod."""
import importlib.util
import os
import socket
import subprocess
import sys

import common  # noqa: F401

import pytest

import distributed
from tiny import ROOT

# rank 1 fails while rank 0 waits for it
TWO_RANKS = """
import os, sys
import common
import tensorflow as tf
import distributed
from tensorpack import tfv1

def main():
    distributed.init()
    with distributed.member():
        rank = distributed.rank()
        assert distributed.gather({"rank": rank}) == [{"rank": 0}, {"rank": 1}]
        with distributed.chief_first():
            if distributed.is_chief():
                open(sys.argv[1], "w").close()
            assert os.path.exists(sys.argv[1])
        with tf.Graph().as_default(), distributed.session_creator().create_session() as sess:
            x = tfv1.placeholder(tf.float32, [1])
            total = distributed.sum_over_ranks(x ** 2)
            total, (slope,) = sess.run([total, tf.gradients(total, x)], {x: [rank + 1]})
        assert total == [5] and slope == [4 * (rank + 1)], (total, slope)
        distributed.progress(step=1)
        print(f"rank {rank} is well", flush=True)
        if rank == 1:
            raise common.UserError("no space left on /data")
        distributed.gather("waits")

common.exit_on_user_error(main)
"""


@pytest.mark.skipif(importlib.util.find_spec("horovod") is None,
                    reason="Horovod is not built; `make horovod` builds it")
def test_two_ranks_gather_sum_and_wait_and_all_say_why_one_fails(tmp_path):
    launcher = os.path.join(os.path.dirname(sys.executable), "horovodrun")
    command = [launcher, "-np", "2", sys.executable, "-c", TWO_RANKS, str(tmp_path / "made")]
    job = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert job.returncode != 0
    assert "[0]<stdout>:rank 0 is well" in job.stdout and "[1]<stdout>:rank 1 is well" in job.stdout, job.stdout
    assert f"[0]<stderr>:rank 1 (host {socket.gethostname()}): no space left on /data" in job.stdout, job.stdout


def test_ranks_without_horovod_in_the_config_are_refused(tmp_path):
    result = subprocess.run([sys.executable, "train.py", "--logdir", str(tmp_path / "run")], cwd=ROOT,
                            capture_output=True, text=True, timeout=100, env=dict(os.environ, OMPI_COMM_WORLD_SIZE="2"))
    assert result.returncode == 2 and "TRAINER=horovod" in result.stderr.splitlines()[-1]


def test_alone_there_is_one_rank_which_is_the_chief():
    assert (distributed.rank(), distributed.size(), distributed.is_chief()) == (0, 1, True)
    assert distributed.gather({"a": 1}) == [{"a": 1}]
    distributed.progress(step=1)
    distributed.pause()
