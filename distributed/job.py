"""This process's part in a job of several under Horovod."""
import json
import logging
import os
import zlib

from common import QuietSessionCreator, UserError

import numpy as np
import tensorflow as tf
from tensorpack import tfv1

from distributed.watchdog import Watchdog

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Job:
    """
    Connects this process with the others of its job.

    Args:
        limit (float): seconds without progress until the job counts as hanging, see `Watchdog`

    Attributes:
        rank, size, local_rank, local_size (int): as Horovod numbers processes, on all machines and on this one
        hvd: the module horovod.tensorflow
        watchdog (Watchdog):

    Raises:
        UserError: Horovod is not installed
    """

    def __init__(self, limit):
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
        self.watchdog = Watchdog(self.rank, self.size, self.gather, limit).start()

    def gather(self, value):
        """Returns: list of what JSON makes of the `value` of each rank, on every rank"""
        content = np.frombuffer(zlib.compress(json.dumps(value).encode(), 1), np.uint8)
        feed = {self._bytes: content}
        lengths = self._sess.run(self._lengths, feed)
        parts = np.split(self._sess.run(self._gathered, feed), np.cumsum(lengths)[:-1])
        return [json.loads(zlib.decompress(part.tobytes())) for part in parts]

    def leave(self, error=None):
        """End this rank's part in the job, and the whole job if there is an error (BaseException)."""
        text = error and (str(error) or type(error).__name__)
        # what a collective operation raises when another rank is gone
        self.watchdog.stop(text, is_symptom=isinstance(error, tfv1.errors.UnknownError))


def _is_own_warning(record):
    """What ranks other than the chief show, which says the rest."""
    return record.levelno >= logging.WARNING and os.path.dirname(record.pathname).startswith(_ROOT)
