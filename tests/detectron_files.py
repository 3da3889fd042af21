"""Weight files in the names and layouts of Detectron and Detectron2, made of weights in ours."""
import pickle
import re

import numpy as np
import pytest


# the names of both projects, written out from the side of ours ------------------------------------------------------
def detectron_layers(names, blocks):
    """Our layer to Detectron's, for the layers among `names`."""
    layers = {"conv0": "conv1", "maskrcnn/deconv": "conv5_mask", "maskrcnn/conv": "mask_fcn_logits"}
    layers.update({f"conv{i}_{j}": f"conv{i}_{j}" for i in range(1, 6) for j in range(1, 4)})    # of VGG16
    for stage, count in zip("2345", blocks):
        for block in range(count):
            ours = f"group{int(stage) - 2}/block{block}/"
            layers[ours + "convshortcut"] = f"res{stage}_{block}_branch1"
            layers[ours + "conv1"] = f"res{stage}_{block}_branch2a"
            layers[ours + "conv2"] = f"res{stage}_{block}_branch2b"
            layers[ours + "conv3"] = f"res{stage}_{block}_branch2c"
        last = f"res{stage}_{count - 1}_sum"
        layers[f"fpn/lateral_1x1_c{stage}"] = f"fpn_inner_{last}" + ("" if stage == "5" else "_lateral")
        layers[f"fpn/gn_c{stage}"] = layers[f"fpn/lateral_1x1_c{stage}"]
        layers[f"fpn/posthoc_3x3_p{stage}"] = layers[f"fpn/gn_p{stage}"] = f"fpn_{last}"
    level = "_fpn2" if "fpn/posthoc_3x3_p3/W" in names else ""    # a pyramid of P2 alone has one RPN
    layers.update({"rpn/conv0": "conv_rpn" + level, "rpn/class": "rpn_cls_logits" + level,
                   "rpn/box": "rpn_bbox_pred" + level})
    for ours, stage in [("fastrcnn", ""), ("cascade_rcnn_stage1", ""), ("cascade_rcnn_stage2", "_2"),
                        ("cascade_rcnn_stage3", "_3")]:
        for middle in ("/", "/head/"):
            for fc in ("fc6", "fc7"):
                layers[f"{ours}{middle}{fc}"] = fc + stage
            layers[f"{ours}{middle}fc"] = "fc6" + stage
            for i in range(4):
                layers[f"{ours}{middle}conv{i}"] = layers[f"{ours}{middle}gn{i}"] = f"head_conv{i + 1}{stage}"
        for middle in ("/", "/outputs/"):
            layers[f"{ours}{middle}class"] = "cls_score" + stage
            layers[f"{ours}{middle}box"] = "bbox_pred" + stage
    layers.update({f"maskrcnn/{ours}": f"_[mask]_{theirs}" for ours, theirs in layers.items()
                   if ours.startswith("group3/")})
    layers.update({f"keypointrcnn/conv{i}": f"conv_fcn{i}" for i in range(1, 9)})
    layers["keypointrcnn/deconv"] = "kps_score_lowres"
    mask = "_mask_" if {"maskrcnn/gn0/gamma", "maskrcnn/fcn0/gn/gamma"} & set(names) else "_[mask]_"
    for i in range(4):
        layers[f"maskrcnn/fcn{i}"] = layers[f"maskrcnn/gn{i}"] = f"{mask}fcn{i + 1}"
    return layers


