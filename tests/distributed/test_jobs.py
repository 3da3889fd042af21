"""Trainings and evaluations of two ranks under Horovod, on this machine."""
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys

import common  # noqa: F401

import numpy as np
import pytest

from tiny import ROOT
from training_runs import SMALLEST, TINY, dataset, final_state, wait_for, weights  # noqa: F401

pytestmark = pytest.mark.slow
needs_horovod = pytest.mark.skipif(importlib.util.find_spec("horovod") is None,
                                   reason="Horovod is not built; `make horovod` builds it")

# 5 updates of 8 images. All anchors and proposals are sampled, as rounding would decide near ties among them
FIVE_UPDATES = ["RPN.BATCH_PER_IM=5000", "RPN.FG_RATIO=1", "FRCNN.BATCH_PER_IM=5000", "FRCNN.FG_RATIO=1",
                "RPN.PROPOSAL_NMS_THRESH=1", "RPN.TRAIN_PER_LEVEL_NMS_TOPK=5000", "RPN.TEST_PER_LEVEL_NMS_TOPK=50",
                "BACKBONE.RESNET_NUM_BLOCKS=(1, 1, 1, 1)", "FPN.NORM=None", "PREPROC.TRAIN_SHORT_EDGE_SIZE=(64, 64)",
                "TRAIN.LR_SCHEDULE=(5,)", "TRAIN.STEPS_PER_EPOCH=100", "TRAIN.WARMUP=0", "TRAIN.BASE_LR=0.01"]


def start(logdir, dataset, *words, num_ranks=1, **environ):  # noqa: F811
    """Start tests/train_recording.py, which says what `environ` may hold."""
    launcher = [os.path.join(os.path.dirname(sys.executable), "horovodrun"), "-np", str(num_ranks)]
    command = [*(launcher if num_ranks > 1 else []), sys.executable, "tests/train_recording.py",
               "--logdir", str(logdir), "--config", *TINY, f"DATA.BASEDIR={dataset}", "DATA.TRAIN=train",
               "DATA.VAL=val", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env=dict(os.environ, RECORD=f"{logdir}.losses", **environ))


def run(*args, **kwargs):
    process = start(*args, **kwargs)
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    return output


def losses(logdir):
    """Losses of each update, means over its steps."""
    with open(f"{logdir}.losses") as f:
        steps = np.array([list(json.loads(line)["losses"].values()) for line in f])
    return steps.reshape(5, -1, steps.shape[1]).mean(axis=1)


def assert_same_training(found, expected):
    np.testing.assert_allclose(losses(found), losses(expected), atol=1e-4)
    found, expected = weights(found), weights(expected)
    # with accumulated steps the momentum is of sums of gradients, and the rate is divided instead
    for name in (name for name in expected if name != "global_step" and not name.endswith("Momentum")):
        # variances are differences of means of squares, which TensorFlow's kernel for one tower rounds otherwise
        rtol = 5e-5 if name.endswith("variance/EMA") else 1e-7
        np.testing.assert_allclose(found[name], expected[name], rtol, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):  # noqa: F811
    """By norm, the folder of a run of one process with 8 images a step."""
    folder = tmp_path_factory.mktemp("runs")
    for norm in ("SyncBN", "FreezeBN"):
        run(folder / norm, dataset, *FIVE_UPDATES, f"BACKBONE.NORM={norm}")
    return folder


@needs_horovod
def test_two_ranks_take_the_steps_of_one_process_with_all_their_images(runs, dataset, tmp_path):  # noqa: F811
    output = run(tmp_path / "run", dataset, *FIVE_UPDATES, "TRAIN.IMS_PER_GPU=4", "TRAINER=horovod", num_ranks=2)
    assert_same_training(tmp_path / "run", runs / "SyncBN")
    assert output.count("Training on 2 processes") == 1


@needs_horovod
def test_two_ranks_with_one_image_each_accumulate_the_steps_of_one_process_with_all(runs, dataset, tmp_path):  # noqa: F811
    run(tmp_path / "run", dataset, *FIVE_UPDATES, "BACKBONE.NORM=FreezeBN", "TRAIN.IMS_PER_GPU=1", "TRAINER=horovod",
        num_ranks=2)
    assert_same_training(tmp_path / "run", runs / "FreezeBN")


def test_two_towers_take_the_steps_of_one_with_all_their_images(runs, dataset, tmp_path):  # noqa: F811
    run(tmp_path / "run", dataset, *FIVE_UPDATES, "TRAIN.IMS_PER_GPU=4", TOWERS="2")
    assert_same_training(tmp_path / "run", runs / "SyncBN")


