"""The bar of a training, and a stop where a loss is not finite."""
import types

import numpy as np
import pytest
from tensorpack.train import StopTraining

from training.progress import Progress

NAMES = ["rpn_label_loss", "fastrcnn_box_loss", "maskrcnn_loss", "wd_cost", "total_cost"]


@pytest.fixture
def progress(monkeypatch):
    """In the second step of 10, half a second behind the first."""
    progress = Progress(NAMES, num_steps=10, images_per_step=4)
    progress.trainer = types.SimpleNamespace(loop=types.SimpleNamespace(global_step=1), global_step=1)
    progress._averages, progress._first_step, progress._started = None, 0, 100.0
    monkeypatch.setattr("training.progress.time", types.SimpleNamespace(time=lambda: 100.5))
    return progress


def take_step(progress, losses, *towers):
    """Args: losses: the means over the towers; towers: losses of each tower, by default the means"""
    ids = [np.int64([7, 8]), np.int64([9, 10])]
    towers = towers or [losses]
    progress._after_run(None, types.SimpleNamespace(
        results=([np.float32(tower) for tower in towers], ids[:len(towers)], np.float32(losses))))


def test_losses_go_by_name(progress):
    take_step(progress, [1, 2, 3, 4, 10])
    assert progress.losses == dict(zip(NAMES, [1, 2, 3, 4, 10]))


def test_the_bar_shows_averages_of_the_losses_and_the_images_a_second(progress):
    take_step(progress, [1, 2, 3, 4, 10])
    assert progress._describe() == "loss 10.00 (rpn_label 1.00 box_box 2.00 mask 3.00), 8.0 images/s"
    take_step(progress, [2, 2, 3, 4, 30])
    assert progress._describe() == "loss 11.00 (rpn_label 1.05 box_box 2.00 mask 3.00), 8.0 images/s"


def test_a_loss_of_any_tower_that_is_not_finite_is_named_with_the_images_of_that_tower(progress):
    with pytest.raises(StopTraining):
        take_step(progress, [1, np.nan, 1, 1, np.nan], [1, 1, 1, 1, 4], [1, np.inf, 1, 1, np.nan])
    message = str(progress.error)
    assert "fastrcnn_box_loss, total_cost not finite for the images 9, 10;" in message
    assert "TRAIN.BASE_LR" in message and "--resume" in message
