"""Test-time augmentation, with a stand-in for the network and with small networks."""
import common

import numpy as np
import pytest

from config import gives_candidates
from data.batch import pad_batch
from fake_network import point_logits
from inference.detect import detect_batch
from inference.predictor import NetworkOutput, load_predictor
from inference.views import views_of
from network import Network

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((64, 96), (50, 40))]


@pytest.fixture
def cfg(small_config):
    """Of views of 90 pixels, of 60, and both in a mirror"""
    small_config.TEST.AUG.SCALES, small_config.TEST.AUG.HFLIP = (60, 90), True
    return small_config


def test_the_view_without_augmentation_comes_first_and_each_scale_once(cfg):
    views = views_of(60, 80, cfg)
    assert [(view.size, view.mirror_x) for view in views] == [
        ((90, 120), False), ((90, 120), True), ((60, 80), False), ((60, 80), True)]
    cfg.TEST.AUG.MAX_SIZE, cfg.TEST.AUG.HFLIP = 40, False
    assert [view.size for view in views_of(60, 80, cfg)] == [(90, 120), (30, 40)]


@pytest.mark.parametrize("word", ["TEST.AUG.SCALES=(60,)", "TEST.AUG.HFLIP=True", "TEST.SOFT_NMS=linear",
                                  "TEST.BBOX_VOTE_THRESH=0.8", "TEST.NMS_CLASS_AGNOSTIC=True"])
def test_each_key_turns_candidates_on_and_by_default_all_are_off(small_config, word):
    assert not gives_candidates(small_config)
    small_config.update_args([word])
    assert gives_candidates(small_config)


class FakeCalls:
    """A network that finds one object at the left of the image that it sees: half of it in a mirrored one, of whose
    mask the left half is 1, and whose first keypoint is at the left."""

    def __init__(self, label=1):
        self.label, self.batches = label, []

    def find(self, images, image_sizes):
        n, shares = len(images), [0.25 + 0.25 * (images[i, 0, 0, 0] < 99) for i in range(len(images))]
        self.batches.append(images.shape[:3])
        boxes = np.float32([(0, 0, w * share, h) for (h, w), share in zip(image_sizes, shares)])
        labels = np.full(n, self.label, np.int32)
        return NetworkOutput(boxes, np.full(n, 0.9, np.float32), labels, np.arange(n)), [len(self.batches)]

    def describe(self, images, image_sizes, features, detections):
        assert images.shape[:3] == self.batches[features[0] - 1]
        masks = np.zeros((len(detections.boxes), 28, 28), np.float32)
        masks[:, :, :14] = 1
        keypoints = np.tile(point_logits([(5, 20), (50, 20), (28, 40)]), (len(masks), 1, 1, 1))
        return detections._replace(masks=masks, keypoints=keypoints)


@pytest.fixture
def keypoint_config(cfg):
    cfg.MODE_KEYPOINT, cfg.DATA.KEYPOINT_NAMES = True, ("left_ear", "right_ear", "nose")
    return cfg


def test_boxes_of_all_views_are_joined_in_the_images_pixels(keypoint_config):
    image = np.full((60, 80, 3), 100, np.uint8)
    image[:, :20] = 50    # at the left of the views that are no mirror
    predict = FakeCalls()
    found, other = detect_batch(predict, [image, image[:, ::-1]], keypoint_config)
    # in a mirror, the left is the right
    np.testing.assert_allclose(np.sort(found.boxes, axis=0), [[0, 0, 40, 60], [60, 0, 80, 60]], atol=1e-3)
    np.testing.assert_allclose(np.sort(other.boxes, axis=0), [[0, 0, 20, 60], [40, 0, 80, 60]], atol=1e-3)
    assert predict.batches == [(2, 90, 120)] * 2 + [(2, 60, 80)] * 2


def test_masks_and_keypoints_are_means_of_the_views_in_the_frame_of_the_image(keypoint_config):
    found, = detect_batch(FakeCalls(), [np.full((60, 80, 3), 100, np.uint8)], keypoint_config)
    # each is half and half of a view and its mirror
    np.testing.assert_allclose(found.mask_probs, 0.5)
    plain = point_logits([(5, 20), (50, 20), (28, 40)])
    np.testing.assert_allclose(found.keypoint_logits[0], (plain + plain[:, ::-1][..., [1, 0, 2]]) / 2, rtol=1e-5)
    assert found.skeleton.names == ("left_ear", "right_ear", "nose")


