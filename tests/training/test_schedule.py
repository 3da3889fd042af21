"""Learning rate and length of a training."""
import pytest

from config import new_config
from training.history import History
from training.schedule import Schedule, accumulated_steps, total_batch


@pytest.mark.parametrize("ims_per_gpu, num_gpus, batch, steps", [
    (1, 0, 1, 8), (1, 1, 1, 8), (2, 2, 4, 2), (3, 1, 3, 2), (8, 1, 8, 1), (2, 8, 16, 1)])
def test_steps_are_accumulated_to_eight_images_at_most(make_config, ims_per_gpu, num_gpus, batch, steps):
    cfg = make_config(f"TRAIN.IMS_PER_GPU={ims_per_gpu}", f"TRAIN.NUM_GPUS={num_gpus}").TRAIN
    assert (total_batch(cfg), accumulated_steps(cfg)) == (batch, steps)


@pytest.mark.parametrize("ims_per_gpu, num_gpus, rate, num_steps", [
    (1, 1, 0.01, 1440000), (2, 1, 0.01, 720000), (3, 1, 0.0075, 480000), (1, 8, 0.01, 180000), (2, 8, 0.02, 90000)])
def test_rate_and_length_follow_from_the_number_of_images_in_a_step(ims_per_gpu, num_gpus, rate, num_steps):
    cfg = new_config().TRAIN
    cfg.IMS_PER_GPU, cfg.NUM_GPUS = ims_per_gpu, num_gpus
    schedule = Schedule(cfg, History.of([(0, num_gpus, ims_per_gpu)]))
    assert schedule.num_steps == num_steps
    assert schedule.learning_rate(cfg.WARMUP) == pytest.approx(rate)
    assert schedule.learning_rate(num_steps - 1) == pytest.approx(rate * 0.01)
