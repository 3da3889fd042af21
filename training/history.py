"""
How many images a run has seen, also where its steps did not always have the same number of them.

A run that is resumed with other GPUs, ranks or images a batch goes on where it was: its length, the drops of its rate
and its data follow from the images that it has seen. Its steps are counted on, whatever they hold, and with them its
epochs, warm-up, checkpoints and evaluations.

Beside a run's checkpoints, `batches.json` has its stretches. It is written when a training begins, and what of it lies
behind the step of a checkpoint does not count for that checkpoint.
"""
import itertools
import json
import os
from typing import NamedTuple

from common import UserError, whole_file

UPDATE_BATCH = 8    # images an update of the weights, which learning rate and length are configured for


def steps_an_update(images_per_step):
    """
    Smaller steps are accumulated to the largest multiple within 8 images.

    Args:
        images_per_step (int): on all GPUs

    Returns:
        int, steps whose gradients are applied together
    """
    return max(UPDATE_BATCH // images_per_step, 1)


class Stretch(NamedTuple):
    """Steps of a run, from `step` on, in each of which `num_batches` GPUs take a batch of `batch_size` images."""

    step: int
    num_batches: int
    batch_size: int

    @property
    def images_per_step(self):
        """Int, on all GPUs"""
        return self.num_batches * self.batch_size

    def num_steps(self, end):
        """
        Returns:
            int, the steps up to `end` whose gradients were applied. With other steps, an update begins anew, and takes
            the images of an update that was not completed once more.
        """
        steps = end - self.step
        return steps - steps % steps_an_update(self.images_per_step)


class History(NamedTuple):
    """
    The stretches of a run, in order.

    Attributes:
        earlier (list[Stretch]): which have ended
        current (Stretch): which goes on
    """

    earlier: list
    current: Stretch

    @classmethod
    def of(cls, stretches):
        """Args: stretches (list): of the fields of each `Stretch`, the first from step 0 on. Returns: History"""
        *earlier, current = (Stretch(*stretch) for stretch in stretches)
        return cls(earlier, current)

    def stretches(self):
        """Returns: list[Stretch]"""
        return [*self.earlier, self.current]

    def go_on(self, step, num_batches, batch_size):
        """Returns: History, of a run that goes on from a step with these numbers"""
        before = [stretch for stretch in self.stretches() if stretch.step < step]
        if before and before[-1][1:] == (num_batches, batch_size):
            return History.of(before)
        return History.of([*before, Stretch(step, num_batches, batch_size)])

    def earlier_batches(self):
        """Returns: list of (int, int): sizes of the batches before the current stretch, and how many there were"""
        ends = [stretch.step for stretch in self.stretches()[1:]]
        return [(stretch.batch_size, stretch.num_steps(end) * stretch.num_batches)
                for stretch, end in zip(self.earlier, ends)]

    def num_images(self):
        """Returns: int, images that were seen before the current stretch"""
        return sum(size * number for size, number in self.earlier_batches())

    def momentum_factor(self, step):
        """
        Momentum is of sums of an update's gradients.

        Returns:
            float, what the momentum in the checkpoint of a step is to be multiplied with; None where the current
            stretch did not begin there, so that the checkpoint's state can be taken as it is
        """
        if not self.earlier or step != self.current.step:
            return None
        new, old = (steps_an_update(stretch.images_per_step) for stretch in (self.current, self.earlier[-1]))
        return new / old


def history_path(logdir):
    """Returns: str, the path of a run's history"""
    return os.path.join(logdir, "batches.json")


def read_history(logdir, cfg):
    """
    Args:
        logdir (str): a run's folder
        cfg (AttrDict): the TRAIN part of its config, which tells the numbers of a run of earlier versions

    Returns:
        History

    Raises:
        UserError: its file is broken
    """
    path = history_path(logdir)
    if not os.path.exists(path):
        return History.of([(0, max(cfg.NUM_GPUS, 1), cfg.IMS_PER_GPU)])
    try:
        with open(path, encoding="utf-8") as f:
            stretches = [Stretch(**stretch) for stretch in json.load(f)]
        numbers = list(itertools.chain.from_iterable(stretches))
        if not stretches or not all(type(n) is int and n >= 0 for n in numbers) or stretches[0].step:
            raise ValueError("not the batches of a run")
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{path} cannot be read ({e}); bring it back from a copy, or write "
                        '[{"step": 0, "num_batches": GPUS, "batch_size": TRAIN.IMS_PER_GPU}] into it') from None
    return History.of(stretches)


def write_history(logdir, history):
    """Raises: UserError: the file cannot be written"""
    with whole_file(history_path(logdir), encoding="utf-8") as f:
        json.dump([stretch._asdict() for stretch in history.stretches()], f)
