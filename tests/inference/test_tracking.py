"""Objects that keep their numbers from frame to frame."""
import collections
import json

import common  # noqa: F401

import numpy as np
import pytest

import predict
from inference import detector
from inference.detections import Detections
from inference.tracking import Tracker
from moving_shapes import GREYS, SeesGreys, share_kept, write_video


def found(*boxes, labels=None, scores=None, masks=None):
    n = len(boxes)
    return Detections(np.float32(boxes).reshape(-1, 4), np.float32(scores or [0.9] * n), np.array(labels or [1] * n),
                      200, 300, mask_probs=masks)


def at(x, y=50, size=40):
    return x, y, x + size, y + size


def numbers_of(tracker, *frames):
    return [tracker.update(frame).track_ids.tolist() for frame in frames]


@pytest.fixture
def tracker():
    return Tracker(min_iou=0.3, max_lost=3, new_score=0.5)


def test_objects_keep_their_numbers_in_whatever_order_they_are_found(tracker):
    frames = [found(at(0), at(100)), found(at(103), at(4)), found(at(8), at(106), at(200))]
    assert numbers_of(tracker, *frames) == [[1, 2], [2, 1], [1, 2, 3]]


def test_an_object_is_expected_where_its_motion_leads(tracker):
    steps = [0, 10, 30, 60, 100, 160, 230]    # the last is further than its width
    assert numbers_of(tracker, *(found(at(x)) for x in steps)) == [[1]] * 7


def test_an_object_that_comes_back_in_time_has_its_number_again(tracker):
    frames = [found(at(10 * i)) for i in range(8)] + [found()] * 3 + [found(at(110))]
    assert numbers_of(tracker, *frames)[-1] == [1]


def test_an_object_that_comes_back_not_far_from_where_it_is_expected_has_its_number_again(tracker):
    frames = [found(at(50)), found(), found(at(88)), found(), found(at(250))]
    assert numbers_of(tracker, *frames) == [[1], [], [1], [], [2]]


def test_an_object_that_was_away_for_too_long_is_a_new_one(tracker):
    frames = [found(at(50)), *[found()] * 4, found(at(50))]
    assert numbers_of(tracker, *frames)[-1] == [2]


def test_another_class_is_another_object(tracker):
    assert numbers_of(tracker, found(at(0)), found(at(0), labels=[2])) == [[1], [2]]


def test_a_low_score_goes_on_with_a_track_and_begins_none(tracker):
    frames = [found(at(0), at(100), scores=[0.9, 0.2]), found(at(2), at(102), scores=[0.3, 0.2])]
    assert numbers_of(tracker, *frames) == [[1, 0], [1, 0]]


def test_the_best_fit_is_taken_first(tracker):
    assert numbers_of(tracker, found(at(0), at(30)), found(at(24))) == [[1, 2], [2]]


def test_masks_tell_objects_apart_whose_boxes_are_the_same(tracker):
    upper, lower = np.zeros((2, 28, 28), np.float32)
    upper[:12], lower[16:] = 1, 1
    frames = [found(at(0), at(0), masks=np.stack(masks)) for masks in ([upper, lower], [lower, upper])]
    assert numbers_of(tracker, *frames) == [[1, 2], [2, 1]]


def test_identities_are_kept_in_a_video_of_moving_shapes(run_folder, tmp_path, monkeypatch):
    network, frames = SeesGreys(), 150
    monkeypatch.setattr(detector, "load_predictor", lambda cfg, weights_path: network)
    predict.main(["--load", run_folder, "--predict", write_video(tmp_path / "walk.mp4", frames),
                  "--output", str(tmp_path / "out"), "--config", "TEST.TRACK=True",
                  "PREPROC.TEST_SHORT_EDGE_SIZE=240", "PREPROC.MAX_SIZE=320"])
    by_frame, tracks = collections.defaultdict(list), collections.defaultdict(list)
    for result in json.loads((tmp_path / "out" / "walk.json").read_text()):
        by_frame[result["image_id"]].append(result["track_id"])
    for frame, shapes in enumerate(network.found):
        assert len(by_frame[frame]) == len(shapes)
        for shape, number in zip(shapes, by_frame[frame]):
            tracks[shape].append(number)
    assert len(network.found) == frames and len(tracks) == len(GREYS)
    assert sum(map(len, tracks.values())) > 0.6 * frames * len(GREYS)
    assert share_kept(tracks) >= 0.95


def test_a_detector_follows_objects_in_any_frames(run_folder):
    frames = [np.zeros((40, 60, 3), np.uint8)] * 3
    assert [result.track_ids.tolist() for result in predict.Detector(run_folder).track(frames)] == [[1]] * 3
