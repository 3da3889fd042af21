"""Whole runs of ./train.py, on the CPU, with a very small network on a few rendered images."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import common  # noqa: F401

import numpy as np
import pytest
from tensorpack import tfv1

from data.shapes import render as shapes
from metrics.coco import METRICS
from weights.checkpoints import list_checkpoints

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CATEGORY_IDS = [3, 7, 8, 20, 21, 90]

TINY = ["@configs/demo.cfg", "DATA.NUM_WORKERS=0", "BACKBONE.WIDTH=8", "FPN.NUM_CHANNEL=16", "FPN.FRCNN_FC_HEAD_DIM=32",
        "MRCNN.HEAD_DIM=8", "PREPROC.TRAIN_SHORT_EDGE_SIZE=(96, 96)", "PREPROC.TEST_SHORT_EDGE_SIZE=96",
        "TRAIN.STEPS_PER_EPOCH=2", "TRAIN.LR_SCHEDULE=(16, 20)", "TRAIN.WARMUP=4",
        "TRAIN.BASE_LR=0.05", "TRAIN.GRADIENT_CLIP=0.0"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder of 8 training and 4 validation images in COCO's format, with category ids of its own."""
    folder = str(tmp_path_factory.mktemp("data"))
    shapes.render_dataset(folder, 8, 4, seed=1)
    for path in glob.glob(os.path.join(folder, "annotations", "*.json")):
        with open(path) as f:
            content = json.load(f)
        new_ids = dict(zip(sorted(c["id"] for c in content["categories"]), CATEGORY_IDS))
        for category in content["categories"]:
            category.update(id=new_ids[category["id"]], name="my " + category["name"])
        for annotation in content["annotations"]:
            annotation["category_id"] = new_ids[annotation["category_id"]]
        with open(path, "w") as f:
            json.dump(content, f)
    return folder


def command(logdir, dataset, *words, flags=()):
    return [sys.executable, "train.py", "--logdir", str(logdir), *flags, "--config", *TINY,
            f"DATA.BASEDIR={dataset}", "DATA.TRAIN=train", "DATA.VAL=val", *words]


def run(*args, **kwargs):
    return subprocess.run(command(*args, **kwargs), cwd=ROOT, capture_output=True, text=True, timeout=300)


def scalars(logdir, tag):
    """Values of a TensorBoard scalar, in the order in which they were written."""
    values = []
    for path in sorted(glob.glob(os.path.join(str(logdir), "events.*"))):
        for event in tfv1.train.summary_iterator(path):
            values += [v.simple_value for v in event.summary.value if v.tag == tag]
    return values


def newest(logdir):
    """A reader of the newest checkpoint."""
    return tfv1.train.load_checkpoint(list_checkpoints(str(logdir))[0])


def final_state(logdir):
    reader = newest(logdir)
    return int(reader.get_tensor("global_step")), float(reader.get_tensor("learning_rate"))


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """The folder of an unbroken run of 20 steps."""
    logdir = tmp_path_factory.mktemp("runs") / "unbroken"
    result = run(logdir, dataset)
    assert result.returncode == 0, result.stdout + result.stderr
    return logdir


def test_the_loss_falls_within_20_steps(finished):
    losses = scalars(finished, "total_cost")
    assert len(losses) == 10
    assert losses[-1] < 0.9 * losses[0]


def test_a_run_leaves_its_config_with_the_data_sets_own_classes(finished):
    with open(finished / "config.json") as f:
        saved = json.load(f)
    assert saved["DATA"]["CATEGORY_IDS"] == CATEGORY_IDS
    assert all(name.startswith("my ") for name in saved["DATA"]["CLASS_NAMES"])
    assert saved["BACKBONE"]["WIDTH"] == 8


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


def test_a_killed_run_resumes_to_the_same_step_and_learning_rate(finished, dataset, tmp_path):
    process = subprocess.Popen(command(tmp_path / "run", dataset), cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "run" / "model-6.index")
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_at, _ = final_state(tmp_path / "run")
    assert 6 <= stopped_at < 20

    result = resume(tmp_path / "run")
    assert f"from step {stopped_at}" in result.stdout
    assert final_state(tmp_path / "run") == pytest.approx(final_state(finished))


