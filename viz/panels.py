"""Several pictures with titles side by side, and a legend of colours below them. Pictures are BGR uint8."""
from typing import NamedTuple

import common  # noqa: F401  (prepares the environment)

import cv2
import numpy as np

from viz.drawing import FONT

LONG_EDGE = 720          # pixels, of a picture on its panel
LEAST_WIDTH = 420        # of a panel, so that its title can be read
GAP = 12                 # pixels between panels
ASPECT = 1.6             # width / height that all panels together come close to
PAPER, INK, PALE = (255, 255, 255), (20, 20, 20), (110, 110, 110)
TITLE_SCALE, NOTE_SCALE = 0.62, 0.46
TITLE_HEIGHT, ROW_HEIGHT = 50, 26


class Panel(NamedTuple):
    """
    Attributes:
        title (str), note (str): a line above the picture, and a smaller one below that
        picture: uint8 (h, w, 3), BGR, of any size
    """

    title: str
    note: str
    picture: np.ndarray


def join_panels(panels, legend=()):
    """
    Args:
        panels (list[Panel]): at least one
        legend (list): of a name and its color, BGR

    Returns:
        uint8 (H, W, 3), all of them in rows, each picture at most LONG_EDGE long
    """
    pictures = [_fit(panel.picture) for panel in panels]
    width = max(LEAST_WIDTH, *(picture.shape[1] for picture in pictures))
    height = TITLE_HEIGHT + max(picture.shape[0] for picture in pictures)
    columns = _num_columns(len(panels), width, height)
    rows = -(-len(panels) // columns)
    sheet = np.full((GAP + rows * (height + GAP), GAP + columns * (width + GAP), 3), PAPER, np.uint8)
    for i, (panel, picture) in enumerate(zip(panels, pictures)):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        _write(sheet, panel.title, (left, top + 18), TITLE_SCALE, INK, width)
        _write(sheet, panel.note, (left, top + 38), NOTE_SCALE, PALE, width)
        top += TITLE_HEIGHT
        sheet[top:top + picture.shape[0], left:left + picture.shape[1]] = picture
    return np.concatenate([sheet, _draw_legend(legend, sheet.shape[1])]) if legend else sheet


def _fit(picture):
    scale = min(LONG_EDGE / max(picture.shape[:2]), 1)
    size = [max(round(scale * edge), 1) for edge in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _num_columns(count, width, height):
    def distance(columns):
        rows = -(-count // columns)
        num_empty = rows * columns - count
        return abs(np.log(columns * width / (rows * height) / ASPECT)) + num_empty / count

    return min(range(1, count + 1), key=distance)


def _write(sheet, text, place, scale, color, width):
    """Write a line that is at most `width` pixels long, in smaller letters if need be."""
    (length, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    cv2.putText(sheet, text, place, FONT, scale * min(1, width / max(length, 1)), color, 1, cv2.LINE_AA)


def _draw_legend(entries, width):
    """Returns: uint8 (h, width, 3), a square of each color with its name behind it, in as many rows as it takes"""
    places, x, row = [], GAP, 0
    for name, _ in entries:
        length = cv2.getTextSize(name, FONT, NOTE_SCALE, 1)[0][0] + 44
        if x + length > width and x > GAP:
            x, row = GAP, row + 1
        places.append((x, row * ROW_HEIGHT + 4))
        x += length
    legend = np.full(((row + 1) * ROW_HEIGHT + GAP, width, 3), PAPER, np.uint8)
    for (name, color), (x, y) in zip(entries, places):
        cv2.rectangle(legend, (x, y), (x + 14, y + 14), color, cv2.FILLED)
        _write(legend, name, (x + 22, y + 12), NOTE_SCALE, INK, width - x - 22)
    return legend
