"""The whole network with configs/torchvision/, against the recorded results of torchvision's models."""
import importlib.util
import json
import os
import types

import common  # noqa: F401

import cv2
import numpy as np
import pytest
import safetensors.numpy

from config import finalize_configs, new_config
from data.batch import pad_batch
from inference.frozen import freeze
from inference.keypoints import decode_keypoints
from inference.predictor import Predictor
from matching import pairwise_iou, share_found
from modeling.generalized_rcnn import GeneralizedRCNN
from tiny import ROOT

pytestmark = pytest.mark.slow

# and the score threshold that they were recorded with
MODELS = {"fasterrcnn_resnet50_fpn": 0.01, "maskrcnn_resnet50_fpn": 0.01, "maskrcnn_resnet50_fpn_v2": 0.01,
          "keypointrcnn_resnet50_fpn": 0.0}


def make_state_dict(folder, name):
    """The stand-in weights of a recorded model."""
    spec = importlib.util.spec_from_file_location("torchvision_weights", f"{folder}/weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(f"{folder}/{name}.state_dict.json", encoding="utf-8") as f:
        return {key: np.asarray(module.make_weight(key, tuple(shape))) for key, shape in json.load(f).items()}


@pytest.fixture(scope="module", params=MODELS)
def model(request, golden, tmp_path_factory):
    """What a recorded model gave, and what ours gives with the same weights from a file: boxes, scores, labels, ..."""
    folder, name = f"{golden}/torchvision", request.param
    path = str(tmp_path_factory.mktemp("torchvision") / f"{name}.safetensors")
    safetensors.numpy.save_file(make_state_dict(folder, name), path)
    cfg = new_config()
    # they were recorded without weights for COCO, which have another epsilon
    cfg.update_args([f"@{ROOT}/configs/torchvision/{name}.cfg", "BACKBONE.NORM_EPSILON=1e-5",
                     f"TEST.RESULT_SCORE_THRESH={MODELS[name]}"])
    finalize_configs(cfg, is_training=False)
    predictor = Predictor(freeze(cfg, path, more_outputs=["proposal_boxes"]), GeneralizedRCNN(cfg).output_names())
    os.remove(path)
    names = {"boxes": "output/boxes", "scores": "output/scores", "labels": "output/labels",
             "proposals": "proposal_boxes", **({"masks": "output/masks"} if cfg.MODE_MASK else {}),
             **({"keypoints": "output/keypoints"} if cfg.MODE_KEYPOINT else {})}
    batch, sizes = pad_batch([cv2.imread(f"{golden}/image.png")])
    ours = predictor.sess.run({key: f"{tensor}:0" for key, tensor in names.items()},
                              {"images:0": batch, "image_sizes:0": sizes})
    predictor.sess.close()
    recorded = np.load(f"{folder}/{name}.npz")
    return types.SimpleNamespace(ours=ours, recorded=recorded)


def test_detections_are_those_of_the_recorded_model(model):
    assert len(model.ours["boxes"]) == len(model.recorded["boxes"]) == 100
    keys = [key for key in ("boxes", "scores", "labels", "masks") if key in model.ours]
    expected, found = ([arrays[key] for key in keys] for arrays in (model.recorded, model.ours))
    assert share_found(expected, found, mask_tolerance=1e-2) >= 0.98


def test_proposals_are_those_of_the_recorded_model(model):
    expected, found = model.recorded["proposals"], model.ours["proposals"]
    assert len(found) == len(expected) == 1000
    assert (pairwise_iou(expected, found).max(axis=1) >= 0.99).mean() >= 0.98


@pytest.mark.parametrize("model", ["keypointrcnn_resnet50_fpn"], indirect=True)
def test_keypoints_are_those_of_the_recorded_model(model):
    boxes = model.ours["boxes"]
    points, logits = decode_keypoints(model.ours["keypoints"], boxes)
    match = pairwise_iou(model.recorded["boxes"], boxes).argmax(axis=1)
    distance = np.abs(points[match] - model.recorded["keypoints"][..., :2]).max(axis=2)
    assert (distance < 0.5).mean() >= 0.98
    assert (np.abs(logits[match] - model.recorded["keypoint_scores"]) < 1e-2).mean() >= 0.98
