"""The Detector and the command line, with a stand-in for the network."""
import json
import os
import subprocess
import sys
import types

import common
import cv2
import numpy as np
import pytest

import data
import predict
from inference import detector, video
from config import config, save_config

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def find_left_half(images, image_sizes):
    """A network that finds one object of class 2, the left half, in each image."""
    boxes = np.array([(0, 0, w / 2, h) for h, w in image_sizes], np.float32)
    n = len(images)
    return boxes, np.full(n, 0.75, np.float32), np.full(n, 2), np.arange(n), np.ones((n, 28, 28), np.float32)


@pytest.fixture
def network(monkeypatch):
    """Put a stand-in for the network in place; returns what it was asked for."""
    asked = types.SimpleNamespace(cfg=None, weights=None, run_config=None, batches=[])

    def load_predictor(cfg, weights_path):
        asked.cfg, asked.weights = cfg, weights_path

        def run(images, image_sizes):
            asked.batches.append(len(images))
            return find_left_half(images, image_sizes)
        return run

    monkeypatch.setattr(detector, "load_predictor", load_predictor)
    monkeypatch.setattr(detector, "find_run", lambda load: (load + "/weights", asked.run_config))
    return asked


@pytest.fixture
def run_folder(tmp_path, network):
    """A run's folder of a model with two classes."""
    cfg = config.clone()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("circle", "square"), (3, 7)
    cfg.TEST.RESULTS_PER_IM = 17
    network.run_config = str(tmp_path / "config.json")
    save_config(cfg, network.run_config)
    return str(tmp_path)


def write_image(path, height=40, width=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 100, np.uint8))
    return str(path)


# Detector -----------------------------------------------------------------------------------------------------------
def test_a_result_has_the_images_own_pixels(run_folder):
    result = predict.Detector(run_folder)(np.zeros((41, 60, 3), np.uint8))
    np.testing.assert_allclose(result.boxes, [[0, 0, 30, 41]], atol=0.1)
    assert result.boxes.dtype == np.float32 and result.scores.tolist() == [0.75] and result.labels.tolist() == [2]
    assert result.masks.shape == (1, 41, 60) and result.masks.dtype == bool
    assert result.class_names == ("circle", "square")


def test_a_list_of_images_gives_a_list_in_batches(run_folder, network):
    images = [np.zeros((40, 60 + i, 3), np.uint8) for i in range(3)]
    results = predict.Detector(run_folder, config=["TEST.IMS_PER_BATCH=2"])(images)
    assert [r.masks.shape[2] for r in results] == [60, 61, 62] and network.batches == [2, 1]


def test_an_empty_list_gives_an_empty_list(run_folder):
    assert predict.Detector(run_folder)([]) == []


def test_an_image_may_be_given_by_its_path(run_folder, tmp_path):
    assert predict.Detector(run_folder)(write_image(tmp_path / "a.png")).masks.shape == (1, 40, 60)


@pytest.mark.parametrize("image, named", [
    (np.zeros((40, 60), np.uint8), "(40, 60)"), (np.zeros((2, 40, 60, 3), np.uint8), "as a list"),
    (np.zeros((40, 60, 4), np.uint8), "(40, 60, 4)"), (np.zeros((40, 60, 3), np.float32), "float32"),
    (np.zeros((0, 60, 3), np.uint8), "(0, 60, 3)"), (None, "NoneType"), ("nowhere.png", "nowhere.png")])
def test_what_is_no_image_is_refused_with_what_is_wrong(run_folder, image, named):
    with pytest.raises(common.UserError) as e:
        predict.Detector(run_folder)(image)
    assert named in str(e.value)


def test_a_runs_config_comes_along_and_words_override_it(run_folder, network):
    predict.Detector(run_folder, config=["TEST.FRCNN_NMS_THRESH=0.3"])
    assert network.cfg.TEST.RESULTS_PER_IM == 17 and network.cfg.TEST.FRCNN_NMS_THRESH == 0.3
    assert network.weights == run_folder + "/weights"


def test_weights_without_a_config_have_cocos_classes(network):
    assert predict.Detector("weights.npz").class_names == tuple(data.COCO_CLASS_NAMES)
    assert network.cfg.DATA.NUM_CATEGORY == 80


def test_classes_can_be_given_to_weights_without_a_config(network):
    assert predict.Detector("weights.npz", config=["DATA.CLASS_NAMES=('cat', 'dog')"]).class_names == ("cat", "dog")
    assert network.cfg.DATA.CATEGORY_IDS == (1, 2)