def detectron2_layers(names, blocks):
    """Our layer to Detectron2's, for the layers among `names`."""
    has_fpn = "fpn/lateral_1x1_c2/W" in names
    bottom_up = "backbone.bottom_up." if has_fpn else "backbone."
    conv = "proposal_generator.rpn_head.conv"
    layers = {"conv0": bottom_up + "stem.conv1",
              **({"rpn/conv0": f"{conv}.conv0", "rpn/conv1": f"{conv}.conv1"} if "rpn/conv1/W" in names
                 else {"rpn/conv0": conv}),
              "rpn/class": "proposal_generator.rpn_head.objectness_logits",
              "rpn/box": "proposal_generator.rpn_head.anchor_deltas",
              "maskrcnn/deconv": "roi_heads.mask_head.deconv", "maskrcnn/conv": "roi_heads.mask_head.predictor"}
    for stage, count in zip("2345", blocks):
        prefix = "roi_heads." if stage == "5" and not has_fpn else bottom_up
        for block in range(count):
            ours, theirs = f"group{int(stage) - 2}/block{block}/", f"{prefix}res{stage}.{block}."
            layers[ours + "convshortcut"] = theirs + "shortcut"
            for conv in ("conv1", "conv2", "conv3"):
                layers[ours + conv] = theirs + conv
        layers[f"fpn/lateral_1x1_c{stage}"] = layers[f"fpn/gn_c{stage}"] = f"backbone.fpn_lateral{stage}"
        layers[f"fpn/posthoc_3x3_p{stage}"] = layers[f"fpn/gn_p{stage}"] = f"backbone.fpn_output{stage}"
    for ours, stage in [("fastrcnn", ""), ("cascade_rcnn_stage1", ".0"), ("cascade_rcnn_stage2", ".1"),
                        ("cascade_rcnn_stage3", ".2")]:
        for middle in ("/", "/head/"):
            layers[f"{ours}{middle}fc6"] = layers[f"{ours}{middle}fc"] = f"roi_heads.box_head{stage}.fc1"
            layers[f"{ours}{middle}fc7"] = f"roi_heads.box_head{stage}.fc2"
            for i in range(4):
                layers[f"{ours}{middle}conv{i}"] = f"roi_heads.box_head{stage}.conv{i + 1}"
                layers[f"{ours}{middle}gn{i}"] = f"roi_heads.box_head{stage}.conv{i + 1}"
        for middle in ("/", "/outputs/"):
            layers[f"{ours}{middle}class"] = f"roi_heads.box_predictor{stage}.cls_score"
            layers[f"{ours}{middle}box"] = f"roi_heads.box_predictor{stage}.bbox_pred"
    for i in range(4):
        layers[f"maskrcnn/fcn{i}"] = layers[f"maskrcnn/gn{i}"] = f"roi_heads.mask_head.mask_fcn{i + 1}"
    layers.update({f"keypointrcnn/conv{i}": f"roi_heads.keypoint_head.conv_fcn{i}" for i in range(1, 9)})
    layers["keypointrcnn/deconv"] = "roi_heads.keypoint_head.score_lowres"
    return layers


def outputs_first(name, value):
    """Their layout of W, where the outputs come first but in a transposed convolution; other variables as they are."""
    if value.ndim == 4:
        return np.einsum("hwoi->iohw" if "deconv" in name else "hwio->oihw", value)
    return np.einsum("io->oi", value) if value.ndim == 2 else value


VARIABLE = re.compile("/(?:[bg]n/)?(W|b|gamma|beta|mean/EMA|variance/EMA)")


def of_layer(weights, layer):
    """Returns: dict of variable, such as "W" or "gamma", to array; without the bias where GN follows, as in both"""
    match = {name: VARIABLE.fullmatch(name[len(layer):]) for name in weights if name.startswith(layer)}
    of = {match[name].group(1): outputs_first(name, weights[name]) for name in match if match[name]}
    if re.sub(r"lateral_1x1|posthoc_3x3|fcn|conv(?=\d)", "gn", layer) + "/gamma" in weights:
        of.pop("b", None)
    return of


def folded(weights, layer):
    """Scale and shift of a norm with fixed statistics."""
    scale = weights[layer + "/gamma"] / np.sqrt(weights[layer + "/variance/EMA"] + np.float32(1e-5))
    return scale, weights[layer + "/beta"] - weights[layer + "/mean/EMA"] * scale


def junk(like):
    return np.full_like(like, 7)


