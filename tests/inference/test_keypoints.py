"""Keypoints from the network's logits to pixels, beside torchvision's recorded ones and OpenCV's resizing."""
import common  # noqa: F401

import cv2
import numpy as np
import pytest

from fake_network import point_logits
from inference import keypoints
from inference.keypoints import decode_keypoints, find_peaks, keypoint_scores


@pytest.fixture(params=["whole maps", "cells"])
def way(request, monkeypatch):
    """Both ways in which peaks are found; which is faster depends on the box alone."""
    monkeypatch.setattr(keypoints, "SMALL", 2 ** 30 if request.param == "whole maps" else 0)


def resized(maps, height, width):
    return np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
                     for plane in np.ascontiguousarray(maps.transpose(2, 0, 1))])


def test_decoded_keypoints_are_torchvisions(golden, way):
    recorded = np.load(f"{golden}/torchvision/keypoint_ops.npz")
    points, values = decode_keypoints(recorded["logits"].transpose(0, 2, 3, 1), recorded["rois"])
    distance = np.abs(points - recorded["decoded"][..., :2]).max(axis=2)
    assert (distance <= 1e-3).mean() >= 0.99
    np.testing.assert_allclose(values, recorded["decoded_scores"], rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (56, 56), (57, 55), (200, 131)], ids=str)
def test_peaks_are_where_opencv_resizes_maps_to_their_largest(way, size):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(56, 56, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    edge = point_logits([(0, 0), (55.0, 20), (56, 56)])    # largest at the border, or beyond it
    for maps in (noise, 100 * smooth, smooth - 1000, edge):
        rows, columns, values = find_peaks(maps, *size)
        expected = resized(maps, *size)
        np.testing.assert_allclose(values, expected.max(axis=(1, 2)), rtol=1e-5)
        # OpenCV's numbers are rounded otherwise, so that another place may be the largest by a hair
        np.testing.assert_allclose(expected[np.arange(3), rows, columns], expected.max(axis=(1, 2)), rtol=1e-5)


@pytest.fixture
def looks(monkeypatch):
    """A list that gets the number of values of each look at some cells."""
    looks, find = [], keypoints._largest_in_cells

    def watched(padded, cells, rows, columns):
        looks.append(cells.shape[1] * rows.counts().max() * columns.counts().max())
        return find(padded, cells, rows, columns)

    monkeypatch.setattr(keypoints, "_largest_in_cells", watched)
    return looks


def test_a_large_box_is_looked_at_in_parts(looks):
    find_peaks(np.random.default_rng(0).normal(size=(56, 56, 1)).astype(np.float32), 9000, 6000)
    assert len(looks) > 2 and max(looks) <= keypoints.MAX_VALUES


@pytest.mark.parametrize("name, maps", [("flat", np.full((56, 56, 1), 0.3, np.float32)),
                                        ("peak", point_logits([(20, 30)]))])
def test_of_a_large_box_only_what_may_have_the_peak_is_looked_at(looks, name, maps):
    find_peaks(maps, 1120, 1120)
    assert sum(looks) < 0.03 * 1120 ** 2


def test_a_box_below_a_pixel_counts_as_a_pixel():
    points, _ = decode_keypoints(point_logits([(0, 0)])[None], [(5, 6, 5.25, 6)])
    np.testing.assert_allclose(points, [[[5.5, 6.5]]])


def test_the_score_of_a_keypoint_is_its_share_of_what_the_places_have():
    logits = np.zeros((1, 56, 56, 3), np.float32)
    logits[0, 3, 4, 1] = np.log(56 * 56 - 1)    # as much as all others
    logits[..., 2] = 5000                       # beyond float32's exp
    scores = keypoint_scores(logits, logits.max(axis=(1, 2)))
    np.testing.assert_allclose(scores, [[1 / 3136, 0.5, 1 / 3136]], rtol=1e-4)
    # an interpolated value may exceed the places'
    assert keypoint_scores(logits, np.float32([[9, 9, 5001]])).max() == 1