def test_detectors_do_not_change_the_global_config(network):
    before = config.to_dict()
    predict.Detector("weights.npz", config=["TEST.RESULTS_PER_IM=3"])
    assert config.to_dict() == before


# --predict ----------------------------------------------------------------------------------------------------------
def test_files_folders_and_patterns_become_a_list_without_repetition(tmp_path):
    a, b, c = (write_image(tmp_path / name) for name in ("a.png", "in/b.jpg", "in/c.PNG"))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    paths, problems = predict.expand_inputs([a, str(tmp_path / "in"), str(tmp_path / "*.png")])
    assert paths == [a, b, c] and problems == []


@pytest.mark.parametrize("name", ["nowhere.png", "none*.png", "empty"])
def test_an_input_that_stands_for_no_image_is_a_problem_that_names_it(tmp_path, name):
    (tmp_path / "empty").mkdir()
    paths, problems = predict.expand_inputs([str(tmp_path / name)])
    assert paths == [] and len(problems) == 1 and name in problems[0]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    path = write_image(tmp_path / "a[1].png")
    assert predict.expand_inputs([path]) == ([path], [])


def test_equal_stems_get_numbers():
    assert predict.name_outputs(["a/x.png", "b/x.jpg", "x_2.png", "y.png"]) == ["x", "x_2", "x_2_2", "y"]


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


def test_a_video_to_predict_on_is_never_overwritten(run_folder, tmp_path):
    path = write_video(tmp_path / "walk.mp4")
    with pytest.raises(common.UserError, match="walk.mp4"):
        predict.main(["--load", run_folder, "--predict", path, "--output", str(tmp_path)])


# --evaluate ---------------------------------------------------------------------------------------------------------
def make_coco(folder, name, class_name="square", num_images=1):
    ids = range(1, num_images + 1)
    for i in ids:
        write_image(folder / name / f"{i}.png")
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / f"instances_{name}.json").write_text(json.dumps({
        "images": [dict(id=i, file_name=f"{i}.png", height=40, width=60) for i in ids],
        "categories": [dict(id=3, name="circle"), dict(id=7, name=class_name)],
        "annotations": [dict(id=i, image_id=i, category_id=7, bbox=[0, 0, 30, 40], area=1200, iscrowd=0,
                             segmentation=[[0, 0, 30, 0, 30, 40, 0, 40]]) for i in ids]}))


def test_evaluating_writes_coco_results_and_prints_a_perfect_score(run_folder, tmp_path, capsys):
    make_coco(tmp_path, "val")
    out = tmp_path / "new" / "out.json"
    predict.main(["--load", run_folder, "--evaluate", str(out), "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val"])
    result, = json.loads(out.read_text())
    assert set(result) == {"image_id", "category_id", "bbox", "score", "segmentation"}
    assert (result["image_id"], result["category_id"]) == (1, 7)
    printed = capsys.readouterr().out
    assert "100.0" in printed and str(out) in printed and str(tmp_path / "new" / "out_curves.png") in printed
    assert (tmp_path / "new" / "out_curves.png").is_file()


def test_each_of_several_data_sets_gets_a_file_of_its_own(run_folder, tmp_path):
    make_coco(tmp_path, "one")
    make_coco(tmp_path, "two")
    predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "out.json"),
                  "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=one,two"])
    assert (tmp_path / "out_one.json").is_file() and (tmp_path / "out_two.json").is_file()
    assert (tmp_path / "out_one_curves.png").is_file() and (tmp_path / "out_two_curves.png").is_file()


def test_a_data_set_with_other_classes_than_the_models_is_refused(run_folder, tmp_path):
    make_coco(tmp_path, "val", class_name="triangle")
    with pytest.raises(common.UserError, match="triangle"):
        predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "out.json"),
                      "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val"])


def test_a_folder_in_place_of_the_json_file_is_refused_before_the_work(run_folder, tmp_path, network):
    make_coco(tmp_path, "val")
    with pytest.raises(common.UserError, match="is a folder"):
        predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "val"), "--config", f"DATA.BASEDIR={tmp_path}",
                      "DATA.VAL=val"])
    assert network.cfg is None