def detectron_blobs(weights, blocks):
    """The blobs of a Detectron .pkl."""
    layers = detectron_layers(weights, blocks)
    blobs = {}
    for layer, theirs in layers.items():
        of = of_layer(weights, layer)
        for variable in ("W", "b"):
            if variable in of:
                value = of[variable]
                has_mask_of_background = theirs == "mask_fcn_logits" and len(value) > 1
                if has_mask_of_background or (theirs.startswith("bbox_pred") and len(value) == 4):
                    count = 1 if has_mask_of_background else 4
                    value = np.concatenate([junk(value[:count]), value])    # the background has outputs, not used
                if theirs == "rpn_cls_logits":
                    value = value[[size * 3 + ratio for ratio in range(3) for size in range(5)]]
                if theirs == "rpn_bbox_pred":
                    value = value[[(size * 3 + ratio) * 4 + i
                                   for ratio in range(3) for size in range(5) for i in range(4)]]
                blobs[f"{theirs}_{variable.lower()}"] = value
        if "mean/EMA" in of:
            norm = "res_conv1_bn" if theirs == "conv1" else theirs + "_bn"
            scale = of["gamma"] / np.sqrt(of["variance/EMA"] + np.float32(1e-5))
            blobs[norm + "_s"], blobs[norm + "_b"] = scale, of["beta"] - of["mean/EMA"] * scale
        elif "gamma" in of:
            blobs[theirs + "_gn_s"], blobs[theirs + "_gn_b"] = of["gamma"], of["beta"]
    if "kps_score_lowres_w" in blobs:    # the maps are doubled by a layer that is not trained
        blobs["kps_score_w"], blobs["kps_score_b"] = junk(np.ones((3, 3, 4, 4))), junk(np.ones(3))
    return blobs


def detectron2_state(weights, blocks):
    """The "model" of a Detectron2 .pkl."""
    layers = detectron2_layers(weights, blocks)
    state = {}
    for layer, theirs in layers.items():
        of = of_layer(weights, layer)
        for variable, ending in [("W", "weight"), ("b", "bias")]:
            if variable in of:
                value = of[variable]
                if theirs.endswith("cls_score"):
                    value = np.concatenate([value[1:], value[:1]])
                if theirs.endswith("bbox_pred") and len(value) > 4:
                    value = value[4:]
                state[f"{theirs}.{ending}"] = value
        for variable, ending in [("gamma", "weight"), ("beta", "bias"), ("mean/EMA", "running_mean"),
                                 ("variance/EMA", "running_var")]:
            if variable in of:
                state[f"{theirs}.norm.{ending}"] = of[variable]
    return state


def write_detectron(path, weights, blocks=(3, 4, 6, 3)):
    """As `save_model_to_weights_file` of Detectron does."""
    blobs = {name: np.ascontiguousarray(value) for name, value in detectron_blobs(weights, blocks).items()}
    blobs.update({name + "_momentum": junk(value) for name, value in blobs.items() if not name.startswith("res2")})
    with open(path, "wb") as f:
        pickle.dump({"blobs": blobs, "cfg": "MODEL:\n  NUM_CLASSES: 81\n"}, f, protocol=2)
    return path


def write_detectron2(path, weights, blocks=(3, 4, 6, 3)):
    """As Detectron2's model zoo does."""
    state = {name: np.ascontiguousarray(value) for name, value in detectron2_state(weights, blocks).items()}
    state.update({"pixel_mean": np.ones((3, 1, 1), np.float32), "pixel_std": np.ones((3, 1, 1), np.float32)})
    state["proposal_generator.anchor_generator.cell_anchors.0"] = np.ones((3, 4), np.float32)
    with open(path, "wb") as f:
        pickle.dump({"model": state, "__author__": "Detectron2 Model Zoo"}, f)
    return path


WRITERS = {"detectron": write_detectron, "detectron2": write_detectron2}
project = pytest.mark.parametrize("project", WRITERS)
