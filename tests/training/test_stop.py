"""An orderly stop of a training."""
import contextlib
import os
import signal

from training.stop import StopOnSignal


@contextlib.contextmanager
def broken_stderr():
    """Standard error is a pipe that nobody reads any more, as when a launcher was killed."""
    reader, writer = os.pipe()
    os.close(reader)
    stderr = os.dup(2)
    os.dup2(writer, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(writer)


def test_a_stop_is_asked_for_although_nobody_reads_what_is_said_about_it():
    handler = signal.getsignal(signal.SIGTERM)
    stop = StopOnSignal(saver=None)
    try:
        with broken_stderr():
            stop._handle(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert stop.requested.is_set()
