"""How many images a run has seen."""
from common import UserError

import pytest

from config import new_config
from training.history import History, Stretch, history_path, read_history, write_history
from training.schedule import Schedule

TWO_GPUS = History.of([(0, 2, 4)])    # 8 images a step


def test_a_run_that_goes_on_with_the_same_numbers_has_one_stretch():
    history = TWO_GPUS.go_on(100, 2, 4)
    assert history == TWO_GPUS and history.momentum_factor(100) is None
    assert history.earlier_batches() == [] and history.num_images() == 0


def test_other_gpus_and_batches_begin_a_stretch_behind_the_images_that_were_seen():
    history = TWO_GPUS.go_on(100, 4, 4).go_on(110, 1, 2)
    assert history.stretches() == [(0, 2, 4), (100, 4, 4), (110, 1, 2)]
    assert history.earlier_batches() == [(4, 200), (4, 40)]
    assert history.num_images() == 960


def test_what_lies_behind_an_older_checkpoint_does_not_count():
    history = TWO_GPUS.go_on(100, 4, 4).go_on(110, 1, 2)
    assert history.go_on(90, 1, 2).stretches() == [(0, 2, 4), (90, 1, 2)]
    assert history.go_on(100, 2, 4) == TWO_GPUS
    assert history.go_on(0, 1, 8).stretches() == [(0, 1, 8)]


def test_images_of_an_update_that_was_not_completed_are_taken_again():
    history = History.of([(0, 1, 2)]).go_on(10, 1, 8)    # four steps an update
    assert history.num_images() == 16 and history.earlier_batches() == [(2, 8)]


def test_momentum_is_of_the_sums_of_an_update_and_scaled_once():
    history = History.of([(0, 1, 2)]).go_on(10, 1, 8)
    assert history.momentum_factor(10) == 0.25
    assert history.go_on(20, 1, 8).momentum_factor(20) is None
    assert TWO_GPUS.go_on(10, 1, 4).momentum_factor(10) == 2


@pytest.mark.parametrize("step, num_gpus, ims_per_gpu, num_steps, drop", [
    (1000, 2, 8, 1500, 1250),      # 8,000 of 16,000 images are left, 4,000 until the drop
    (1000, 1, 2, 5000, 3000),
    (1000, 8, 1, 2000, 1500),
    (1800, 1, 2, 2600, None)])
def test_length_and_drops_follow_from_the_images_that_are_left(step, num_gpus, ims_per_gpu, num_steps, drop):
    cfg = new_config().TRAIN
    cfg.LR_SCHEDULE, cfg.NUM_GPUS, cfg.IMS_PER_GPU, cfg.WARMUP = (1500, 2000), num_gpus, ims_per_gpu, 100
    schedule = Schedule(cfg, TWO_GPUS.go_on(step, num_gpus, ims_per_gpu), step)
    assert (schedule.start_step, schedule.num_steps) == (step, num_steps)
    low = schedule.learning_rate(num_steps - 1)
    assert low == pytest.approx(schedule.base / 10)
    if drop:
        assert schedule.learning_rate(drop - 1) == schedule.base and schedule.learning_rate(drop) == low
    else:
        assert schedule.learning_rate(step) == low


def test_a_run_keeps_its_history(tmp_path):
    history = TWO_GPUS.go_on(100, 4, 4)
    write_history(str(tmp_path), history)
    assert read_history(str(tmp_path), new_config().TRAIN) == history


@pytest.mark.parametrize("num_gpus, stretch", [(0, Stretch(0, 1, 3)), (4, Stretch(0, 4, 3))])
def test_the_config_of_an_earlier_version_has_the_number_of_gpus_that_were_used(tmp_path, num_gpus, stretch):
    cfg = new_config().TRAIN
    cfg.NUM_GPUS, cfg.IMS_PER_GPU = num_gpus, 3
    assert read_history(str(tmp_path), cfg) == History([], stretch)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[[0, 1, 8]]", '[{"step": 3, "num_batches": 1, "batch_size": 8}]',
                                     '[{"step": 0, "num_batches": 1, "batch_size": "8"}]'])
def test_a_broken_history_is_named(tmp_path, content):
    with open(history_path(str(tmp_path)), "w") as f:
        f.write(content)
    with pytest.raises(UserError, match="batches.json cannot be read .*; bring it back"):
        read_history(str(tmp_path), new_config().TRAIN)
