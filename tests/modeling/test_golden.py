"""The whole network, against the recorded results of tensorpack's."""
import collections
import json

import common  # noqa: F401

import cv2
import numpy as np
import pytest

from data.batch import pad_batch
from inference.frozen import freeze
from inference.predictor import Predictor
from matching import pairwise_iou, share_found
from modeling.generalized_rcnn import GeneralizedRCNN

pytestmark = pytest.mark.slow

MODELS = {
    "R50-FPN": "",
    "R50-C4": "MODE_FPN=False",
    "R50-FPN-Cascade": "FPN.CASCADE=True",
    "R50-FPN-GN": "BACKBONE.NORM=GN FPN.NORM=GN FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head "
                  "FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head"}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def zoo(golden, name):
    """Names and shapes of the variables of the recorded model."""
    with open(f"{golden}/{name}.variables.json", encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="module")
def recorded(golden, name):
    arrays = np.load(f"{golden}/{name}.npz")
    return {key.split(".")[-1] if "proposals" in key else key: arrays[key] for key in arrays.files}


@pytest.fixture(scope="module")
def image(golden):
    return cv2.imread(f"{golden}/image.png")


@pytest.fixture(scope="module")
def golden_model(make_config, name, zoo, make_weight, tmp_path_factory):
    """The network of a recorded model with its weights, loaded and frozen as a user's are."""
    path = tmp_path_factory.mktemp("golden") / f"{name}.npz"
    np.savez(path, **{variable: make_weight(variable, shape) for variable, shape in zoo.items()})
    cfg = make_config(*MODELS[name].split(), num_classes=80, tiny=False)
    graph_def = freeze(cfg, str(path), more_outputs=["proposal_boxes", "fastrcnn_all_scores"])
    path.unlink()
    predictor = Predictor(graph_def, GeneralizedRCNN(cfg).output_names())
    yield predictor
    predictor.sess.close()


@pytest.fixture(scope="module")
def alone(golden_model, image):
    """What the network says about the recorded image: boxes, scores, labels, masks; proposals, their class scores."""
    names = ["output/boxes", "output/scores", "output/labels", "output/masks", "proposal_boxes", "fastrcnn_all_scores"]
    batch, sizes = pad_batch([image])
    return golden_model.sess.run([f"{name}:0" for name in names], {"images:0": batch, "image_sizes:0": sizes})


def test_detections_are_those_of_the_recorded_model(recorded, alone):
    expected = [recorded[f"output.{name}"] for name in ("boxes", "scores", "labels", "masks")]
    assert len(alone[0]) == len(expected[0])
    assert share_found(expected, alone[:4], mask_tolerance=1e-2) >= 0.98


def test_proposals_are_those_of_the_recorded_model(recorded, alone):
    expected, found = recorded["boxes"], alone[4]
    assert len(found) == len(expected)
    assert (pairwise_iou(expected, found).max(axis=1) >= 0.99).mean() >= 0.98


def test_class_scores_of_proposals_are_those_of_the_recorded_model(recorded, alone):
    iou = pairwise_iou(recorded["boxes"], alone[4])
    same = iou.max(axis=1) >= 0.99
    distance = np.abs(recorded["fastrcnn_all_scores"][same] - alone[5][iou.argmax(axis=1)[same]]).max(axis=1)
    assert (distance <= 1e-3).mean() >= 0.98


WIDE, TALL = (16, 430), (320, 16)    # heights and widths, in which few proposals lie


@pytest.fixture(scope="module")
def among_others(golden_model, image):
    """What the network says about the recorded image beside one that is wider and one that is taller, both narrow."""
    images = [cv2.resize(image, (WIDE[1], WIDE[0])), image, cv2.resize(image, (TALL[1], TALL[0]))[::-1]]
    found = golden_model(*pad_batch(images))
    return {i: [x[found.image_index == i] for x in (found.boxes, found.scores, found.labels, found.masks)]
            for i in set(found.image_index)}


def test_an_image_has_the_same_detections_alone_and_among_others(alone, among_others):
    assert len(among_others[1][0]) == len(alone[0])
    assert share_found(alone[:4], among_others[1], mask_tolerance=1e-3) >= 0.98
    assert share_found(among_others[1], alone[:4], mask_tolerance=1e-3) >= 0.98


def test_every_image_of_a_batch_has_detections_inside_itself_by_falling_score(among_others):
    for i, (boxes, scores, labels, masks) in among_others.items():
        height, width = [WIDE, (310, 413), TALL][i]
        assert 0 < len(boxes) <= 100
        assert (boxes >= 0).all() and boxes[:, ::2].max() <= width and boxes[:, 1::2].max() <= height
        assert (np.diff(scores) <= 0).all() and scores.min() > 0.05
        assert labels.min() >= 1 and labels.max() <= 80
        assert masks.shape[1:] in [(28, 28), (14, 14)] and masks.min() >= 0 and masks.max() <= 1


def test_the_graph_of_a_prediction_is_frozen_and_fused(golden_model, name):
    """Norms with fixed statistics and biases are in their convolutions, and so are ReLUs that stand right behind."""
    operations = golden_model.sess.graph.get_operations()
    count = collections.Counter(op.type for op in operations)
    assert not {t for t in count if "Var" in t or "FusedBatchNorm" in t or "Summary" in t or "Gradient" in t}
    assert not {"Rsqrt", "ReadVariableOp", "RandomUniform", "RandomStandardNormal"} & set(count) or "GN" in name
    unfused = [op.name for op in operations if op.type == "Conv2D" and not op.name.startswith("maskrcnn/deconv")]
    if "GN" not in name:
        assert count["_FusedConv2D"] > 45 and not unfused
        fused = [op.get_attr("fused_ops") for op in operations if op.type == "_FusedConv2D"]
        assert [b"BiasAdd", b"Relu"] in fused and all(ops[0] == b"BiasAdd" for ops in fused)
