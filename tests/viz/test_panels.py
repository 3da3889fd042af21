"""Pictures with titles side by side."""
import common  # noqa: F401

import numpy as np
import pytest

from viz.panels import LONG_EDGE, Panel, join_panels

RED = (0, 0, 255)


def panels(count, height=300, width=450):
    return [Panel(f"title {i}", "a note", np.full((height, width, 3), (0, 0, 255), np.uint8)) for i in range(count)]


def area_of(sheet, color):
    return int((sheet == color).all(axis=2).sum())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_every_picture_is_there_whole(count):
    sheet = join_panels(panels(count))
    assert area_of(sheet, RED) == count * 300 * 450
    assert area_of(sheet, (255, 255, 255)) < 0.55 * sheet.shape[0] * sheet.shape[1]


def test_large_pictures_are_made_smaller_and_keep_their_shape():
    sheet = join_panels(panels(1, 1500, 3000))
    rows = (sheet == RED).all(axis=2).any(axis=1).sum()
    columns = (sheet == RED).all(axis=2).any(axis=0).sum()
    assert (rows, columns) == (LONG_EDGE // 2, LONG_EDGE)


def test_the_legend_has_every_color_in_as_many_rows_as_it_takes():
    entries = [(f"a class with a long name {i}", (i, 200, 100)) for i in range(30)]
    bare, sheet = join_panels(panels(1)), join_panels(panels(1), entries)
    assert sheet.shape[1] == bare.shape[1] and sheet.shape[0] > bare.shape[0] + 100
    assert all(area_of(sheet, color) > 100 for _, color in entries)


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 2)])
def test_pictures_of_odd_shapes_are_joined(shape):
    assert join_panels(panels(3, *shape)).dtype == np.uint8