def test_an_interrupted_evaluation_goes_on_to_the_same_bytes(run_folder, tmp_path, network, monkeypatch):
    make_coco(tmp_path, "val", num_images=9)
    words = ["--load", run_folder, "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val", "TEST.IMS_PER_BATCH=2"]
    whole, out = tmp_path / "whole.json", tmp_path / "out.json"
    predict.main([*words, "--evaluate", str(whole)])
    assert sum(network.batches) == 9 and not (tmp_path / "whole.json.partial").exists()

    found = []

    def interrupt(image_id, *args):
        found.append(image_id)
        if len(found) == 6:
            raise KeyboardInterrupt
        return original(image_id, *args)

    original = predict.evaluation.detections_to_coco
    with monkeypatch.context() as patch:
        patch.setattr(predict.evaluation, "detections_to_coco", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predict.main([*words, "--evaluate", str(out)])
    assert not out.exists()
    with pytest.raises(common.UserError, match="--resume"):
        predict.main([*words, "--evaluate", str(out)])
    with pytest.raises(common.UserError, match="RESULTS_PER_IM"):
        predict.main([*words, "TEST.RESULTS_PER_IM=5", "--evaluate", str(out), "--resume"])
    network.batches.clear()
    predict.main([*words, "--evaluate", str(out), "--resume"])
    assert out.read_bytes() == whole.read_bytes() and 0 < sum(network.batches) < 9
    assert not (tmp_path / "out.json.partial").exists()


def test_resuming_what_has_not_begun_begins(run_folder, tmp_path):
    make_coco(tmp_path, "val")
    predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "out.json"), "--resume",
                  "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val"])
    assert len(json.loads((tmp_path / "out.json").read_text())) == 1


# export -------------------------------------------------------------------------------------------------------------
def test_exporting_writes_the_weights_of_the_network_alone(tmp_path, capsys):
    weights = {"conv0/W": np.ones((7, 7, 3, 8), np.float32), "conv0/bn/mean/EMA": np.zeros(8, np.float32)}
    np.savez(tmp_path / "all.npz", **weights, **{"conv0/W/Momentum": np.ones(3), "global_step": np.int64(7)})
    out = str(tmp_path / "out.npz")
    predict.main(["--load", str(tmp_path / "all.npz"), "--export", out])
    assert out in capsys.readouterr().out
    with np.load(out) as found:
        assert sorted(found.files) == sorted(weights)
        np.testing.assert_array_equal(found["conv0/W"], weights["conv0/W"])


@pytest.mark.parametrize("arrays, out, named", [
    ({"something": 1}, "out.npz", "no weights of an R-CNN"), ({"conv0/W": 1}, "nowhere/out.npz", "cannot write")])
def test_an_export_that_makes_no_file_says_why(tmp_path, arrays, out, named):
    np.savez(tmp_path / "all.npz", **arrays)
    with pytest.raises(common.UserError, match=named):
        predict.main(["--load", str(tmp_path / "all.npz"), "--export", str(tmp_path / out)])
    assert os.listdir(tmp_path) == ["all.npz"]


# command line -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words, named", [
    ([], "--load"), (["--load", "x"], "--predict"), (["--load", "x", "--predict", "a.png"], "--output"),
    (["--load", "x", "--predict", "a.png", "--evaluate", "b.json"], "not allowed"),
    (["--load", "x", "--evaluate", "b.json", "--show"], "--show"),
    (["--load", "x", "--evaluate", "b.json", "--nope"], "--nope"),
    (["--load", "x", "--export", "b.npz", "--output", "out"], "--output"),
    (["--load", "x", "--export", "b.h5"], ".npz"),
    (["--load", "x", "--predict", "a.png", "--output", "out", "--resume"], "--resume")])
def test_a_command_line_that_makes_no_sense_is_refused_with_what_is_wrong(words, named):
    with pytest.raises(common.UserError) as e:
        predict.parse_args(words)
    assert named in str(e.value) and "\n" not in str(e.value)


def test_config_words_can_be_given_in_several_places():
    args = predict.parse_args(["--config", "A=1", "--load", "x", "--evaluate", "y", "--config", "B=2"])
    assert args.config == ["A=1", "B=2"]


@pytest.mark.parametrize("words, named", [
    (["--predict", "a.png"], "--load"),
    (["--load", "x", "--predict", "nowhere.png", "--output", "out"], "nowhere.png"),
    (["--load", "x", "--evaluate", "out.json", "--config", "TEST.RESULTS_PER_IMG=3"], "TEST.RESULTS_PER_IM"),
])
def test_a_mistake_ends_in_one_line_and_status_2(tmp_path, words, named):
    process = subprocess.run([sys.executable, os.path.join(ROOT, "predict.py"), *words], cwd=tmp_path,
                             capture_output=True, text=True, check=False)
    lines = process.stderr.strip().splitlines()
    assert process.returncode == 2 and len(lines) == 1 and named in lines[0]
    assert os.listdir(tmp_path) == []