def test_accumulated_steps_make_the_step_of_all_their_images(runs, dataset, tmp_path):  # noqa: F811
    run(tmp_path / "run", dataset, *FIVE_UPDATES, "TRAIN.IMS_PER_GPU=4", "BACKBONE.NORM=FreezeBN")
    assert_same_training(tmp_path / "run", runs / "FreezeBN")


def rank_process(number):
    """Returns: int, the process of a rank of the job that this test started"""
    for folder in os.listdir("/proc"):
        try:
            with open(f"/proc/{folder}/environ", "rb") as f, open(f"/proc/{folder}/cmdline", "rb") as g:
                if f"HOROVOD_RANK={number}".encode() in f.read().split(b"\0") and g.read().startswith(
                        sys.executable.encode() + b"\0tests/train_recording.py"):
                    return int(folder)
        except OSError:
            continue    # no process, or one that has ended
    raise AssertionError(f"there is no rank {number}")


@contextlib.contextmanager
def job_of_two(logdir, dataset, *words, **environ):  # noqa: F811
    """A job of two ranks without an end. Gives its launcher."""
    process = start(logdir, dataset, "TRAIN.IMS_PER_GPU=4", "TRAINER=horovod", "TRAIN.LR_SCHEDULE=(90000,)", *SMALLEST,
                    *words, num_ranks=2, **environ)
    try:
        yield process
    finally:
        process.kill()
        for number in (0, 1):    # which survive their launcher
            with contextlib.suppress(AssertionError):
                os.kill(rank_process(number), signal.SIGKILL)


@pytest.fixture
def endless_job(dataset, tmp_path):  # noqa: F811
    """A job of two ranks in its first epochs: its folder and its launcher."""
    with job_of_two(tmp_path / "run", dataset) as process:
        wait_for(tmp_path / "run" / "model-2.index")
        yield tmp_path / "run", process


@needs_horovod
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_rank_ends_the_job_and_is_named(endless_job, number):
    _, process = endless_job
    os.kill(rank_process(number), signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert re.search(rf"rank {number} \(host .*\) ended unexpectedly", output), output
    assert "--resume" in output


@needs_horovod
def test_a_rank_killed_in_an_evaluation_ends_the_job_and_is_named(dataset, tmp_path):  # noqa: F811
    with job_of_two(tmp_path / "run", dataset, "TRAIN.EVAL_PERIOD=1", "TEST.IMS_PER_BATCH=1",
                    HANG="evaluation") as process:
        wait_for(tmp_path / "run.losses.hangs")
        assert (tmp_path / "run.losses.hangs").exists()
        os.kill(rank_process(1), signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert re.search(r"rank 1 \(host .*\) ended unexpectedly", output), output
    assert "--resume" in output


@needs_horovod
def test_a_rank_that_hangs_before_a_step_ends_the_job_and_is_named(dataset, tmp_path):  # noqa: F811
    with job_of_two(tmp_path / "run", dataset, HANG="step", STALLED="12") as process:
        wait_for(tmp_path / "run.losses.hangs")
        assert (tmp_path / "run.losses.hangs").exists()
        output, _ = process.communicate(timeout=150)
    assert process.returncode != 0
    assert re.search(r"rank 1 \(host .*\) has made no progress for", output), output


@needs_horovod
def test_a_rank_that_is_asked_to_stop_stops_all_at_one_step_and_the_job_can_be_resumed(endless_job, dataset):  # noqa: F811
    logdir, process = endless_job
    os.kill(rank_process(1), signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "--resume" in output
    stopped_at, _ = final_state(logdir)
    launcher = os.path.join(os.path.dirname(sys.executable), "horovodrun")
    result = subprocess.run([launcher, "-np", "2", sys.executable, "train.py", "--logdir", str(logdir), "--resume",
                             "--config", f"TRAIN.LR_SCHEDULE=({stopped_at + 3},)"],
                            cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    assert final_state(logdir)[0] == stopped_at + 3


@needs_horovod
def test_two_ranks_evaluate_to_the_json_of_one(runs, dataset, tmp_path):  # noqa: F811
    command = [sys.executable, "predict.py", "--load", str(runs / "FreezeBN"), "--config",
               "TEST.RESULT_SCORE_THRESH=0.1", "TEST.IMS_PER_BATCH=2", "DATA.VAL=train", "--evaluate"]
    launcher = [os.path.join(os.path.dirname(sys.executable), "horovodrun"), "-np", "2"]
    outputs = []
    for i, prefix in enumerate(([], launcher)):
        result = subprocess.run([*prefix, *command, str(tmp_path / f"{i}.json")], cwd=ROOT, capture_output=True,
                                text=True, timeout=280)
        assert result.returncode == 0, result.stdout + result.stderr
        outputs.append((tmp_path / f"{i}.json").read_bytes())
        assert result.stdout.count("detections written to") == 1
    assert outputs[0] == outputs[1] and len(json.loads(outputs[0])) > 20
