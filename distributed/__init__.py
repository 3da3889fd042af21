"""
The processes ("ranks") that work on one job under Horovod: `horovodrun -np 4 ./train.py --config TRAINER=horovod …`.

Without `init` this process is the only one: rank 0 of 1.
"""
import contextlib
import json
import logging
import os
import time
import zlib

import common
import numpy as np
import tensorflow as tf
from common import QuietSessionCreator, UserError
from tensorpack import tfv1

from distributed.watchdog import Watchdog

PATIENCE = 30    # seconds until a rank that does not answer counts as lost
# seconds until a job whose ranks all answer, but take no step and detect nothing, counts as hanging; its chief may
# compute metrics meanwhile
STALLED = 1800

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_job = None    # the Job of this process, once there is one


class Job:
    """
    Connects this process with the others of its job.

    Attributes:
        rank, size, local_rank, local_size (int): as Horovod numbers processes, on all machines and on this one
        hvd: the module horovod.tensorflow
        progress (callable): see `Watchdog.progress`
    """

    def __init__(self):
        # a rank may wait long for another to end an evaluation; the watchdog finds those that hang
        os.environ.setdefault("HOROVOD_STALL_CHECK_DISABLE", "1")
        try:
            import horovod.tensorflow as hvd
        except ImportError as e:
            raise UserError(f"TRAINER=horovod: Horovod cannot be imported ({str(e).splitlines()[0]}); build it with "
                            "`make horovod`") from None
        hvd.init()
        self.hvd = hvd
        self.rank, self.size = hvd.rank(), hvd.size()
        self.local_rank, self.local_size = hvd.local_rank(), hvd.local_size()
        # small arrays go through a graph and a session of their own, as that of a training cannot grow
        with tf.Graph().as_default(), tf.device("/cpu:0"):
            self._bytes = tfv1.placeholder(tf.uint8, [None])
            self._lengths = hvd.allgather(tf.reshape(tf.size(self._bytes), [1]), name="gather_lengths")
            self._gathered = hvd.allgather(self._bytes, name="gather_bytes")
            creator = QuietSessionCreator()
            creator.config.device_count["GPU"] = 0
            self._sess = creator.create_session()
        if self.rank > 0:
            logging.getLogger("tensorpack").handlers[0].addFilter(_is_own_warning)
        self._watchdog = Watchdog(
            self.rank, self.size, lambda address: self.gather(address)[0], PATIENCE, STALLED).start()
        self.progress = self._watchdog.progress

    def gather(self, value):
        """Returns: list of what JSON makes of the `value` of each rank, on every rank"""
        content = np.frombuffer(zlib.compress(json.dumps(value).encode(), 1), np.uint8)
        feed = {self._bytes: content}
        lengths = self._sess.run(self._lengths, feed)
        parts = np.split(self._sess.run(self._gathered, feed), np.cumsum(lengths)[:-1])
        return [json.loads(zlib.decompress(part.tobytes())) for part in parts]

    def leave(self, error):
        """End this rank's part in the job, and the whole job if there is an error (Exception)."""
        if isinstance(error, tfv1.errors.OpError) and "orovod" in str(error):
            time.sleep(PATIENCE + 10)    # the failure is another rank's; the watchdog names it and ends this process
        self._watchdog.stop(error and (str(error) or type(error).__name__))


def _is_own_warning(record):
    """What ranks other than the chief show, which says the rest."""
    return record.levelno >= logging.WARNING and os.path.dirname(record.pathname).startswith(_ROOT)


def init():
    """
    Join the job that this process was started for.

    Raises:
        UserError: Horovod is not installed
    """
    global _job
    _job = _job or Job()


def launched():
    """Returns: int, how many processes horovodrun, mpirun or srun started, this one included; 1 without these"""
    sizes = [int(os.environ.get(name, 1)) for name in (
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
        _job.progress(step)


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
