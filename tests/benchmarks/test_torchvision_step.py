"""Torchvision's side of the benchmark of training steps."""
import importlib.util

import numpy as np
import pytest

from benchmarks import torchvision_step, train_step
from data.batch import unpack_masks
from tiny import TINY
from training.model import TrainingModel

SIZE = (64, 96)
NUM_CLASSES = 3


def test_masks_of_both_sides_are_the_same_ellipse():
    cfg = train_step.make_config(1, num_classes=NUM_CLASSES, words=TINY)
    batch = dict(train_step.make_batch(1, 56, 56, 1, NUM_CLASSES), gt_boxes=np.float32([[[0, 0, 56, 56]]]))
    feed = train_step.make_feed(TrainingModel(cfg), batch)
    bitmap, = torchvision_step.ellipse_bitmaps(batch["gt_boxes"][0], 56, 56)
    np.testing.assert_array_equal(unpack_masks(feed["gt_masks"][0, 0], 56), bitmap)
    assert bitmap.mean() == pytest.approx(np.pi / 4, abs=0.01)


@pytest.mark.slow
def test_torchvisions_side_takes_a_step():
    if not importlib.util.find_spec("torchvision"):
        pytest.skip("torchvision is not installed here")
    batch = train_step.make_batch(1, *SIZE, num_boxes=2, num_classes=NUM_CLASSES)
    found = torchvision_step.measure(batch, NUM_CLASSES + 1, train_step.FG_THRESH, steps=1)
    assert np.isfinite(found["loss"]) and found["masks"] >= 2
