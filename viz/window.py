"""A window on pictures, as they are made."""
import os
import sys

from common import UserError

import cv2

ESCAPE = 27


class Window:
    """
    A window on one picture after the other.

    Args:
        title (str)

    Raises:
        UserError: there is no display, or this OpenCV has no windows
    """

    def __init__(self, title):
        self.title = title
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UserError(
                "--show: there is no display here to open a window on; use --output DIR and look at the files")
        try:
            cv2.namedWindow(title)
        except cv2.error:
            raise UserError("--show: this OpenCV is built without windows; use --output DIR, or install opencv-python "
                            "in place of opencv-python-headless") from None

    def show(self, picture, wait):
        """
        Args:
            picture: uint8 (h, w, 3), BGR
            wait (int): milliseconds; 0 waits for a key

        Returns:
            bool, whether to go on: the key was not Escape or q
        """
        cv2.imshow(self.title, picture)
        return cv2.waitKey(wait) & 0xFF not in (ESCAPE, ord("q"))