def test_a_class_swaps_only_the_keypoints_that_it_has_both_of(keypoint_config):
    keypoint_config.DATA.KEYPOINTS_OF_CLASS = ((0, 1), (0, 2))
    found, = detect_batch(FakeCalls(label=2), [np.full((60, 80, 3), 100, np.uint8)], keypoint_config)
    plain = point_logits([(5, 20), (50, 20), (28, 40)])
    np.testing.assert_allclose(found.keypoint_logits[0], (plain + plain[:, ::-1]) / 2, rtol=1e-5)


# small networks -----------------------------------------------------------------------------------------------------
NETWORKS = {"FPN": "MODE_KEYPOINT=True KRCNN.NUM_CONVS=2 KRCNN.HEAD_DIM=8", "C4": "MODE_FPN=False RPN.HEAD_DIM=16",
            "Cascade": "FPN.CASCADE=True MODE_MASK=False"}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("C4", "Cascade")]


@pytest.fixture(scope="module")
def path_of(make_config, make_weight, tmp_path_factory):
    def path_of(name):
        path = tmp_path_factory.mktemp("views") / "model.npz"
        network = Network(make_config(*NETWORKS[name].split()), training=False, weights=make_weight, rewrite=False)
        np.savez(path, **network.variables())
        return str(path)
    return path_of


@pytest.mark.parametrize("name", ["FPN", *SLOW])
def test_candidates_of_one_view_become_the_detections_of_the_graph(make_config, path_of, name):
    words, path = [*NETWORKS[name].split(), "TEST.RESULT_SCORE_THRESH=0.2", "TEST.RESULTS_PER_IM=20"], path_of(name)
    plain, two_calls = make_config(*words), make_config(*words, "TEST.BBOX_VOTE_THRESH=1.0")
    expected = detect_batch(load_predictor(plain, path), IMAGES, plain)
    predict = load_predictor(two_calls, path)
    found = detect_batch(predict, IMAGES, two_calls)
    for ours, theirs in zip(found, expected):
        assert len(ours) == len(theirs) > 5
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        for field in ("boxes", "scores", "mask_probs", "keypoint_logits"):
            x, y = getattr(ours, field), getattr(theirs, field)
            assert (x is None) == (y is None)
            np.testing.assert_allclose(0 if x is None else x, 0 if y is None else y, rtol=1e-3, atol=2e-3)
    many = make_config(*words, "TEST.AUG.SCALES=(48,)", "TEST.AUG.HFLIP=True", "TEST.SOFT_NMS=linear")
    for ours in detect_batch(predict, IMAGES, many):
        assert len(ours) == 20 and (np.diff(ours.scores) <= 0).all() and np.isfinite(ours.boxes).all()


@pytest.mark.slow
def test_it_works_where_nothing_is_found_and_in_bfloat16(make_config, path_of, monkeypatch):
    monkeypatch.setattr("modeling.precision.is_fast", lambda precision: True)
    monkeypatch.setattr(common, "visible_gpus", lambda: 0)
    words = [*NETWORKS["FPN"].split(), "TEST.AUG.HFLIP=True", "TEST.PRECISION=bfloat16"]
    nothing, cfg = make_config(*words, "TEST.RESULT_SCORE_THRESH=1.0"), make_config(*words)
    path = path_of("FPN")
    found = detect_batch(load_predictor(nothing, path), IMAGES, nothing)
    assert [(len(x), x.mask_probs.shape, x.keypoint_logits.shape) for x in found] == [
        (0, (0, 28, 28), (0, 56, 56, 3))] * 2
    predict = load_predictor(cfg, path)
    images, sizes = pad_batch(IMAGES)
    candidates, features = predict.find(images, sizes)
    assert candidates.scores.dtype == np.float32 and features[0].dtype.name == "bfloat16"
    assert len(detect_batch(predict, IMAGES, cfg)[0].keypoint_logits) > 5
