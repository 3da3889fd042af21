"""What every worker process of data/ does first, and how many there are."""
import ctypes
import os
import signal
import threading
import time

import cv2

PR_SET_PDEATHSIG = 1     # from linux/prctl.h
_PARENT_PERIOD = 1.0    # seconds


def num_cores():
    """Returns: int, how many cores this process may use; those of the machine where the system does not tell"""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def prepare_worker():
    """End with the parent process, leave Ctrl-C to it, and use one thread, as there is a process for each core."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:    # not Linux
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _end_with(parent):
    while os.getppid() == parent:
        time.sleep(_PARENT_PERIOD)
    os.kill(os.getpid(), signal.SIGKILL)
