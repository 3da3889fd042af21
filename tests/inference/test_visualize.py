"""Which images are visualized, and what becomes of each, with a stand-in for the network."""
import json
import os

import common

import numpy as np
import pytest

import predict
from fake_network import write_image


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn goes into this list: the image's size, what the network says of it, and its record"""
    asked = []

    def draw(image, stages, thresholds, heatmaps, record):
        asked.append((image.shape[:2], stages, record))
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(predict, "StageNetwork", lambda cfg, weights_path: lambda image: "stages")
    monkeypatch.setattr(predict, "draw_stages", draw)
    return asked


def make_coco(folder, num_images=3, names=("square",)):
    for i in range(1, num_images + 1):
        write_image(folder / "val" / f"{i}.png")
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "instances_val.json").write_text(json.dumps({
        "images": [dict(id=i, file_name=f"{i}.png", height=40, width=60) for i in range(1, num_images + 1)],
        "categories": [dict(id=i, name=name) for i, name in enumerate(names, start=1)],
        "annotations": [dict(id=i, image_id=i, category_id=1, bbox=[0, 0, 30, 40], area=1200, iscrowd=0)
                        for i in range(1, num_images + 1)]}))
    return ["--config", f"DATA.BASEDIR={folder}", "DATA.VAL=val", "MODE_MASK=False"]


def test_each_image_that_is_named_becomes_a_picture(run_folder, tmp_path, drawn, capsys):
    paths = [write_image(tmp_path / name) for name in ("a.jpg", "b.png")]
    predict.main(["--load", run_folder, "--visualize", str(tmp_path / "out"), *paths])
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.png"]
    assert drawn == [((40, 60), "stages", None)] * 2 and "drew 2 of 2" in capsys.readouterr().out


def test_without_images_those_of_the_data_set_are_drawn_with_their_objects(run_folder, tmp_path, drawn):
    words = make_coco(tmp_path)
    predict.main(["--load", run_folder, "--visualize", str(tmp_path / "out"), *words])
    assert sorted(os.listdir(tmp_path / "out")) == ["1.png", "2.png", "3.png"]
    assert [record.image_id for _, _, record in drawn] == [1, 2, 3]
    # the model's classes are circle, square
    assert [record.labels.tolist() for _, _, record in drawn] == [[2]] * 3


def test_a_number_limits_the_images_of_the_data_set(run_folder, tmp_path, drawn):
    words = make_coco(tmp_path)
    predict.main(["--load", run_folder, "--visualize", str(tmp_path / "out"), "--number", "2", *words])
    assert len(drawn) == 2


def test_a_bad_image_does_not_stop_the_others(run_folder, tmp_path, drawn, capsys):
    good, bad = write_image(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(common.UserError, match="1 of 2"):
        predict.main(["--load", run_folder, "--visualize", str(tmp_path / "out"), str(bad), good])
    assert os.listdir(tmp_path / "out") == ["good.png"]
    line, = capsys.readouterr().err.strip().splitlines()
    assert "bad.png" in line


def test_an_image_is_never_overwritten(run_folder, tmp_path, drawn):
    path = write_image(tmp_path / "photo.png")
    with pytest.raises(common.UserError, match="--visualize .*photo.png"):
        predict.main(["--load", run_folder, "--visualize", str(tmp_path), path])


@pytest.mark.parametrize("words, named", [
    (["gone.png"], "gone.png"), (["walk.mp4"], "videos"), (["--config", "DATA.VAL=()"], "DATA.VAL is empty")])
def test_what_cannot_be_visualized_is_one_line(run_folder, tmp_path, drawn, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.mp4").write_bytes(b"")
    with pytest.raises(common.UserError) as e:
        predict.main(["--load", run_folder, "--visualize", "out", *words])
    assert named in str(e.value) and "\n" not in str(e.value)


def test_a_data_set_without_images_is_one_line(run_folder, tmp_path, drawn):
    words = make_coco(tmp_path, num_images=0)
    with pytest.raises(common.UserError, match="has no"):
        predict.main(["--load", run_folder, "--visualize", str(tmp_path / "out"), *words])
