"""Names and layouts of torchvision's weights."""
import json
import re

import common  # noqa: F401

import numpy as np
import pytest

from small_weights import message_of
from weights import torchvision
from weights.files import read_weights
from weights.fit import PER_CLASS

MODELS = [
    "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2", "keypointrcnn_resnet50_fpn"]
# what older files have in place of these
OLDER = {"rpn.head.conv.0.0.weight": "rpn.head.conv.weight",
         "backbone.fpn.inner_blocks.0.0.weight": "backbone.fpn.inner_blocks.0.weight",
         "backbone.fpn.layer_blocks.3.0.bias": "backbone.fpn.layer_blocks.3.bias",
         "roi_heads.mask_head.0.0.weight": "roi_heads.mask_head.mask_fcn1.weight"}


@pytest.fixture
def state(golden):
    """The state dict of a model, of arrays without content."""
    def state(name):
        with open(f"{golden}/torchvision/{name}.state_dict.json", encoding="utf-8") as f:
            return {key: np.broadcast_to(np.float32(0), shape) for key, shape in json.load(f).items()}
    return state


def convert(arrays):
    return torchvision.convert("weights.pth", arrays)


@pytest.mark.parametrize("name", MODELS)
def test_every_array_of_a_model_has_a_counterpart(state, name):
    converted = convert(state(name))
    assert not [key for key in converted if "/" not in key]
    assert len(converted) == len([key for key in state(name) if not key.endswith("num_batches_tracked")])


def test_every_row_of_the_table_is_of_a_model(state):
    layers = {key.rpartition(".")[0] for name in MODELS for key in state(name)} | {
        key.rpartition(".")[0] for key in OLDER.values()}
    assert not [pattern for pattern, _, _ in torchvision.LAYERS if not any(map(pattern.fullmatch, layers))]


def test_a_mask_rcnn_has_the_zoos_names_and_shapes(state, golden):
    with open(f"{golden}/R50-FPN.variables.json", encoding="utf-8") as f:
        zoo = {name: tuple(shape) for name, shape in json.load(f).items()}
    converted = convert(state("maskrcnn_resnet50_fpn"))
    assert converted.keys() == zoo.keys()
    assert {name for name in zoo if converted[name].shape != zoo[name]} == set(filter(PER_CLASS.match, zoo))
    assert converted["fastrcnn/outputs/class/W"].shape == (1024, 91)
    assert converted["fastrcnn/outputs/box/b"].shape == (364,)
    assert converted["maskrcnn/conv/W"].shape == (1, 1, 256, 90) and converted["maskrcnn/conv/b"].shape == (90,)


@pytest.mark.parametrize("newer, older", OLDER.items())
def test_older_files_have_other_names_for_the_same(state, newer, older):
    array = state("maskrcnn_resnet50_fpn")[newer]
    assert convert({older: array}).keys() == convert({newer: array}).keys()


def test_the_first_kernel_takes_images_in_bgr():
    kernel = np.arange(2 * 3 * 7 * 7).reshape(2, 3, 7, 7)
    (ours,) = convert({"backbone.body.conv1.weight": kernel}).values()
    np.testing.assert_array_equal(ours[3, 4, :, 1], kernel[1, ::-1, 3, 4])


def test_other_kernels_keep_the_order_of_their_inputs():
    kernel = np.arange(2 * 3 * 3 * 3).reshape(2, 3, 3, 3)
    (ours,) = convert({"rpn.head.conv.0.0.weight": kernel}).values()
    np.testing.assert_array_equal(ours[0, 2, :, 1], kernel[1, :, 0, 2])


def test_masks_have_no_background():
    (ours,) = convert({"roi_heads.mask_predictor.mask_fcn_logits.bias": np.arange(5)}).values()
    np.testing.assert_array_equal(ours, [1, 2, 3, 4])


def test_an_imagenet_model_is_a_backbone(state):
    body = {key[len("backbone.body."):]: array for key, array in state("maskrcnn_resnet50_fpn").items()
            if key.startswith("backbone.body.")}
    assert torchvision.is_torchvision(body)
    converted = convert({**body, "fc.weight": np.zeros((1000, 2048))})
    assert {re.sub(r"\d", "N", key.split("/")[0]) for key in converted} == {"convN", "groupN", "fc.weight"}


def test_an_array_of_an_impossible_shape_is_named(state):
    message = message_of(convert, {"roi_heads.mask_predictor.mask_fcn_logits.bias": np.float32(0)})
    assert "weights.pth: roi_heads.mask_predictor.mask_fcn_logits.bias cannot have the shape ()" in message


@pytest.mark.parametrize("name", ["tiny.pth", "tiny_checkpoint.pth"])
def test_arrays_of_no_known_network_keep_their_names(golden, name):
    weights = read_weights(f"{golden}/torchvision/{name}")
    assert "0.weight" in weights
