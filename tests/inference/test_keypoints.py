"""Keypoints from the network's logits to pixels, beside torchvision's recorded ones and OpenCV's resizing."""
import common  # noqa: F401

import cv2
import numpy as np

from fake_network import point_logits
from inference import keypoints
from inference.keypoints import decode_keypoints, keypoint_scores


def test_decoded_keypoints_are_torchvisions(golden):
    recorded = np.load(f"{golden}/torchvision/keypoint_ops.npz")
    points, values = decode_keypoints(recorded["logits"].transpose(0, 2, 3, 1), recorded["rois"])
    distance = np.abs(points - recorded["decoded"][..., :2]).max(axis=2)
    assert (distance <= 1e-3).mean() >= 0.99
    np.testing.assert_allclose(values, recorded["decoded_scores"], rtol=1e-5)


def test_the_maps_of_a_huge_box_are_not_resized_to_all_of_its_pixels(monkeypatch):
    sizes, resize = [], cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda plane, size, **kw: sizes.append(size) or resize(plane, size, **kw))
    points, _ = decode_keypoints(point_logits([(20, 30)])[None], [(100, 200, 20100, 3200)])
    assert sizes == [(keypoints.MAX_EDGE, keypoints.MAX_EDGE)]
    np.testing.assert_allclose(points, [[[100 + 20000 * 20.5 / 56, 200 + 3000 * 30.5 / 56]]], atol=20)


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
