"""Reading and writing video files."""
import os

import common  # noqa: F401
from common import UserError

import cv2
import numpy as np
import pytest

from inference import video


def grey_levels(path):
    return [round(float(frame.mean())) for _, frame in video.Video(str(path)).frames()]


def write(path, levels, rate=12.0, size=(48, 64)):
    with video.VideoWriter(str(path), rate) as writer:
        for level in levels:
            writer.write(np.full((*size, 3), level, np.uint8))
    return path


def test_what_was_written_is_read(tmp_path):
    levels = [10, 60, 110, 160, 210]
    source = video.Video(str(write(tmp_path / "a.mp4", levels)))
    assert source.num_frames == 5 and source.rate == pytest.approx(12.0)
    frames = list(source.frames())
    assert [number for number, _ in frames] == [0, 1, 2, 3, 4]
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for _, frame in frames)
    np.testing.assert_allclose([frame.mean() for _, frame in frames], levels, atol=4)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_video_appears_whole_or_not_at_all(tmp_path):
    write(tmp_path / "a.mp4", [50])
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ZeroDivisionError), video.VideoWriter(str(tmp_path / "a.mp4"), 10) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        raise ZeroDivisionError
    assert (tmp_path / "a.mp4").read_bytes() == before and os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x20ftypisom" + bytes(500)])
def test_a_file_that_is_no_video_is_named(tmp_path, content, capfd):
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(UserError, match="bad.mp4"):
        list(video.Video(str(tmp_path / "bad.mp4")).frames())


def test_a_video_that_is_cut_short_has_the_frames_before(tmp_path):
    path = tmp_path / "a.avi"
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(20):
        writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    os.truncate(path, os.path.getsize(path) // 2)
    assert 0 < len(grey_levels(path)) < 20


def test_a_place_that_cannot_be_written_is_named(tmp_path, capfd):
    path = str(tmp_path / "nowhere" / "a.mp4")
    with pytest.raises(UserError, match="nowhere"), video.VideoWriter(path, 10) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize("name, expected", [("a.MP4", True), ("b.mov", True), ("c.jpg", False), ("mp4", False)])
def test_a_video_is_known_by_its_name(name, expected):
    assert video.is_video(name) == expected
