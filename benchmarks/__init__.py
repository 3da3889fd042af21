"""What the benchmarks share with an interpreter that has torchvision but not this project's libraries."""
import resource
import statistics
import sys
import time

LEARNING_RATE, MOMENTUM = 1e-5, 0.9    # so low a rate that the sampling stays the same from step to step
WARMUP_STEPS = 2


def time_steps(step, count, warmup=WARMUP_STEPS):
    """
    Call `step()` `warmup` times without and `count` times with a clock.

    Args:
        step (callable): without arguments; returns the loss and the number of masks that were trained on

    Returns:
        dict: "seconds", a list of `count` floats; "loss" of the last step; "masks", their median over the timed
        steps; "peak_gib" of the process
    """
    for _ in range(warmup):
        step()
    seconds, masks = [], []
    for _ in range(count):
        start = time.perf_counter()
        loss, num_masks = step()
        seconds.append(time.perf_counter() - start)
        masks.append(int(num_masks))
    return dict(seconds=seconds, loss=float(loss), masks=statistics.median(masks), peak_gib=peak_gib())


def peak_gib():
    """Returns: float, the largest resident memory that this process has had, in GiB"""
    unit = 1 if sys.platform == "darwin" else 2 ** 10    # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2 ** 30
