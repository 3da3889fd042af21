"""Which files a command line stands for, and what becomes of each, with a stand-in for the network."""
import json
import os

import common

import cv2
import numpy as np
import pytest

import predict
from fake_network import write_image
from inference import files, video


# names --------------------------------------------------------------------------------------------------------------
def test_files_folders_and_patterns_become_a_list_without_repetition(tmp_path):
    a, b, c = (write_image(tmp_path / name) for name in ("a.png", "in/b.jpg", "in/c.PNG"))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    paths, problems = files.expand_inputs([a, str(tmp_path / "in"), str(tmp_path / "*.png")])
    assert paths == [a, b, c] and problems == []


@pytest.mark.parametrize("name", ["nowhere.png", "none*.png", "empty"])
def test_an_input_that_stands_for_no_image_is_a_problem_that_names_it(tmp_path, name):
    (tmp_path / "empty").mkdir()
    paths, problems = files.expand_inputs([str(tmp_path / name)])
    assert paths == [] and len(problems) == 1 and name in problems[0]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    path = write_image(tmp_path / "a[1].png")
    assert files.expand_inputs([path]) == ([path], [])


def test_equal_stems_get_numbers():
    assert files.name_outputs(["a/x.png", "b/x.jpg", "x_2.png", "y.png"]) == {
        "a/x.png": "x", "b/x.jpg": "x_2", "x_2.png": "x_2_2", "y.png": "y"}


# pictures and results ---------------------------------------------------------------------------------------------
def test_each_image_gets_a_drawing_and_a_json(run_folder, tmp_path, capsys):
    path = write_image(tmp_path / "photo.jpg")
    out = tmp_path / "out"
    predict.main(["--load", run_folder, "--predict", path, "--output", str(out)])
    result, = json.loads((out / "photo.json").read_text())
    assert set(result) == {"image_id", "category_id", "category", "bbox", "score", "segmentation"}
    assert (result["image_id"], result["category_id"], result["category"]) == ("photo", 7, "square")
    assert result["segmentation"]["size"] == [40, 60]
    assert cv2.imread(str(out / "photo.png")) is not None


