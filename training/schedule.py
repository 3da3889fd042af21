"""How long a training is, its learning rate, and how many images an update of the weights takes."""
from tensorpack.callbacks import ScheduledHyperParamSetter

from training.history import UPDATE_BATCH, History, steps_an_update


def total_batch(cfg):
    """Args: cfg (AttrDict): the TRAIN part of a config. Returns: int, images in a step on all GPUs"""
    return max(cfg.NUM_GPUS, 1) * cfg.IMS_PER_GPU


def accumulated_steps(cfg):
    """Args: cfg (AttrDict): the TRAIN part of a config. Returns: int, steps whose gradients are applied together"""
    return steps_an_update(total_batch(cfg))


class Schedule:
    """
    Learning rate and length of a training. Both are configured for 8 images a step, but for the warm-up.

    Args:
        cfg (AttrDict): the TRAIN part of a config
        history (History): of the run, whose current stretch has the numbers of `cfg`; None for a new run
        start_step (int): steps that were taken before

    Attributes:
        start_step, num_steps (int): where it starts and ends
        first_epoch, num_epochs (int): the first and the last epoch of it, counted from 1
        steps_per_epoch (int)
    """

    def __init__(self, cfg, history=None, start_step=0):
        self.start_step = start_step
        batch = total_batch(cfg)
        history = history or History.of([(0, 1, batch)])
        self.base = cfg.BASE_LR * (batch * accumulated_steps(cfg)) / UPDATE_BATCH
        self.warmup, self.warmup_init = cfg.WARMUP, min(cfg.WARMUP_INIT_LR, self.base)
        first_step, first_image = history.current.step, history.num_images()
        *self.drops, self.num_steps = [
            max(first_step + (step * UPDATE_BATCH - first_image) // batch, 1) for step in cfg.LR_SCHEDULE]
        self.steps_per_epoch = min(cfg.STEPS_PER_EPOCH, self.num_steps)
        self.num_epochs = -(-self.num_steps // self.steps_per_epoch)
        # behind the last step it is an epoch without steps, for the evaluation at its end
        self.first_epoch = min(start_step // self.steps_per_epoch + 1, self.num_epochs)

    @property
    def is_over(self):
        """Bool, whether there is no step to take"""
        return self.start_step >= self.num_steps

    def learning_rate(self, step):
        """The rate of the step after `step` steps: a linear warm-up, then constant but for the tenfold drops."""
        rate = self.base * 0.1 ** sum(step >= drop for drop in self.drops)
        if step < self.warmup:
            rate = min(rate, self.warmup_init + (self.base - self.warmup_init) * step / self.warmup)
        return rate

    def setter(self):
        """Returns: the tensorpack callback that follows the schedule"""
        around_drops = {step for drop in self.drops for step in (drop - 1, drop)}
        corners = sorted({0, self.warmup, self.num_steps * 2} | around_drops)
        return ScheduledHyperParamSetter(
            "learning_rate", [(step, self.learning_rate(step)) for step in corners], interp="linear", step_based=True)
