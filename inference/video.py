"""Videos: their frames, and writing one frame after the other."""
import contextlib
import os

import common  # noqa: F401  (prepares the environment)
from common import UserError

import cv2

from inference.camera import Camera, is_camera, rate_of

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")


def is_video(path):
    """Returns: bool, whether the name of a file says that it is a video, or a camera is named"""
    return path.lower().endswith(SUFFIXES) or is_camera(path)


def open_video(path):
    """Returns: Camera or Video. Raises: UserError: it is not one that OpenCV reads"""
    return Camera(path) if is_camera(path) else Video(path)


class Video:
    """
    A video file, to be read once.

    Attributes:
        num_frames (int): as the file says, 0 where it does not; it need not be true
        rate (float): frames a second
    """

    is_live = False

    def __init__(self, path):
        """
        Raises:
            UserError: it is no video that OpenCV reads
        """
        self._path, self._capture = path, cv2.VideoCapture(path)
        if not self._capture.isOpened():
            raise UserError(f"{path}: not a video that OpenCV reads; convert it, to .mp4 say")
        self.num_frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self.rate = rate_of(self._capture)

    def frames(self):
        """
        Yields:
            (int, uint8 (h, w, 3)): number from 0, and BGR pixels

        Raises:
            UserError: there is no frame
        """
        number = 0
        with contextlib.closing(self):
            while (read := self._capture.read())[0]:
                yield number, read[1]
                number += 1
        if not number:
            raise UserError(f"{self._path}: this video has no frame that OpenCV reads; convert it, to .mp4 say")

    def close(self):
        self._capture.release()


class VideoWriter:
    """
    A context that writes an MP4 file; the file is there when the context ends without an exception, and not before.

    Args:
        path (str): ends in .mp4
        rate (float): frames a second
    """

    def __init__(self, path, rate):
        self._path, self._rate = path, rate
        # OpenCV chooses the format by the end of the name
        self._partial = f"{path}.{os.getpid()}.tmp.mp4"
        self._writer, self._count, self._last = None, 0, None

    def write(self, frame, number=None):
        """
        Args:
            frame: uint8 (h, w, 3), BGR, all of one size
            number (int): of the frame in the file, from 0 on; the one before fills what lies between; None: the next
        """
        if self._writer is None:
            height, width = frame.shape[:2]
            self._writer = cv2.VideoWriter(
                self._partial, cv2.VideoWriter_fourcc(*"mp4v"), self._rate, (width, height))
        if not self._writer.isOpened():
            raise UserError(f"cannot write {self._path}; see that there is room and that you may write there, and that "
                            "this OpenCV writes videos")
        for _ in range(self._count, self._count if number is None else number):
            self._put(self._last)
        self._put(frame)

    def _put(self, frame):
        self._writer.write(frame)
        self._count, self._last = self._count + 1, frame

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if self._writer is not None:
            self._writer.release()
        try:
            if error is None and self._writer is not None:
                os.replace(self._partial, self._path)
        except OSError as e:
            raise UserError(f"cannot write {self._path} ({e.strerror})") from None
        finally:
            with contextlib.suppress(OSError):
                os.remove(self._partial)
