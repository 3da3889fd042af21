"""The benchmark of training steps, on images and a network that are very small."""
import argparse
import json
import sys

import numpy as np
import pytest

from benchmarks import time_steps, train_step
from tiny import TINY

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
