"""
Weights of torchvision's detection models, and of its ImageNet models as backbones, under the names and in the layouts
of this project.

Their images are RGB, ours BGR, so the first kernel is turned. Their models for COCO count 90 classes, the gaps among
COCO's ids included. Networks of `configs/torchvision/` compute what torchvision's do. Files that others made of Caffe's
weights under these names expect BGR images and would be turned wrongly. torchvision's own such file, vgg16_features,
wants RGB as the others, PREPROC.PIXEL_MEAN=(123.0, 117.0, 104.0) and PREPROC.PIXEL_STD=(1.0, 1.0, 1.0).

Sources of names: torchvision/models/{resnet,vgg,detection/faster_rcnn,detection/mask_rcnn,detection/keypoint_rcnn,
detection/rpn}.py and torchvision/ops/feature_pyramid_network.py, of 0.29 and of what older files have.
"""
import re

from common import UserError

import numpy as np

from weights.axes import drop_background, reverse_inputs, to_our_axes

BODY = r"(?:backbone\.body\.)?"    # an ImageNet model has none of it
BLOCK = BODY + r"layer(\d)\.(\d+)\."
# VGG16's convolutions among what torchvision counts as its features
VGG16 = dict(zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), (
    "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3",
    "conv5_1", "conv5_2", "conv5_3")))

# layers: their name, ours by the numbers in it, and what changes in our layout
LAYERS = [
    (BODY + r"conv1", lambda: "conv0", reverse_inputs),
    (BODY + r"bn1", lambda: "conv0/bn", None),
    (BLOCK + r"conv(\d)", lambda stage, block, i: f"group{stage - 1}/block{block}/conv{i}", None),
    (BLOCK + r"bn(\d)", lambda stage, block, i: f"group{stage - 1}/block{block}/conv{i}/bn", None),
    (BLOCK + r"downsample\.0", lambda stage, block: f"group{stage - 1}/block{block}/convshortcut", None),
    (BLOCK + r"downsample\.1", lambda stage, block: f"group{stage - 1}/block{block}/convshortcut/bn", None),
    (r"features\.(0)", VGG16.get, reverse_inputs),
    (r"features\.(\d+)", VGG16.get, None),
    (r"classifier\.0", lambda: "fastrcnn/fc6", None),
    (r"classifier\.3", lambda: "fastrcnn/fc7", None),
    # older files lack the 0
    (r"backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?", lambda i: f"fpn/lateral_1x1_c{i + 2}", None),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.1", lambda i: f"fpn/lateral_1x1_c{i + 2}/bn", None),
    (r"backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?", lambda i: f"fpn/posthoc_3x3_p{i + 2}", None),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.1", lambda i: f"fpn/posthoc_3x3_p{i + 2}/bn", None),
    (r"rpn\.head\.conv(?:\.(\d)\.0)?", lambda i=0: f"rpn/conv{i}", None),
    (r"rpn\.head\.cls_logits", lambda: "rpn/class", None),
    (r"rpn\.head\.bbox_pred", lambda: "rpn/box", None),
    (r"roi_heads\.box_head\.fc(\d)", lambda i: f"fastrcnn/fc{i}", None),
    (r"roi_heads\.box_head\.(\d)\.0", lambda i: f"fastrcnn/conv{i}", None),
    (r"roi_heads\.box_head\.(\d)\.1", lambda i: f"fastrcnn/conv{i}/bn", None),
    (r"roi_heads\.box_head\.5", lambda: "fastrcnn/fc", None),
    (r"roi_heads\.box_predictor\.cls_score", lambda: "fastrcnn/outputs/class", None),
    (r"roi_heads\.box_predictor\.bbox_pred", lambda: "fastrcnn/outputs/box", None),
    (r"roi_heads\.mask_head\.(\d)\.0", lambda i: f"maskrcnn/fcn{i}", None),
    (r"roi_heads\.mask_head\.(\d)\.1", lambda i: f"maskrcnn/fcn{i}/bn", None),
    (r"roi_heads\.mask_head\.mask_fcn(\d)", lambda i: f"maskrcnn/fcn{i - 1}", None),    # of older files
    (r"roi_heads\.mask_predictor\.conv5_mask", lambda: "maskrcnn/deconv", None),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits", lambda: "maskrcnn/conv", drop_background),
    # every second layer is a ReLU
    (r"roi_heads\.keypoint_head\.(\d+)", lambda i: f"keypointrcnn/conv{i // 2 + 1}", None),
    (r"roi_heads\.keypoint_predictor\.kps_score_lowres", lambda: "keypointrcnn/deconv", None),
]
LAYERS = [(re.compile(pattern), name, change) for pattern, name, change in LAYERS]

# variables of a norm, and of any other layer
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "mean/EMA", "running_var": "variance/EMA"}
OTHER = {"weight": "W", "bias": "b"}
STATE = "num_batches_tracked"    # of a training, which has no counterpart


def is_torchvision(arrays):
    """Args: arrays (dict): by name. Returns: bool, whether they are of one of torchvision's networks"""
    return any(re.fullmatch(BLOCK + r"conv1\.weight", name) for name in arrays) or _is_vgg16(arrays)


def _is_vgg16(arrays):
    """Its convolutions stand at other places than those of VGG11, 13 and 19, or of a VGG with norms."""
    return {name for name in arrays if re.fullmatch(r"features\.\d+\.weight", name)} == {
        f"features.{i}.weight" for i in VGG16}


def convert(path, arrays):
    """
    Args:
        path (str): named in messages
        arrays (dict): of a state dict, by name

    Returns:
        dict of name to array, with our names and layouts where a layer has a counterpart, else as it was

    Raises:
        UserError: an array has a shape that its layer cannot have
    """
    converted = {}
    for name, array in arrays.items():
        layer, _, ending = name.rpartition(".")
        our_layer, change = _counterpart(layer)
        variables = NORM if our_layer and our_layer.endswith("/bn") else OTHER
        if ending == STATE or layer.startswith("classifier.") and np.isnan(array).all():    # vgg16_features has none
            continue
        if our_layer is None or ending not in variables:
            converted[name] = array
            continue
        try:
            ours = to_our_axes(array)
            converted[f"{our_layer}/{variables[ending]}"] = change(ours) if change else ours
        except (ValueError, IndexError):
            raise UserError(f"{path}: {name} cannot have the shape {array.shape}") from None
    return converted


def _counterpart(layer):
    """Returns: our name of a layer, and the change of its arrays or None; None, None for what has none"""
    for pattern, our_layer, change in LAYERS:
        match = pattern.fullmatch(layer)
        if match:
            return our_layer(*[int(number) for number in match.groups() if number is not None]), change
    return None, None
