"""What a camera sees, until Ctrl-C."""
import contextlib
import signal
import threading
import time

import common
from common import UserError

import cv2

FALLBACK_RATE = 25.0    # frames a second of a file or a camera that does not say
CAMERA = "camera:"      # and the number that OpenCV gives it


def is_camera(path):
    """Returns: bool, whether it is the name of a camera, such as "camera:0", and not of a file"""
    return path.startswith(CAMERA) and path[len(CAMERA):].isdecimal()


class Camera:
    """
    A camera, to be read once: the newest image each time, until Ctrl-C, which does no more than that, or until it is
    taken away. A second Ctrl-C interrupts as ever.

    Attributes:
        num_frames (int): 0
        rate (float): frames a second, as the camera says
    """

    is_live = True
    num_frames = 0

    def __init__(self, name):
        """
        Args:
            name (str): see `is_camera`

        Raises:
            UserError: there is no such camera, or it gives no image
        """
        self._name = name
        with common.silenced_native():
            self._capture = cv2.VideoCapture(int(name[len(CAMERA):]))
            # what is kept for later is old when the network is ready for it
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not self._capture.isOpened():
            raise UserError(f"{name}: no camera that OpenCV reads; see that it is connected, that no other program has "
                            "it, and that you may use it, or try another number")
        self.rate = rate_of(self._capture)

    def frames(self):
        """
        Yields:
            (int, uint8 (h, w, 3)): the number, from 0 on, of the frame that a video of this rate has at that time, and
            BGR pixels

        Raises:
            UserError: there is no image
        """
        start, number = None, -1
        with contextlib.closing(self), _interrupt_as_event() as interrupted:
            while not interrupted.is_set() and (read := self._capture.read())[0]:
                now = time.monotonic()
                start = now if start is None else start
                number = max(int((now - start) * self.rate), number + 1)
                yield number, read[1]
            if number < 0 and not interrupted.is_set():
                raise UserError(f"{self._name}: this camera gives no image; see that no other program has it")

    def close(self):
        self._capture.release()


def rate_of(capture):
    """Args: capture (cv2.VideoCapture). Returns: float, frames a second"""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else FALLBACK_RATE


@contextlib.contextmanager
def _interrupt_as_event():
    """A context with an event that the first Ctrl-C sets, in place of an exception"""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(*_):
        event.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
