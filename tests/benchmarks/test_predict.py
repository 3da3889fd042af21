"""The benchmark of predictions, on a tiny network."""
import json
import os
import subprocess
import sys

from common import UserError

import cv2
import numpy as np
import pytest

from benchmarks import predict as benchmark
from network import Network
from predict import main
from tiny import ROOT, TINY

WORDS = [*TINY, "DATA.CLASS_NAMES=('a', 'b', 'c')", *benchmark.AS_MANY_BOXES_AS_ALLOWED, "TEST.RESULTS_PER_IM=6"]


@pytest.fixture(scope="module")
def files(make_config, make_weight, tmp_path_factory):
    """Paths of weights of a tiny network, and of an image."""
    folder = tmp_path_factory.mktemp("benchmark")
    np.savez(folder / "model.npz", **Network(make_config(), training=False, weights=make_weight).variables())
    cv2.imwrite(str(folder / "image.png"), np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    return str(folder / "model.npz"), str(folder / "image.png")


@pytest.mark.slow
def test_the_command_prints_a_table(files, capsys):
    main(["--load", files[0], "--benchmark", files[1], "--config", *WORDS])
    out = capsys.readouterr().out
    assert "network" in out and "images/s" in out


@pytest.mark.parametrize("name, content", [("none.png", None), ("bad.png", b"no image"), ("a.mp4", b"")])
def test_an_input_that_is_no_image_is_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name.replace(".", r"\.") if name != "a.mp4" else "videos"):
        main(["--load", "model.npz", "--benchmark", str(tmp_path / name)])


@pytest.mark.slow
def test_one_measurement_is_a_line_of_json(files):
    command = [sys.executable, "-m", "benchmarks.predict", "--one", files[1], "--load", files[0], "--batch", "1",
               "--precision", "float32", "--short-edge", "64", "--rounds", "1", "--config", *WORDS]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout.splitlines()[-1])["detections"] == 6


def test_the_table_has_the_ratio_to_torchvision():
    ours = dict(stages=dict.fromkeys(benchmark.STAGES, [0.5, 0.7]), all=0.6, detections=100, gflop=60.0,
                peak_gflops=200.0, peak_gib=1.5)
    theirs = dict(seconds=dict(decode=[0.1], network=[0.8], encode=[0.1], all=[1.0]), detections=100, peak_gib=1.2)
    rows = benchmark.summarize(1, {("ours", "float32"): [ours], ("torchvision", "float32"): [theirs]})
    assert [row["ratio"] for row in rows] == [0.6, 1.0]
    assert rows[0]["network"] == pytest.approx(600) and rows[0]["share"] == pytest.approx(0.5)
    lines = benchmark.table(rows).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1


def test_the_stand_in_weights_are_those_of_the_tests(tmp_path, make_weight):
    benchmark.stand_in_weights(str(tmp_path / "w.npz"))
    with np.load(tmp_path / "w.npz") as weights:
        np.testing.assert_array_equal(weights["conv0/W"], make_weight("conv0/W", (7, 7, 3, 64)))
        assert len(weights.files) > 300 and os.path.getsize(tmp_path / "w.npz") > 1e8
