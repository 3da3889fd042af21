"""Trainings with ./train.py, on the CPU, with a very small network on a few rendered images."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import common  # noqa: F401

import numpy as np
import pytest

from metrics.coco import METRICS
from tiny import ROOT
from training.evaluation import Evaluation
from training_runs import (  # noqa: F401
    CATEGORY_IDS,
    SMALLEST,
    arguments,
    assert_equal_state,
    dataset,
    final_state,
    killed_behind,
    message_of,
    newest,
    resume,
    resume_here,
    run_here,
    scalars,
    signal_in_step,
    start,
    wait_for,
)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):    # noqa: F811
    """The folder of an unbroken run of 20 steps, with all of its checkpoints."""
    logdir = tmp_path_factory.mktemp("runs") / "unbroken"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.num_gpus", lambda cfg: 1)    # in the place of a GPU the CPU, which trains alike
        run_here(logdir, dataset, "TRAIN.MAX_TO_KEEP=100")
    return logdir


# an unbroken run ---------------------------------------------------------------------------------------------------
def test_the_loss_falls_within_20_steps(finished):
    losses = scalars(finished, "total_cost")
    assert len(losses) == 10
    assert losses[-1] < 0.9 * losses[0]


def test_a_run_leaves_its_config_with_the_data_sets_own_classes(finished):
    with open(finished / "config.json") as f:
        saved = json.load(f)
    assert saved["DATA"]["CATEGORY_IDS"] == CATEGORY_IDS
    assert all(name.startswith("my ") for name in saved["DATA"]["CLASS_NAMES"])
    assert saved["DATA"]["NUM_CATEGORY"] == 6 and saved["BACKBONE"]["WIDTH"] == 8


def test_the_config_of_a_run_has_what_was_set_and_not_what_follows_from_it(finished):
    with open(finished / "config.json") as f:
        saved = json.load(f)
    assert saved["TRAIN"]["NUM_GPUS"] == 0 and saved["CASCADE"]["LOSS_TYPE"] == ""


def test_a_run_ends_with_an_evaluation_of_each_data_set(finished):
    with open(finished / "eval.json") as f:
        report = json.load(f)
    assert report["val"]["step"] == 20
    assert set(report["val"]["bbox"]) == set(report["val"]["segm"]) == set(METRICS)


def test_detections_are_written_with_the_data_sets_own_category_ids(finished):
    with open(finished / "detections-val-20.json") as f:
        detections = json.load(f)
    assert {d["category_id"] for d in detections} <= set(CATEGORY_IDS)


def test_the_learning_rate_warms_up_and_drops(finished):
    rates = scalars(finished, "learning_rate")    # of the second step of each epoch
    assert rates == pytest.approx([0.05 * f for f in (0.25, 0.75, 1, 1, 1, 1, 1, 1, 0.1, 0.1)], rel=0.01)


def test_the_momentum_is_part_of_a_checkpoint(finished):
    reader = newest(finished)
    assert np.abs(reader.get_tensor("fastrcnn/fc6/W/Momentum")).max() > 0


def test_a_detector_of_the_run_knows_its_classes(finished):
    from predict import Detector
    result = Detector(str(finished), config=["TEST.RESULT_SCORE_THRESH=0"])(np.zeros((60, 80, 3), np.uint8))
    assert result.class_names[0].startswith("my ")
    assert result.masks.shape == (len(result.boxes), 60, 80)


@pytest.mark.slow
def test_a_run_ends_at_its_last_step_within_an_epoch(dataset, tmp_path):    # noqa: F811
    run_here(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3", "TRAIN.LR_SCHEDULE=(2, 4)",
             "MODE_MASK=False")
    assert final_state(tmp_path / "run")[0] == 4
    assert (tmp_path / "run" / "eval.json").exists()


# interruptions -----------------------------------------------------------------------------------------------------
def test_a_killed_run_goes_on_as_if_unbroken(finished, tmp_path):
    killed_behind(6, finished, tmp_path / "run")
    assert "from step 6" in resume_here(tmp_path / "run")
    assert_equal_state(tmp_path / "run", finished)


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_goes_on_as_if_unbroken(finished, dataset, tmp_path):    # noqa: F811
    before = signal.getsignal(signal.SIGTERM)
    with signal_in_step(16):
        log = run_here(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3")
    assert f"--logdir {tmp_path / 'run'} --resume" in log
    assert final_state(tmp_path / "run")[0] == 16 and signal.getsignal(signal.SIGTERM) is before
    assert "from step 16" in resume_here(tmp_path / "run")
    assert_equal_state(tmp_path / "run", finished)


@pytest.mark.slow
def test_ctrl_c_stops_a_run_with_a_checkpoint(finished, dataset, tmp_path):    # noqa: F811
    with signal_in_step(4, signal.SIGINT):
        log = run_here(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3")
    assert f"--logdir {tmp_path / 'run'} --resume" in log
    assert final_state(tmp_path / "run")[0] == 4
    assert_equal_state(tmp_path / "run", finished, step=4)


def test_a_stop_in_an_evaluation_ends_in_order_with_a_checkpoint(finished, dataset, tmp_path, monkeypatch):    # noqa: F811
    predict = Evaluation._predict

    def predict_and_stop(self, *inputs):
        result = predict(self, *inputs)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
        time.sleep(0.5)    # the handler runs in the main thread
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "_predict", predict_and_stop)
        log = run_here(tmp_path / "run", dataset, "TRAIN.EVAL_PERIOD=2", "TRAIN.CHECKPOINT_PERIOD=3",
                       "TEST.IMS_PER_BATCH=1")
    assert f"--logdir {tmp_path / 'run'} --resume" in log
    assert final_state(tmp_path / "run")[0] == 4
    assert not list((tmp_path / "run").glob("*eval.json*")) and not list((tmp_path / "run").glob("detections*"))
    assert_equal_state(tmp_path / "run", finished, step=4)


@pytest.mark.slow
def test_a_run_that_was_killed_in_its_last_evaluation_is_evaluated_and_then_complete(finished, tmp_path):
    killed_behind(20, finished, tmp_path / "run")
    (tmp_path / "run" / "detections-val-20.json").unlink()
    with open(tmp_path / "run" / "eval.json", "w") as f:
        json.dump({"val": {"step": 10}}, f)
    resume_here(tmp_path / "run")
    for name in ("eval.json", "detections-val-20.json"):
        assert (tmp_path / "run" / name).read_text() == (finished / name).read_text()
    assert_equal_state(tmp_path / "run", finished)
    line = message_of(resume_here, tmp_path / "run")
    assert "has reached its last step, 20" in line and "TRAIN.LR_SCHEDULE" in line


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_steps_takes_the_images_that_are_left_and_can_be_killed(finished, tmp_path):
    killed_behind(6, finished, tmp_path / "run")
    # in steps of 8: one is left until the drop of the rate, and two until the end
    log = resume_here(tmp_path / "run", "TRAIN.IMS_PER_GPU=4", "TRAIN.LR_SCHEDULE=(7, 8)", "TRAIN.STEPS_PER_EPOCH=1")
    assert "4 images a step, 10 steps, from step 6, which was reached with 48 images in steps of 8" in log
    assert final_state(tmp_path / "run")[0] == 10
    assert scalars(tmp_path / "run", "learning_rate")[-4:] == pytest.approx([0.05, 0.05, 0.005, 0.005])

    killed_behind(9, tmp_path / "run", tmp_path / "killed")    # the first of the two steps of an update
    assert "from step 9" in resume_here(tmp_path / "killed")
    assert_equal_state(tmp_path / "killed", tmp_path / "run")


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    for path in (tmp_path / "run").glob("model-20.data*"):
        path.write_bytes(path.read_bytes()[:-1000])
    log = resume_here(tmp_path / "run")
    assert "model-20 is damaged" in log and "from step 18" in log
    assert final_state(tmp_path / "run")[0] == 20


@pytest.mark.slow
def test_a_process_that_is_killed_resumes_to_the_end(dataset, tmp_path):    # noqa: F811
    with start(tmp_path / "run", dataset, *SMALLEST) as process:
        wait_for(tmp_path / "run" / "model-6.index")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    stopped_at, _ = final_state(tmp_path / "run")
    assert 6 <= stopped_at < 20
    assert f"from step {stopped_at}" in resume(tmp_path / "run").stdout
    assert final_state(tmp_path / "run") == (20, pytest.approx(0.005))


@pytest.mark.slow
def test_a_stop_that_reaches_the_data_processes_too_loses_nothing(dataset, tmp_path):    # noqa: F811
    with start(tmp_path / "unbroken", dataset, *SMALLEST) as process:
        process.communicate(timeout=120)
    with start(tmp_path / "run", dataset, *SMALLEST, "TRAIN.STEPS_PER_EPOCH=3", "DATA.NUM_WORKERS=3",
               start_new_session=True) as process:
        wait_for(tmp_path / "run" / "model-3.index")
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert f"--logdir {tmp_path / 'run'} --resume" in out and "Traceback" not in err and "Assertion" not in err
    resume(tmp_path / "run")
    assert_equal_state(tmp_path / "run", tmp_path / "unbroken")


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_gpus(dataset, tmp_path):    # noqa: F811
    def train(args, **environ):
        result = subprocess.run([sys.executable, "tests/train_recording.py", *args], cwd=ROOT, capture_output=True,
                                text=True, timeout=280, env=dict(os.environ, RECORD=f"{tmp_path}/losses", **environ))
        assert result.returncode == 0, result.stdout + result.stderr

    train(arguments(tmp_path / "run", dataset, *SMALLEST, "TRAIN.LR_SCHEDULE=(4,)"))
    # 24 images are left, for two steps of 12
    train(["--logdir", str(tmp_path / "run"), "--resume", "--config", "TRAIN.LR_SCHEDULE=(7,)", "TRAIN.IMS_PER_GPU=6"],
          TOWERS="2", REWRITE="1")
    assert final_state(tmp_path / "run")[0] == 6
    with open(tmp_path / "run" / "batches.json") as f:
        assert [list(stretch.values()) for stretch in json.load(f)] == [[0, 1, 8], [4, 2, 6]]
    with open(tmp_path / "run" / "config.json") as f:
        assert json.load(f)["TRAIN"]["NUM_GPUS"] == 0


# mistakes and mishaps ----------------------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("a disk of a given size takes the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_in_one_line_with_the_earlier_checkpoint_whole(small_disk, dataset):    # noqa: F811
    line = message_of(run_here, small_disk / "run", dataset, "TRAIN.MAX_TO_KEEP=100", "TRAIN.STEPS_PER_EPOCH=1")
    assert "No space left" in line and "--resume" in line
    step, _ = final_state(small_disk / "run")
    assert 0 < step < 20 and f"model-{step} is whole" in line


def test_an_existing_run_is_not_overwritten(finished, dataset):    # noqa: F811
    result = subprocess.run([sys.executable, "train.py", *arguments(finished, dataset)], cwd=ROOT,
                            capture_output=True, text=True, timeout=100)
    assert result.returncode == 2
    assert "--resume" in result.stderr and "--overwrite" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert final_state(finished)[0] == 20


def test_a_run_without_a_checkpoint_cannot_be_resumed_and_says_what_can_be_done(finished, tmp_path):
    shutil.copy(finished / "config.json", tmp_path)
    line = message_of(resume_here, tmp_path)
    assert "before its first checkpoint" in line and "--overwrite" in line


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(dataset, tmp_path):    # noqa: F811
    line = message_of(run_here, tmp_path / "run", dataset, "TRAIN.BASE_LR=1e30", "TRAIN.WARMUP=6", "MODE_MASK=False")
    assert "_loss" in line and "images" in line and "TRAIN.BASE_LR" in line
    assert final_state(tmp_path / "run")[0] < 20


@pytest.mark.slow
def test_weights_of_another_architecture_are_refused_in_one_line(finished, dataset, tmp_path):    # noqa: F811
    line = message_of(run_here, tmp_path / "run", dataset, "FPN.NUM_CHANNEL=24", flags=["--load", str(finished)])
    assert "another architecture" in line


def test_a_mistake_in_the_config_does_not_delete_the_run_that_it_would_overwrite(finished, dataset):    # noqa: F811
    line = message_of(run_here, finished, dataset, "TRAIN.SEED=-1", flags=["--overwrite"])
    assert "TRAIN.SEED" in line
    assert final_state(finished)[0] == 20


DEFAULT_STEP = """
import common
import numpy as np, resource
from tensorpack import tfv1
from tensorpack.tfutils.tower import TrainTowerContext
from config import config, finalize_configs
from training.model import TrainingModel
tfv1.disable_eager_execution()
config.DATA.CLASS_NAMES, config.DATA.CATEGORY_IDS = tuple(map(str, range(80))), tuple(range(80))
finalize_configs(config, is_training=True)
model = TrainingModel(config)
inputs = [tfv1.placeholder(spec.dtype, spec.shape) for spec in model.get_input_signature()]
with TrainTowerContext(""):
    step = model.get_optimizer().minimize(model.build_graph(*inputs))
losses = [tfv1.get_default_graph().get_tensor_by_name(name + ":0") for name in model.loss_names()]
rng = np.random.default_rng(0)
batch = [rng.integers(0, 255, (1, 800, 1333, 3), dtype=np.uint8), [[800, 1333]], [7], [9],
         [[[100, 100, 400, 300], [500.5, 200, 900, 780]]], [[3, 80]], np.full((1, 2, 112 * 112 // 8), 255, np.uint8)]
sess = common.QuietSessionCreator().create_session()
values, _ = sess.run([losses, step], dict(zip(inputs, batch)))
print("losses", *values)
print("peak GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20)
"""


@pytest.mark.slow
def test_the_default_config_takes_a_training_step():
    result = subprocess.run([sys.executable, "-c", DEFAULT_STEP], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    losses = [float(v) for v in result.stdout.splitlines()[-2].split()[1:]]
    assert len(losses) == 7 and np.isfinite(losses).all() and min(losses[:5]) > 0
    assert float(result.stdout.split()[-1]) < 12
