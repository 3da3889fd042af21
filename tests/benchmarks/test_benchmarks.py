"""The benchmarks, on images and a network that are very small."""
import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys

import common  # noqa: F401
import numpy as np
import pycocotools.mask as mask_util
import pytest
import tensorflow as tf
from tensorpack import tfv1

from benchmarks import kills, metrics, peers, time_steps, torchvision_step, traffic, train_step
from common import UserError
from tiny import TINY
from benchmarks.complexity import count_parameters
from training.model import TrainingModel

SIZE = (64, 96)
NUM_CLASSES = 3


def test_timed_steps_follow_the_warm_up():
    calls = iter(range(10))
    found = time_steps(lambda: (next(calls), 7), count=3, warmup=2)
    assert found["loss"] == 4 and found["masks"] == 7
    assert len(found["seconds"]) == 3 and min(found["seconds"]) >= 0
    assert 0.01 < found["peak_gib"] < 1000


def test_a_batch_is_the_same_each_time_with_boxes_inside_the_images():
    batch, again = (train_step.make_batch(3, 80, 107, num_boxes=50, num_classes=4) for _ in range(2))
    assert all((batch[name] == again[name]).all() for name in batch)
    assert batch["images"].shape == (3, 80, 107, 3) and batch["images"].std() > 20
    assert batch["gt_boxes"].shape == (3, 50, 4) and batch["gt_boxes"].min() >= 0
    assert (batch["gt_boxes"].max(axis=(0, 1)) <= [107, 80, 107, 80]).all()
    width, height = np.moveaxis(batch["gt_boxes"][..., 2:] - batch["gt_boxes"][..., :2], -1, 0)
    assert 8 - 1e-3 <= np.sqrt(width * height).min() and np.sqrt(width * height).max() <= 48 + 1e-3
    assert set(batch["gt_labels"].reshape(-1)) == {1, 2, 3, 4}


@pytest.mark.slow
def test_our_side_takes_steps_on_which_the_loss_falls(monkeypatch):
    monkeypatch.setattr(train_step, "LEARNING_RATE", 0.01)
    monkeypatch.setattr(train_step, "time_steps", lambda step, count, warmup: [step() for _ in range(count)])
    cfg = train_step.make_config(2, num_classes=NUM_CLASSES, words=TINY)
    batch = train_step.make_batch(2, *SIZE, num_boxes=2, num_classes=NUM_CLASSES)
    losses, masks = zip(*train_step.measure(cfg, batch, steps=10))
    assert losses[-1] < 0.8 * losses[0]
    assert min(masks) >= 4    # the boxes themselves are among the RoIs


def test_our_side_trains_every_layer_and_each_sends_a_message():
    cfg = train_step.make_config(1, num_classes=NUM_CLASSES, words=TINY)
    with tf.Graph().as_default() as graph:
        train_step.build_step(TrainingModel(cfg))
        trained = {v.op.name: v.shape.num_elements() for v in tfv1.trainable_variables()}
        updated = {v.op.name.replace("/Momentum", "") for v in tfv1.global_variables() if "Momentum" in v.op.name}
        num_parameters = count_parameters(graph)
    assert updated == set(trained)
    assert traffic.network_size(["BACKBONE.FREEZE_AT=0", *TINY], NUM_CLASSES) == dict(
        parameters=num_parameters, trainable=sum(trained.values()), messages=len(updated))
    assert sum(trained.values()) == num_parameters


