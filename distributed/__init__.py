"""
The processes ("ranks") that work on one job under Horovod: `horovodrun -np 4 ./train.py --config TRAINER=horovod …`.

Without `init` this process is the only one: rank 0 of 1.
"""
import contextlib
import os

from common import QuietSessionCreator

from distributed.job import Job

STALLED = 1800    # seconds in which no rank takes a step or detects anything until the job counts as hanging

_job = None    # the Job of this process, once there is one


def init():
    """
    Join the job that this process was started for.

    Raises:
        UserError: Horovod is not installed
    """
    global _job    # noqa: PLW0603 - a process has one
    _job = _job or Job(STALLED)


def launched():
    """Returns: int, how many processes horovodrun, mpirun or srun started, this one included; 1 without these"""
    sizes = [int(os.environ.get(name, "1")) for name in (
        "HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")]
    return max(sizes)


def session_creator():
    """Returns: a QuietSessionCreator of sessions that see the one GPU of this rank, or all without a job"""
    creator = QuietSessionCreator()
    if _job:
        creator.config.gpu_options.visible_device_list = str(_job.local_rank)
        creator.config.inter_op_parallelism_threads = max(os.cpu_count() // _job.local_size, 1)
    return creator


def job():
    """Returns: the Job of this process, None without `init`"""
    return _job


def rank():
    """Returns: int, the number of this process"""
    return _job.rank if _job else 0


def size():
    """Returns: int, how many processes there are"""
    return _job.size if _job else 1


def is_chief():
    """True in the one process that writes logs, checkpoints and results"""
    return rank() == 0


def progress(step=None):
    """Tell the job that this rank goes on; see `Watchdog.progress`."""
    if _job:
        _job.watchdog.progress(step)


def pause():
    """Tell the job that what follows may take this rank any time; see `Watchdog.pause`."""
    if _job:
        _job.watchdog.pause()


def gather(value):
    """Returns: list of the `value` of each rank, on every rank; values that JSON takes"""
    return [value] if _job is None else _job.gather(value)


def sum_over_ranks(x):
    """Args: x: a tensor of the same shape on every rank. Returns: the same shape, whose gradient is summed likewise"""
    return x if size() == 1 else _job.hvd.allreduce(x, op=_job.hvd.Sum)


@contextlib.contextmanager
def member():
    """A context that this process leaves the job with; an exception in it ends all ranks with its message."""
    error = None
    try:
        yield
    except BaseException as e:
        error = e
        raise
    finally:
        if _job:
            _job.leave(error)


@contextlib.contextmanager
def chief_first():
    """What is done in this context the chief does before the others begin, for files that it makes and all read."""
    if not is_chief():
        gather(None)
    yield
    if is_chief():
        gather(None)
