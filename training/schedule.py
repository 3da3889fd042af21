"""How long a training is, its learning rate, and how many images an update of the weights takes."""
from tensorpack.callbacks import ScheduledHyperParamSetter

from training.history import UPDATE_BATCH, steps_an_update


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
        history (History): of the run, whose current stretch has the numbers of `cfg`
        start_step (int): steps that were taken before

    Attributes:
        history
        start_step, num_steps (int): where it starts and ends
        first_epoch, num_epochs (int): the first and the last epoch of it, counted from 1
        steps_per_epoch (int)
    """

    def __init__(self, cfg, history, start_step=0):
        self.history, self.start_step = history, start_step
        batch = history.current.images_per_step
        self.base = cfg.BASE_LR * (batch * steps_an_update(batch)) / UPDATE_BATCH
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

    @property
    def momentum_factor(self):
        """Float or None, see `History.momentum_factor`"""
        return self.history.momentum_factor(self.start_step)

    def describe(self):
        """Returns: str, the steps that are to be taken"""
        text = f"{self.history.current.images_per_step} images a step, {self.num_steps} steps"
        if self.start_step:
            text += f", from step {self.start_step}"
        if self.momentum_factor is not None:
            text += (f", which was reached with {self.history.num_images()} images in "
                     f"steps of {self.history.earlier[-1].images_per_step}")
        return text

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
