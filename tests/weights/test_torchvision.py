"""Names and layouts of torchvision's weights."""
import json
import re

import common  # noqa: F401

import numpy as np
import pytest
import safetensors.numpy

from network_variables import layer_shapes
from small_weights import message_of
from torchvision_files import BACKBONES, OTHER_VGGS, VGG16, vgg_state
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
    keys = [*(key for name in MODELS for key in state(name)), *OLDER.values(), *vgg_state(VGG16)]
    layers = {key.rpartition(".")[0] for key in keys}
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


# backbones ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [
    name if name in ("resnext50_32x4d", "vgg16") else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES])
def test_an_imagenet_model_has_all_of_a_backbone_and_only_its_classifier_is_left(make_config, tmp_path, name):
    words, state = BACKBONES[name]
    path = str(tmp_path / f"{name}.safetensors")
    safetensors.numpy.save_file(state(), path)
    found = read_weights(path)
    shapes = layer_shapes(make_config("MODE_FPN=False", *words.split()))
    assert {key: list(array.shape) for key, array in found.items() if "/" in key} == {
        key: shape for key, shape in shapes.items() if key.startswith(("conv", "group", "fastrcnn/fc"))}
    last = "classifier.6" if name == "vgg16" else "fc"
    assert {key for key in found if "/" not in key} == {f"{last}.weight", f"{last}.bias"}


def test_kernels_of_groups_keep_their_groups():
    kernel = np.arange(8 * 2 * 3 * 3).reshape(8, 2, 3, 3)    # 4 groups of 2 channels and 2 filters
    (ours,) = convert({"layer1.0.conv2.weight": kernel}).values()
    np.testing.assert_array_equal(ours[0, 2, 1], kernel[:, 1, 0, 2])


def test_a_vgg16_has_its_images_in_bgr_and_the_order_of_its_features():
    state = vgg_state(VGG16)
    ours = convert(state)
    np.testing.assert_array_equal(ours["conv1_1/W"][0, 2], state["features.0.weight"][:, ::-1, 0, 2].T)
    np.testing.assert_array_equal(ours["conv5_3/W"][0, 2], state["features.28.weight"][:, :, 0, 2].T)
    np.testing.assert_array_equal(ours["fastrcnn/fc6/W"], state["classifier.0.weight"].T)
    np.testing.assert_array_equal(ours["fastrcnn/fc7/b"], state["classifier.3.bias"])


def test_a_vgg16_without_a_classifier_has_features_alone():
    state = {name: np.full_like(array, np.nan) if name.startswith("classifier.") else array
             for name, array in vgg_state(VGG16, width=2).items()}
    assert {name[:4] for name in convert(state)} == {"conv"}


@pytest.mark.parametrize("name", [*OTHER_VGGS, "vgg16_bn"])
def test_no_other_vgg_is_taken_for_a_vgg16(name):
    state = vgg_state(OTHER_VGGS.get(name, VGG16), norm=name.endswith("bn"), width=2)
    assert not torchvision.is_torchvision(state)


def test_an_array_of_an_impossible_shape_is_named(state):
    message = message_of(convert, {"roi_heads.mask_predictor.mask_fcn_logits.bias": np.float32(0)})
    assert "weights.pth: roi_heads.mask_predictor.mask_fcn_logits.bias cannot have the shape ()" in message


@pytest.mark.parametrize("name", ["tiny.pth", "tiny_checkpoint.pth"])
def test_arrays_of_no_known_network_keep_their_names(golden, name):
    weights = read_weights(f"{golden}/torchvision/{name}")
    assert "0.weight" in weights