def test_a_bad_image_does_not_stop_the_others(run_folder, tmp_path, capsys):
    good = write_image(tmp_path / "good.png")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(common.UserError, match="2 of 3"):
        predict.main(["--load", run_folder, "--predict", str(bad), good, str(tmp_path / "gone.png"), "--output",
                      str(tmp_path / "out")])
    assert sorted(os.listdir(tmp_path / "out")) == ["good.json", "good.png"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and "gone.png" in lines[0] and "bad.png" in lines[1]


def test_an_image_of_odd_shape_is_drawn_and_does_not_stop_the_others(run_folder, tmp_path):
    odd, good = write_image(tmp_path / "odd.png", height=1, width=3072), write_image(tmp_path / "photo.jpg")
    predict.main(["--load", run_folder, "--predict", odd, good, "--output", str(tmp_path / "out")])
    assert sorted(os.listdir(tmp_path / "out")) == ["odd.json", "odd.png", "photo.json", "photo.png"]


@pytest.mark.parametrize("failing", ["draw_detections", "write"])
def test_whatever_fails_for_one_image_does_not_stop_the_others(run_folder, tmp_path, capsys, monkeypatch, failing):
    paths, out = [write_image(tmp_path / f"{i}.jpg") for i in range(9)], tmp_path / "out"
    if failing == "write":
        (out / "3.png").mkdir(parents=True)
    else:
        original, drawn = predict.draw_detections, []

        def fail_once(*args, **kwargs):
            drawn.append(1)
            if len(drawn) == 4:
                raise ValueError("no such colour\nindeed")
            return original(*args, **kwargs)

        monkeypatch.setattr(predict, "draw_detections", fail_once)
    with pytest.raises(common.UserError, match="1 of 9"):
        predict.main(["--load", run_folder, "--predict", *paths, "--output", str(out)])
    assert sum(path.is_file() for path in out.glob("*.png")) == 8
    line, = capsys.readouterr().err.strip().splitlines()
    assert "3.png" in line if failing == "write" else "no such colour" in line and ".jpg" in line


def test_an_image_to_predict_on_is_never_overwritten(run_folder, tmp_path):
    path = write_image(tmp_path / "photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    with pytest.raises(common.UserError, match="photo.png"):
        predict.main(["--load", run_folder, "--predict", path, "--output", str(tmp_path)])
    assert (tmp_path / "photo.png").read_bytes() == before


def test_an_output_that_is_a_file_is_named(run_folder, tmp_path):
    path = write_image(tmp_path / "photo.png")
    with pytest.raises(common.UserError, match="photo.png"):
        predict.main(["--load", run_folder, "--predict", path, "--output", path])


def test_showing_without_a_display_says_what_to_do(run_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(common.UserError, match="--output"):
        predict.main(["--load", run_folder, "--predict", write_image(tmp_path / "a.png"), "--show"])


def write_video(path, num_frames=5):
    with video.VideoWriter(str(path), 10.0) as writer:
        for i in range(num_frames):
            writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    return str(path)


def test_a_video_becomes_a_drawn_video_and_a_json_of_its_frames(run_folder, tmp_path, capsys):
    path, photo = write_video(tmp_path / "walk.mp4"), write_image(tmp_path / "photo.jpg")
    out = tmp_path / "out"
    predict.main(["--load", run_folder, "--predict", path, photo, "--output", str(out), "--config",
                  "TEST.IMS_PER_BATCH=2"])
    assert sorted(os.listdir(out)) == ["photo.json", "photo.png", "walk.json", "walk.mp4"]
    results = json.loads((out / "walk.json").read_text())
    assert [result["image_id"] for result in results] == [0, 1, 2, 3, 4]
    assert results[0]["bbox"] == [0, 0, 32, 48] and results[0]["category"] == "square"
    drawn = video.Video(str(out / "walk.mp4"))
    frames = [frame for _, frame in drawn.frames()]
    assert drawn.rate == pytest.approx(10) and [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    # the mask is drawn on the left half, over the black of the first frame
    assert frames[0][24:, 4:28].mean() > 30 > frames[0][24:, 40:].mean()
    assert "1 image and 5 frames" in capsys.readouterr().out


def test_a_bad_video_does_not_stop_the_others(run_folder, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    good = write_video(tmp_path / "good.mp4")
    with pytest.raises(common.UserError, match="1 of 2"):
        predict.main(["--load", run_folder, "--predict", str(bad), good, "--output", str(tmp_path / "out")])
    assert sorted(os.listdir(tmp_path / "out")) == ["good.json", "good.mp4"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "bad.mp4" in lines[0]


def test_a_video_that_cannot_be_drawn_does_not_stop_the_others_and_leaves_nothing(run_folder, tmp_path, capsys,
                                                                                  monkeypatch):
    first, second = write_video(tmp_path / "first.mp4"), write_video(tmp_path / "second.mp4")
    original, drawn = predict.draw_detections, []

    def fail_once(*args, **kwargs):
        drawn.append(1)
        if len(drawn) == 4:
            raise MemoryError
        return original(*args, **kwargs)

    monkeypatch.setattr(predict, "draw_detections", fail_once)
    with pytest.raises(common.UserError, match="1 of 2"):
        predict.main(["--load", run_folder, "--predict", first, second, "--output", str(tmp_path / "out")])
    assert sorted(os.listdir(tmp_path / "out")) == ["second.json", "second.mp4"]
    line, = capsys.readouterr().err.strip().splitlines()
    assert "first.mp4" in line and "MemoryError" in line


def test_a_video_to_predict_on_is_never_overwritten(run_folder, tmp_path):
    path = write_video(tmp_path / "walk.mp4")
    with pytest.raises(common.UserError, match="walk.mp4"):
        predict.main(["--load", run_folder, "--predict", path, "--output", str(tmp_path)])
