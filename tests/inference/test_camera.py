"""Prediction on what a camera sees, with a stand-in for OpenCV's."""
import json
import os
import signal
import subprocess
import sys

import common

import cv2
import numpy as np
import pytest

import predict
from inference import camera as camera_module, files, video
from tiny import ROOT


class FakeCamera:
    """One with grey images, a tenth of a second apart; at the fifth somebody presses Ctrl-C, unless there is no more"""

    clock, num_images, interrupt_at = 0.0, 50, 5

    def __init__(self, number):
        self.number, self.count = number, 0

    def isOpened(self):
        return self.number == 0

    def get(self, prop):
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop, value):
        pass

    def read(self):
        self.count += 1
        FakeCamera.clock += 0.1
        if self.count == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        if self.count > self.num_images:
            return False, None
        return True, np.full((48, 64, 3), 40 * self.count % 256, np.uint8)

    def release(self):
        pass


@pytest.fixture
def camera(monkeypatch):
    original = cv2.VideoCapture
    monkeypatch.setattr(camera_module.cv2, "VideoCapture", lambda name: FakeCamera(name) if isinstance(name, int)
                        else original(name))
    monkeypatch.setattr(camera_module.time, "monotonic", lambda: FakeCamera.clock)
    return FakeCamera


def predict_on(run_folder, folder):
    predict.main(["--load", run_folder, "--predict", "camera:0", "--output", str(folder)])
    assert sorted(os.listdir(folder)) == ["camera_0.json", "camera_0.mp4"]
    frames = [frame for _, frame in video.Video(str(folder / "camera_0.mp4")).frames()]
    return frames, [result["image_id"] for result in json.loads((folder / "camera_0.json").read_text())]


def test_ctrl_c_ends_a_camera_with_whole_files_in_which_time_is_as_it_was(run_folder, tmp_path, camera):
    before = signal.getsignal(signal.SIGINT)
    frames, image_ids = predict_on(run_folder, tmp_path / "out")
    # the image at which the key is pressed is the last; three frames of 30 a second pass from one to the next
    np.testing.assert_allclose(image_ids, [0, 3, 6, 9, 12], atol=1)
    assert len(frames) == image_ids[-1] + 1 and signal.getsignal(signal.SIGINT) is before


def test_a_camera_that_is_taken_away_leaves_whole_files(run_folder, tmp_path, camera, monkeypatch):
    monkeypatch.setattr(camera, "num_images", 3)
    assert len(predict_on(run_folder, tmp_path / "out")[1]) == 3


def test_q_ends_a_camera_with_whole_files(run_folder, tmp_path, camera, monkeypatch):
    class Window:
        def __init__(self, title):
            self.count = 0

        def show(self, picture, wait):
            self.count += 1
            return self.count < 3

    monkeypatch.setattr(predict, "Window", Window)
    folder = tmp_path / "out"
    predict.main(["--load", run_folder, "--predict", "camera:0", "--output", str(folder), "--show"])
    assert sorted(os.listdir(folder)) == ["camera_0.json", "camera_0.mp4"]
    assert len(json.loads((folder / "camera_0.json").read_text())) == 3


def test_a_camera_that_gives_no_image_is_named_and_leaves_nothing(run_folder, tmp_path, camera, monkeypatch, capsys):
    monkeypatch.setattr(camera, "num_images", 0)
    with pytest.raises(common.UserError, match="1 of 1"):
        predict.main(["--load", run_folder, "--predict", "camera:0", "--output", str(tmp_path / "out")])
    assert os.listdir(tmp_path / "out") == [] and "camera:0" in capsys.readouterr().err


def test_a_camera_that_is_not_there_is_named_before_the_network_is_loaded(run_folder, tmp_path, camera, network):
    with pytest.raises(common.UserError, match="camera:7: no camera"):
        predict.main(["--load", run_folder, "--predict", "camera:7", "--output", str(tmp_path / "out")])
    assert network.cfg is None and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_unreadable_camera_is_one_line_and_status_2(tmp_path):
    words = ["--load", "nowhere", "--predict", "camera:99", "--output", "out"]
    process = subprocess.run([sys.executable, os.path.join(ROOT, "predict.py"), *words], cwd=tmp_path,
                             capture_output=True, text=True, check=False)
    line, = process.stderr.splitlines()
    assert process.returncode == 2 and "camera:99" in line and os.listdir(tmp_path) == []


def test_a_file_called_like_a_camera_is_not_meant():
    assert files.expand_inputs(["camera:0"]) == (["camera:0"], [])
    assert files.expand_inputs(["camera:x"])[0] == [] and not camera_module.is_camera("./camera:0")
