"""What a small network thinks on its way to the detections."""
import common  # noqa: F401

import numpy as np
import pytest

from inference.detect import detect_batch
from inference.predictor import load_predictor
from inference.stages import StageNetwork
from network import Network
from weights.fit import network_variables

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 81, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["", pytest.param("FPN.CASCADE=True", marks=pytest.mark.slow)])
def network(request, make_config, make_weight, tmp_path_factory):
    """The config and weights of a small network"""
    cfg = make_config("TEST.RESULT_SCORE_THRESH=0.3", *request.param.split())
    path = tmp_path_factory.mktemp("stages") / "model.npz"
    with Network(cfg, training=False, run=False).graph.as_default():
        np.savez(path, **{name: make_weight(name, v.shape.as_list()) for name, v in network_variables().items()})
    return cfg, str(path)


@pytest.fixture(scope="module")
def stages(network):
    return StageNetwork(*network)(IMAGE)


def test_the_detections_are_those_of_the_network_without_its_stages(network, stages):
    expected, = detect_batch(load_predictor(*network), [IMAGE], network[0])
    found = stages.detections
    assert len(found) == len(expected) > 5
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.mask_probs, expected.mask_probs, atol=1e-4)


def test_proposals_lie_in_the_image_by_falling_objectness(stages):
    assert 10 < len(stages.proposals) == len(stages.objectness) == len(stages.class_scores)
    assert (np.diff(stages.objectness) <= 0).all() and 0 < stages.objectness.min() < stages.objectness.max() < 1
    for boxes in (stages.proposals, stages.boxes):
        assert (boxes >= 0).all() and (boxes <= [81.001, 50.001] * 2).all()
        assert boxes[:, 2].max() > 75 and boxes[:, 3].max() > 45, "they are in the image's pixels"


def test_a_detection_is_a_proposals_likeliest_class_with_its_box(stages):
    found, of_likeliest = stages.detections, 0
    for box, score, label in zip(found.boxes, found.scores, found.labels):
        row = np.abs(stages.class_scores[:, label] - score).argmin()
        assert stages.class_scores[row, label] == pytest.approx(score, abs=1e-5)
        if stages.labels[row] == label:
            np.testing.assert_allclose(stages.boxes[row], box, atol=1e-3)
            assert stages.scores[row] == pytest.approx(score, abs=1e-5)
            of_likeliest += 1
    assert of_likeliest > 0