@pytest.mark.slow
def test_all_measurements_of_a_command_end_in_one_table(tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.json"
    monkeypatch.delenv("BENCH_TORCH_PYTHON", raising=False)
    monkeypatch.setattr(sys, "argv", [
        "train_step", "--batch", "2", "--precision", "float32", "--steps", "2", "--rounds", "1",
        "--size", *map(str, SIZE), "--boxes", "2", "--classes", str(NUM_CLASSES), "--json", str(path), "--config",
        *TINY])
    train_step.main()
    row = json.loads(path.read_text())[0]
    assert (row["who"], row["batch"], row["precision"]) == ("ours", 2, "float32")
    assert 0 < row["fastest"] <= row["seconds"] and row["peak_gib"] > 0.1
    assert row["images_per_second"] == pytest.approx(2 / row["seconds"])
    assert f"| ours  |   2 | float32     |     {row['seconds']:.2f} |" in capsys.readouterr().out


def test_without_torchvision_our_side_is_measured_alone_and_a_line_says_how_to_install_it():
    said = []
    cases = peers.choose_cases(["bfloat16", "float32"], False, said.append)
    assert cases == [("ours", "bfloat16"), ("ours", "float32")]
    assert len(said) == 1 and "requirements-bench.txt" in said[0]


def test_the_two_sides_take_turns(monkeypatch):
    turns = []

    def measure_apart(who, precision, path, args, torch_python):
        turns.append(who)
        return dict(seconds=[1.0], masks=4, peak_gib=1.0)

    monkeypatch.setattr(train_step, "measure_apart", measure_apart)
    args = argparse.Namespace(batch=[1, 2], rounds=2, size=SIZE, boxes=1, classes=3)
    cases = [("ours", "float32"), ("torchvision", "float32")]
    rows = train_step.measure_all(args, cases, "python", report=lambda line: None)
    assert turns == ["ours", "torchvision"] * 4
    assert [(row["batch"], row["who"]) for row in rows] == [(b, who) for b in (1, 2) for who, _ in cases]


def test_a_ratio_is_of_the_medians_over_all_turns():
    def run(*seconds):
        return dict(seconds=list(seconds), masks=20, peak_gib=seconds[0])

    rows = train_step.summarize(2, {("ours", "float32"): [run(1.0, 9.0), run(2.0)],
                                    ("torchvision", "float32"): [run(4.0, 4.0), run(1.0)]})
    assert rows[0] == dict(who="ours", batch=2, precision="float32", seconds=2.0, fastest=1.0, images_per_second=1.0,
                           peak_gib=2.0, masks=10.0, ratio=0.5)
    assert rows[1]["ratio"] == 1.0


def test_without_torchvision_there_is_no_ratio():
    row, = train_step.summarize(1, {("ours", "float32"): [dict(seconds=[2.0], masks=3, peak_gib=1.0)]})
    assert row["ratio"] is None and train_step.table([row]).split()[-2] == "-"


def test_an_interpreter_without_torchvision_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="--torch-python .*requirements-bench.txt"):
        peers.find_torch(str(tmp_path / "python"))


def test_a_failed_measurement_is_named():
    with pytest.raises(UserError, match="ours in float16 failed: no such thing"):
        peers.run_process([sys.executable, "-c", "raise SystemExit('no such thing')"], "ours in float16")


def test_masks_of_both_sides_are_the_same_ellipse():
    cfg = train_step.make_config(1, num_classes=NUM_CLASSES, words=TINY)
    batch = dict(train_step.make_batch(1, 56, 56, 1, NUM_CLASSES), gt_boxes=np.float32([[[0, 0, 56, 56]]]))
    feed = train_step.make_feed(TrainingModel(cfg), batch)
    bitmap, = torchvision_step.ellipse_bitmaps(batch["gt_boxes"][0], 56, 56)
    np.testing.assert_array_equal(feed["gt_masks"][0, 0], bitmap)
    assert bitmap.mean() == pytest.approx(np.pi / 4, abs=0.01)


@pytest.mark.slow
def test_torchvisions_side_takes_a_step():
    if not importlib.util.find_spec("torchvision"):
        pytest.skip("torchvision is not installed here")
    batch = train_step.make_batch(1, *SIZE, num_boxes=2, num_classes=NUM_CLASSES)
    found = torchvision_step.measure(batch, NUM_CLASSES + 1, train_step.FG_THRESH, steps=1)
    assert np.isfinite(found["loss"]) and found["masks"] >= 2


@pytest.mark.parametrize("num_gpus, expected", [(1, 0), (2, 100), (4, 150), (8, 175)])
def test_a_ring_sends_all_but_a_part_of_the_gradients_twice(num_gpus, expected):
    assert traffic.wire_bytes(100, num_gpus) == expected


