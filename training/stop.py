"""An orderly stop of a training."""
import contextlib
import os
import signal
import sys
import threading

import numpy as np
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.callbacks import Callback
from tensorpack.train import StopTraining

import distributed


class StopOnSignal(Callback):
    """
    SIGTERM and Ctrl-C end the training behind the step that is under way, on all ranks behind the same one, with a
    checkpoint. An evaluation of a single process is cut short. A second signal ends the training at once.

    Args:
        saver (Callback): writes a checkpoint

    Attributes:
        stopped (bool): whether the training was ended so
    """

    stopped = False

    _chief_only = False

    def __init__(self, saver):
        self.saver = saver
        self.requested = threading.Event()

    def _setup_graph(self):
        requested = tf.numpy_function(lambda: np.float32(self.requested.is_set()), [], tf.float32)
        requested.set_shape([])
        self._fetches = tfv1.train.SessionRunArgs(distributed.sum_over_ranks(requested))

    def _before_train(self):
        self._handlers = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}

    def _handle(self, number, _):
        signal.signal(number, signal.SIG_DFL)
        self.requested.set()
        if distributed.is_chief():
            # the logger may be in use by what the signal interrupted, and the one who reads may be gone
            with contextlib.suppress(OSError):
                os.write(sys.stderr.fileno(),
                         b"\nStopping behind this step, with a checkpoint. Once more stops at once.\n")

    def cuts_evaluations(self):
        """Returns: bool, whether an evaluation is to end here; in a job others would wait for this rank's results"""
        return self.requested.is_set() and distributed.size() == 1

    def _before_run(self, _):
        return self._fetches

    def _after_run(self, _, run_values):
        self._ends_here = run_values.results > 0

    def _trigger_step(self):
        if self._ends_here:
            self.stop()

    def stop(self):
        """End the training here, in the main thread, with a checkpoint."""
        self.stopped = True
        if distributed.is_chief():
            self.saver.trigger()
        raise StopTraining()

    def _after_train(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