def weights(logdir):
    reader = newest(logdir)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_goes_on_as_if_unbroken(finished, dataset, tmp_path, number):
    process = subprocess.Popen(command(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3"), cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "run" / "model-3.index")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert f"--logdir {tmp_path / 'run'} --resume" in out and "Traceback" not in err
    stopped_at, _ = final_state(tmp_path / "run")
    assert 3 <= stopped_at < 20

    result = resume(tmp_path / "run")
    assert f"from step {stopped_at}" in result.stdout
    found, expected = weights(tmp_path / "run"), weights(finished)
    assert found.keys() == expected.keys() and found["global_step"] == 20
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_stop_that_reaches_the_data_processes_too_loses_nothing(finished, dataset, tmp_path):
    process = subprocess.Popen(
        command(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3", "DATA.NUM_WORKERS=3"), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(tmp_path / "run" / "model-3.index")
    os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert f"--logdir {tmp_path / 'run'} --resume" in out and "Traceback" not in err and "Assertion" not in err
    resume(tmp_path / "run")
    found, expected = weights(tmp_path / "run"), weights(finished)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_damaged_checkpoint_is_passed_over(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    for path in (tmp_path / "run").glob("model-20.data*"):
        path.write_bytes(path.read_bytes()[:-1000])
    result = resume(tmp_path / "run")
    assert "model-20 is damaged" in result.stdout and "from step 18" in result.stdout
    assert final_state(tmp_path / "run")[0] == 20


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("a disk of a given size takes the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_in_one_line_with_the_earlier_checkpoint_whole(small_disk, dataset):
    result = run(small_disk / "run", dataset, "TRAIN.MAX_TO_KEEP=100")
    assert result.returncode == 2, result.stdout + result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert "No space left" in line and "--resume" in line
    step, _ = final_state(small_disk / "run")
    assert 0 < step < 20 and f"model-{step} is whole" in line


def wait_for(path):
    deadline = time.time() + 120
    while not path.exists() and time.time() < deadline:
        time.sleep(0.05)


def resume(logdir):
    result = subprocess.run([sys.executable, "train.py", "--logdir", str(logdir), "--resume"],
                            cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def test_a_run_ends_at_its_last_step_within_an_epoch(dataset, tmp_path):
    assert run(tmp_path / "run", dataset, "TRAIN.STEPS_PER_EPOCH=3", "TRAIN.LR_SCHEDULE=(2, 4)").returncode == 0
    assert final_state(tmp_path / "run")[0] == 4
    assert (tmp_path / "run" / "eval.json").exists()


def test_the_momentum_is_part_of_a_checkpoint(finished):
    reader = newest(finished)
    assert np.abs(reader.get_tensor("fastrcnn/fc6/W/Momentum")).max() > 0


def test_an_existing_run_is_not_overwritten(finished, dataset):
    result = run(finished, dataset)
    assert result.returncode == 2
    assert "--resume" in result.stderr and "--overwrite" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert final_state(finished)[0] == 20


def test_a_run_without_a_checkpoint_cannot_be_resumed_and_says_what_can_be_done(finished, dataset, tmp_path):
    shutil.copy(finished / "config.json", tmp_path)
    result = subprocess.run([sys.executable, "train.py", "--logdir", str(tmp_path), "--resume"], cwd=ROOT,
                            capture_output=True, text=True, timeout=100)
    assert result.returncode == 2
    assert "before its first checkpoint" in result.stderr.splitlines()[-1]
    assert "--overwrite" in result.stderr.splitlines()[-1]


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(finished, dataset, tmp_path):
    result = run(tmp_path / "run", dataset, "TRAIN.BASE_LR=1e30", "TRAIN.WARMUP=6")
    assert result.returncode == 2, result.stdout + result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert "_loss" in message and "images" in message and "TRAIN.BASE_LR" in message
    assert "Traceback" not in result.stderr
    step, _ = final_state(tmp_path / "run")
    assert step < 20


def test_weights_of_another_architecture_are_refused_in_one_line(finished, dataset, tmp_path):
    result = run(tmp_path / "run", dataset, "FPN.NUM_CHANNEL=24", flags=["--load", str(finished)])
    assert result.returncode == 2
    assert "another architecture" in result.stderr and "Traceback" not in result.stderr


def test_a_detector_of_the_run_knows_its_classes(finished):
    from predict import Detector
    result = Detector(str(finished), config=["TEST.RESULT_SCORE_THRESH=0"])(np.zeros((60, 80, 3), np.uint8))
    assert result.class_names[0].startswith("my ")
    assert result.masks.shape == (len(result.boxes), 60, 80)


DEFAULT_STEP = """
import common
import numpy as np, resource
from tensorpack import tfv1
from tensorpack.tfutils.tower import TrainTowerContext
from config import config, finalize_configs
from modeling.generalized_rcnn import GeneralizedRCNN
tfv1.disable_eager_execution()
config.DATA.CLASS_NAMES, config.DATA.CATEGORY_IDS = tuple(map(str, range(80))), tuple(range(80))
finalize_configs(config, is_training=True)
model = GeneralizedRCNN(config)
inputs = [tfv1.placeholder(spec.dtype, spec.shape) for spec in model.get_input_signature()]
with TrainTowerContext(""):
    step = model.get_optimizer().minimize(model.build_graph(*inputs))
losses = [tfv1.get_default_graph().get_tensor_by_name(name + ":0") for name in model.loss_names()]
rng = np.random.default_rng(0)
batch = [rng.integers(0, 255, (1, 800, 1333, 3), dtype=np.uint8), [[800, 1333]], [7], [9],
         [[[100, 100, 400, 300], [500.5, 200, 900, 780]]], [[3, 80]], np.ones((1, 2, 112, 112), np.uint8)]
sess = common.QuietSessionCreator().create_session()
values, _ = sess.run([losses, step], dict(zip(inputs, batch)))
print("losses", *values)
print("peak GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20)
"""


def test_the_default_config_takes_a_training_step():
    result = subprocess.run([sys.executable, "-c", DEFAULT_STEP], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    losses = [float(v) for v in result.stdout.splitlines()[-2].split()[1:]]
    assert len(losses) == 7 and np.isfinite(losses).all() and min(losses[:5]) > 0
    assert float(result.stdout.split()[-1]) < 12


def test_a_mistake_in_the_config_does_not_delete_the_run_that_it_would_overwrite(finished, dataset):
    result = run(finished, dataset, "TRAIN.SEED=-1", flags=["--overwrite"])
    assert result.returncode == 2 and "TRAIN.SEED" in result.stderr
    assert final_state(finished)[0] == 20
