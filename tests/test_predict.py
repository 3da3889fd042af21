"""The command line, with a stand-in for the network."""
import json
import os
import pickle
import subprocess
import sys
import zipfile

import common

import cv2
import numpy as np
import pytest

import predict
from config import new_config, save_config
from fake_network import fake_predict, write_image
from inference import detector
from tiny import ROOT


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
    assert "100.0" in printed and str(out) in printed and str(tmp_path / "new" / "out_report" / "index.html") in printed
    assert (tmp_path / "new" / "out_report" / "index.html").is_file()


def test_each_of_several_data_sets_gets_a_file_of_its_own(run_folder, tmp_path):
    make_coco(tmp_path, "one")
    make_coco(tmp_path, "two")
    predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "out.json"),
                  "--config", f"DATA.BASEDIR={tmp_path}", "DATA.VAL=one,two"])
    assert (tmp_path / "out_one.json").is_file() and (tmp_path / "out_two.json").is_file()
    assert all((tmp_path / f"out_{name}_report" / "index.html").is_file() for name in ("one", "two"))


def test_data_sets_of_one_name_in_two_folders_get_files_of_their_own(run_folder, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        make_coco(tmp_path / folder, "val")
    predict.main(["--load", run_folder, "--evaluate", str(tmp_path / "out.json"),
                  "--config", f"DATA.BASEDIR={tmp_path}/a", f"DATA.VAL=val,{tmp_path}/b/val"])
    assert (tmp_path / "out_val.json").is_file() and (tmp_path / "out_b_val.json").is_file()


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


# keypoints ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def keypoint_run(run_folder, network, monkeypatch):
    """A run's folder of a model whose squares have two keypoints, and circles none."""
    cfg = new_config()
    cfg.MODE_KEYPOINT, cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = True, ("circle", "square"), (3, 7)
    cfg.DATA.KEYPOINT_NAMES, cfg.DATA.KEYPOINT_EDGES = ("head", "tail"), ((0, 1),)
    cfg.DATA.KEYPOINTS_OF_CLASS = ((), (1, 0))
    save_config(cfg, network.run_config)
    monkeypatch.setattr(detector, "load_predictor", lambda *_: fake_predict(
        [(0, 0, 600, 800)], label=2, keypoints=[(14, 14), (42, 42)]))
    return run_folder


def test_keypoints_are_written_and_drawn(keypoint_run, tmp_path):
    path = write_image(tmp_path / "photo.png", 400, 600)
    predict.main(["--load", keypoint_run, "--predict", path, "--output", str(tmp_path / "out")])
    result, = json.loads((tmp_path / "out" / "photo.json").read_text())
    np.testing.assert_allclose(np.reshape(result["keypoints"], (2, 3))[:, :2], [[227.2, 303.1], [77.2, 103.1]], atol=1)
    drawn = cv2.imread(str(tmp_path / "out" / "photo.png"))
    x, y = np.floor(result["keypoints"][:2]).astype(int)
    assert np.ptp(drawn[y - 9:y + 9, x - 9:x + 9].max(axis=2)) > 20


def test_an_evaluation_compares_keypoints_with_those_of_the_data_set(keypoint_run, tmp_path):
    make_coco(tmp_path, "val")
    path = tmp_path / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["categories"][1]["keypoints"] = ["tail", "head"]
    content["annotations"][0]["keypoints"] = [22, 30, 2, 7, 10, 1]
    path.write_text(json.dumps(content))
    words = [f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val"]
    metrics = predict.evaluate_model(keypoint_run, words, str(tmp_path / "out.json"))["val"]
    assert list(metrics) == ["bbox", "segm", "keypoints"] and metrics["keypoints"]["AP"] > 0.9


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
    (["--load", "x", "--export", "b.h5"], ".npz"), (["--load", "x", "--export", "b.npz", "--heatmaps"], "--heatmaps"),
    (["--load", "x", "--visualize", "out", "a.png", "--number", "3"], "--number"),
    (["--load", "x", "--visualize", "out", "--number", "0"], "--number 0"),
    (["--load", "x", "--visualize", ""], "empty"),
    (["--load", "x", "--predict", "a.png", "--output", "out", "--resume"], "--resume")])
def test_a_command_line_that_makes_no_sense_is_refused_with_what_is_wrong(words, named):
    with pytest.raises(common.UserError) as e:
        predict.parse_args(words)
    assert named in str(e.value) and "\n" not in str(e.value)


def test_config_words_can_be_given_in_several_places():
    args = predict.parse_args(["--config", "A=1", "--load", "x", "--evaluate", "y", "--config", "B=2"])
    assert args.config == ["A=1", "B=2"]


def test_an_image_that_is_broken_is_one_line_whatever_image_libraries_say(tmp_path):
    for suffix in (".png", ".jpg", ".tif"):
        content = bytearray(cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))[1])
        content[200:] = content[200:len(content) // 2]
        (tmp_path / f"bad{suffix}").write_bytes(content)
    code = (f"__file__ = {os.path.join(ROOT, 'predict.py')!r}    # a command\nimport common, data, glob, os\n"
            "for path in sorted(glob.glob('bad.*')):\n"
            "    try:\n        data.load_image(path)\n    except common.UserError as e:\n        common.warn(str(e))")
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                             env=dict(os.environ, PYTHONPATH=ROOT))
    lines = process.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["bad.jpg", "bad.png", "bad.tif"]


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


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def write_evil(path):
    """A file of torch.save that names a function, or one of safetensors whose tensors lie in each other."""
    if path.suffix == ".pth":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights/data.pkl", pickle.dumps({"conv1.weight": Harmful()}, protocol=2))
    else:
        tensors = {name: {"dtype": "F32", "shape": [2], "data_offsets": [start, start + 8]}
                   for name, start in (("a", 0), ("b", 4))}
        header = json.dumps(tensors).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evil.pth", "evil.safetensors"])
def test_an_evil_weight_file_ends_in_one_line_and_nothing_of_it_is_run(tmp_path, name):
    write_evil(tmp_path / name)
    write_image(tmp_path / "photo.png")
    words = ["--load", name, "--predict", "photo.png", "--output", "out"]
    process = subprocess.run([sys.executable, os.path.join(ROOT, "predict.py"), *words], cwd=tmp_path,
                             capture_output=True, text=True, check=False)
    line, = process.stderr.splitlines()
    assert process.returncode == 2 and line.startswith(f"predict.py: {name} ")
    assert not (tmp_path / "harm").exists()