@pytest.mark.parametrize("num_gpus", [2, 3, 5])
def test_the_bytes_of_a_ring_are_those_of_one_that_is_acted_out(num_gpus):
    gradients = np.arange(num_gpus * 30.0).reshape(num_gpus, num_gpus, 30 // num_gpus)    # of GPU, part, number
    expected, sent = gradients.sum(axis=0), 0
    for turn in range(2 * (num_gpus - 1)):
        parts = [(gpu - turn) % num_gpus for gpu in range(num_gpus)]
        messages = [gradients[gpu, part].copy() for gpu, part in enumerate(parts)]
        sent += messages[0].nbytes
        for gpu, (part, message) in enumerate(zip(parts, messages)):
            receiver = gradients[(gpu + 1) % num_gpus, part]
            receiver[:] = message + (receiver if turn < num_gpus - 1 else 0)
    np.testing.assert_array_equal(gradients, np.stack([expected] * num_gpus))
    assert traffic.wire_bytes(gradients[0].nbytes, num_gpus) == sent


def test_a_link_of_8_gbit_takes_a_second_for_a_gigabyte():
    assert traffic.wire_seconds(1e9, 8) == 1.0


def test_the_table_of_a_network_made_by_hand():
    sizes = {"net": dict(parameters=3_000_000, trainable=2_000_000, messages=7)}
    assert traffic.size_table(sizes).splitlines()[-1].split() == "| net | 3.0 | 2.0 | 7 | 8.0 | 4.0 |".split()
    last = traffic.wire_table(sizes, [2], [1.0]).splitlines()[-1]
    assert last.split() == "| net | float16 | 2 | 4.0 | 0.0320 |".split()


@pytest.mark.slow
def test_what_r50_trains_is_all_but_the_stem_and_the_first_stage():
    found = traffic.network_size()
    stem = 7 * 7 * 3 * 64 + 2 * 64
    blocks = [256 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256)] * 3
    blocks[0] += (64 - 256) * 64 + 64 * 256 + 2 * 256    # of 64 channels, with a convolution as its shortcut
    assert found["trainable"] == found["parameters"] - stem - sum(blocks)
    assert found["parameters"] == pytest.approx(44.4e6, abs=0.05e6)


# kills --------------------------------------------------------------------------------------------------------------
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


# metrics ------------------------------------------------------------------------------------------------------------
def test_metrics_of_both_sides_are_timed_and_compared(monkeypatch, capsys):
    monkeypatch.setattr(metrics, "measure_apart", metrics.measure)
    monkeypatch.setattr(sys, "argv", ["metrics", "--images", "6", "--objects", "40", "--classes", "3",
                                      "--detections", "20"])
    metrics.main()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [[what, who] for what in ("boxes", "boxes and masks")
                                         for who in ("pycocotools", "metrics.py")]
    assert all(float(row[4]) > 0.1 for row in rows)
    assert all(float(rows[i][6]) < 1e-9 and rows[i - 1][5:] == ["1.00", "-"] for i in (1, 3))


def test_metrics_are_compared_by_the_time_on_the_cpu():
    numbers = {"bbox": [np.zeros(12)]}
    ours = dict(seconds=9.0, cpu_seconds=1.0, peak_gib=0.5, numbers={"bbox": [np.full(12, 1e-3)]})
    reference = dict(seconds=5.0, cpu_seconds=4.0, peak_gib=2.0, numbers=numbers)
    assert metrics.make_rows("boxes", ours, reference) == [["boxes", "pycocotools", 5.0, 4.0, 2.0, 1.0, None],
                                                           ["boxes", "metrics.py", 9.0, 1.0, 0.5, 0.25, 1e-3]]


def test_random_detections_are_partly_right():
    rng = np.random.default_rng(0)
    truth = metrics.make_truth(rng, num_images=20, num_objects=150, num_classes=3)
    results = metrics.make_results(rng, truth, 40, with_masks=True)
    assert len(truth["annotations"]) == 150 and len(results) == 20 * 40
    boxes = np.array([annotation["bbox"] for annotation in truth["annotations"]])
    assert boxes.min() >= 0 and (boxes[:, :2] + boxes[:, 2:] <= (640.001, 480.001)).all()
    result = results[0]
    assert mask_util.area(result["segmentation"]) == pytest.approx(0.785 * np.prod(result["bbox"][2:]), rel=0.15)


@pytest.mark.slow
def test_the_two_sides_run_in_a_process_of_their_own_on_what_the_files_hold(tmp_path):
    rng = np.random.default_rng(0)
    truth = metrics.make_truth(rng, num_images=20, num_objects=150, num_classes=3)
    paths = [str(tmp_path / name) for name in ("truth.json", "results.json")]
    for path, content in zip(paths, (truth, metrics.make_results(rng, truth, 40, with_masks=False))):
        with open(path, "w") as f:
            json.dump(content, f)
    ours = metrics.measure_apart("metrics.py", *paths, False)
    stats, precision, recall = ours["numbers"]["bbox"]
    assert 0.1 < stats[1] < 1 and precision.shape == (10, 101, 3) and recall.shape == (10, 3)
    assert 0 < ours["seconds"] < 60 and 0.1 < ours["peak_gib"] < 100


def test_the_largest_difference_is_of_any_number():
    numbers = {"bbox": (np.zeros(12), np.zeros((10, 101, 2)), np.zeros((10, 2)))}
    for i, value in enumerate((0.25, -0.5, 0.75)):
        others = [array.copy() for array in numbers["bbox"]]
        others[i].flat[-1] = value
        assert metrics.largest_difference(numbers, {"bbox": others}) == abs(value)
