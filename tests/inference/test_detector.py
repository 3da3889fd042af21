"""The Detector, with a stand-in for the network."""
import io
import logging

import common

import numpy as np
import pytest

import data
from config import config
from fake_network import write_image
from inference import detector
from predict import Detector


def test_a_result_has_the_images_own_pixels(run_folder):
    result = Detector(run_folder)(np.zeros((41, 60, 3), np.uint8))
    np.testing.assert_allclose(result.boxes, [[0, 0, 30, 41]], atol=0.1)
    assert result.boxes.dtype == np.float32 and result.scores.tolist() == [0.75] and result.labels.tolist() == [2]
    assert result.masks.shape == (1, 41, 60) and result.masks.dtype == bool
    assert result.class_names == ("circle", "square")


def test_a_list_of_images_gives_a_list_in_batches(run_folder, network):
    images = [np.zeros((40, 60 + i, 3), np.uint8) for i in range(3)]
    results = Detector(run_folder, config=["TEST.IMS_PER_BATCH=2"])(images)
    assert [r.masks.shape[2] for r in results] == [60, 61, 62] and network.batches == [2, 1]


def test_an_empty_list_gives_an_empty_list(run_folder):
    assert Detector(run_folder)([]) == []


def test_an_image_may_be_given_by_its_path(run_folder, tmp_path):
    assert Detector(run_folder)(write_image(tmp_path / "a.png")).masks.shape == (1, 40, 60)


@pytest.mark.parametrize("image, named", [
    (np.zeros((40, 60), np.uint8), "(40, 60)"), (np.zeros((2, 40, 60, 3), np.uint8), "as a list"),
    (np.zeros((40, 60, 4), np.uint8), "(40, 60, 4)"), (np.zeros((40, 60, 3), np.float32), "float32"),
    (np.zeros((0, 60, 3), np.uint8), "(0, 60, 3)"), (None, "NoneType"), ("nowhere.png", "nowhere.png")])
def test_what_is_no_image_is_refused_with_what_is_wrong(run_folder, image, named):
    with pytest.raises(common.UserError) as e:
        Detector(run_folder)(image)
    assert named in str(e.value)


def test_a_runs_config_comes_along_and_words_override_it(run_folder, network):
    Detector(run_folder, config=["TEST.FRCNN_NMS_THRESH=0.3"])
    assert network.cfg.TEST.RESULTS_PER_IM == 17 and network.cfg.TEST.FRCNN_NMS_THRESH == 0.3
    assert network.weights == run_folder + "/weights"


def test_weights_without_a_config_have_cocos_classes(network):
    assert Detector("weights.npz").class_names == tuple(data.COCO_CLASS_NAMES)
    assert network.cfg.DATA.NUM_CATEGORY == 80


def test_weights_with_keypoints_without_a_config_are_of_people(network):
    assert Detector("weights.npz", config=["MODE_KEYPOINT=True"]).class_names == ("person",)
    cfg = network.cfg.DATA
    assert (cfg.CATEGORY_IDS, len(cfg.KEYPOINT_NAMES), cfg.KEYPOINT_NAMES[0]) == ((1,), 17, "nose")
    assert cfg.KEYPOINT_EDGES == data.COCO_KEYPOINT_EDGES
    Detector("weights.npz", config=["MODE_KEYPOINT=True", "DATA.CLASS_NAMES=('cat',)", "DATA.KEYPOINT_NAMES=('tail',)"])
    assert (network.cfg.DATA.CLASS_NAMES, network.cfg.DATA.KEYPOINT_NAMES) == (("cat",), ("tail",))


def test_the_config_may_be_a_single_word(network):
    Detector("weights.npz", config="TEST.RESULTS_PER_IM=3")
    assert network.cfg.TEST.RESULTS_PER_IM == 3


def test_classes_can_be_given_to_weights_without_a_config(network):
    assert Detector("weights.npz", config=["DATA.CLASS_NAMES=('cat', 'dog')"]).class_names == ("cat", "dog")
    assert network.cfg.DATA.CATEGORY_IDS == (1, 2)


def test_detectors_do_not_change_the_global_config(network):
    before = config.to_dict()
    Detector("weights.npz", config=["TEST.RESULTS_PER_IM=3"])
    assert config.to_dict() == before


def test_a_program_sees_only_warnings_of_the_log_while_a_detector_is_loaded(run_folder, monkeypatch):
    def load_predictor(cfg, weights_path):
        for level in ("info", "warning"):
            getattr(log, level)(level)

    log, shown = logging.getLogger("tensorpack"), io.StringIO()
    monkeypatch.setattr(detector, "load_predictor", load_predictor)
    monkeypatch.setattr(log.handlers[0], "stream", shown)
    Detector(run_folder)
    assert "warning" in shown.getvalue() and "info" not in shown.getvalue()
    log.info("behind it")
    assert "behind it" in shown.getvalue()
