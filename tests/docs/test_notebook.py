"""The notebook, whose code runs from top to bottom."""
import json
import os

import common  # noqa: F401

import matplotlib as mpl
import numpy as np
import pytest

from coco_folder import write_image
from config import save_config
from network import Network
from tiny import ROOT
from weights.fit import network_variables


def code_cells():
    with open(os.path.join(ROOT, "docs", "detect.ipynb"), encoding="utf-8") as f:
        return ["".join(cell["source"]) for cell in json.load(f)["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs():
    with open(os.path.join(ROOT, "docs", "detect.ipynb"), encoding="utf-8") as f:
        notebook = json.load(f)
    assert notebook["nbformat"] == 4
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])


@pytest.fixture
def run(make_config, make_weight, tmp_path):
    """A folder with the weights and the config of a small network, and a data set of two images"""
    for number in (1, 2):
        write_image(tmp_path / "val" / f"{number}.jpg", 60, 80, number)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps({
        "images": [dict(id=i, file_name=f"{i}.jpg", height=60, width=80) for i in (1, 2)],
        "categories": [dict(id=i, name=f"class{i - 1}", keypoints=["nose", "left_ear", "right_ear"], skeleton=[])
                       for i in (1, 2, 3)],
        "annotations": [dict(id=i, image_id=i, category_id=i, bbox=[10, 10, 30, 40], area=1200, iscrowd=0,
                             segmentation=[[10, 10, 40, 10, 40, 50]], keypoints=[20, 20, 2] * 3, num_keypoints=3)
                        for i in (1, 2)]}))
    cfg = make_config(f"DATA.BASEDIR={tmp_path}", "DATA.VAL=val", "MODE_KEYPOINT=True", "KRCNN.HEAD_DIM=8",
                      "KRCNN.NUM_CONVS=1", "TEST.RESULT_SCORE_THRESH=0.3")
    with Network(cfg, training=False, run=False).graph.as_default():
        weights = {name: make_weight(name, v.shape.as_list()) for name, v in network_variables().items()}
    np.savez(tmp_path / "model.npz", **weights)
    save_config(cfg, str(tmp_path / "config.json"))
    return tmp_path


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(run, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(mpl, "rcParams", mpl.rcParams.copy())
    mpl.use("Agg")
    first, *others = code_cells()
    namespace = {}
    exec(first, namespace)
    assert set(namespace) - {"__builtins__"} == {"RUN", "IMAGES", "CONFIG", "OUTPUT"}
    namespace.update(RUN=str(run / "model.npz"), IMAGES=[str(run / "val" / f"{i}.jpg") for i in (1, 2)],
                     OUTPUT=str(run / "out"))
    pictures = []
    for cell in others:
        exec(cell, namespace)
        if "def show" in cell:
            namespace["show"] = lambda picture, width: pictures.append(picture)
    assert len(pictures) == 5 and all(picture.dtype == np.uint8 for picture in pictures)
    assert namespace["metrics"]["val"].keys() == {"bbox", "segm", "keypoints"}
    assert (run / "out" / "out.json").is_file() and "frame 3" in capsys.readouterr().out
