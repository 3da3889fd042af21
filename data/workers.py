"""What every worker process of data/ does first."""
import ctypes
import signal

import cv2

PR_SET_PDEATHSIG = 1     # from linux/prctl.h


def prepare_worker():
    """End with the parent process, leave Ctrl-C to it, and use one thread, as there is a process for each core."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
