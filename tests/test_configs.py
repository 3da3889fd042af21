"""
Each file of `configs/`, on small images and with few boxes and blocks: one training step, and detections. Of files that
differ only in their blocks, or in what has no effect here, one stands for all.
"""
import functools
import glob
import json
import os
import re
import types

import numpy as np
import pytest

from gpu_kernels import lacks_of_gpu_kernels
from graph import variable_shapes
from network import SIZES, Network, batch_of
from tiny import ROOT, finalized_config

CONFIGS = sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "configs", "*.cfg")))
TORCHVISION = sorted(glob.glob(os.path.join(ROOT, "configs", "torchvision", "*.cfg")))
PUBLISHED = [path for path in CONFIGS if not os.path.basename(path).startswith("demo")]

CHEAP = (
    "MRCNN.GT_RESOLUTION=56", "TEST.RESULT_SCORE_THRESH=0.3", "RPN.TEST_POST_NMS_TOPK=30",
    "RPN.TEST_PER_LEVEL_NMS_TOPK=30", "RPN.TRAIN_POST_NMS_TOPK=6", "RPN.TRAIN_PER_LEVEL_NMS_TOPK=6",
    # on each level anchors that lie inside the image; no anchor or RoI is left to the sampling
    "RPN.ANCHOR_SIZES=(8, 12, 16, 24, 28)", "RPN.BATCH_PER_IM=2000", "FRCNN.BATCH_PER_IM=8", "FRCNN.FG_RATIO=1.0",
    # two of eight images a step: nothing is accumulated; a large rate: no update is rounded away
    "TRAIN.IMS_PER_GPU=2", "TRAIN.NUM_GPUS=4", "TRAIN.WARMUP_INIT_LR=1.0", "TRAIN.GRADIENT_CLIP=0.0",
    # the gradients are those of the losses
    "TRAIN.WEIGHT_DECAY=0.0")


# configs of the zoo's recorded models, trained here with as many classes as they have
ZOO = {"configs/R50-C4-Mask-1x.cfg": "R50-C4", "configs/R50-FPN-GN-Mask-2x.cfg": "R50-FPN-GN",
       "configs/R50-FPN-Mask-1x.cfg": "R50-FPN", "configs/R50-FPN-Cascade-Mask-1x.cfg": "R50-FPN-Cascade"}
# trained with all of their blocks; of the others at most two in a group, as all from the second on are alike
DEEP = [*ZOO, "configs/R101-FPN-Mask-1x.cfg"]


def config_of(path, num_classes=3, deep=False):
    make = functools.partial(finalized_config, f"@{os.path.join(ROOT, path)}", *CHEAP, num_classes=num_classes,
                             tiny=False)
    blocks = make().BACKBONE.RESNET_NUM_BLOCKS
    return make() if deep else make(f"BACKBONE.RESNET_NUM_BLOCKS={tuple(min(number, 2) for number in blocks)}")


def different(*indifferent):
    """One of all CONFIGS, by the shortest name, that differ at most in the given keys, here without effect."""
    first = {}
    for path in sorted(CONFIGS, key=len):
        flat = config_of(path).flatten()
        first.setdefault(str([item for item in flat.items() if not item[0].startswith(indifferent)]), path)
    return sorted(first.values())


WITHOUT_EFFECT = ("DATA.", "PREPROC.", "TRAIN.LR_SCHEDULE", "TRAIN.STEPS_PER_EPOCH", "TEST.IMS_PER_BATCH")
TRAINED = sorted({*different(*WITHOUT_EFFECT), *DEEP})
USED = different(*WITHOUT_EFFECT, "TRAIN.", "RPN.LOSS", "FRCNN.LOSS", "CASCADE.LOSS")

OBJECTS = batch_of([(1, (8, 10, 40, 50)), (3, (50, 5, 90, 60)), (-1, (0, 40, 30, 64))], [(2, (20, 8, 36, 28))])


@pytest.mark.parametrize("path", PUBLISHED)
def test_a_file_is_named_after_what_it_is(make_config, path):
    cfg = make_config(f"@{os.path.join(ROOT, path)}", tiny=False)
    parts = os.path.basename(path)[:-len(".cfg")].split("-")
    gn = "GN" in parts
    assert cfg.BACKBONE.NAME == ("VGG16" if parts[0] == "VGG16" else "ResNet")
    blocks = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
    assert cfg.BACKBONE.RESNET_NUM_BLOCKS == blocks.get(parts[0][1:], (3, 4, 6, 3))
    groups, width = map(int, parts[1][:-1].split("x")) if parts[0].startswith("X") else (1, 64)
    assert (cfg.BACKBONE.RESNEXT_GROUPS, cfg.BACKBONE.RESNEXT_WIDTH) == (groups, width)
    assert (cfg.MODE_FPN, cfg.MODE_MASK, cfg.FPN.CASCADE) == ("FPN" in parts, "Mask" in parts, "Cascade" in parts)
    assert (cfg.FPN.P2_ONLY, cfg.MODE_KEYPOINT) == ("P2only" in parts, "Keypoint" in parts)
    assert {cfg.BACKBONE.NORM, cfg.FPN.NORM} == ({"GN"} if gn else {"FreezeBN", "None"})
    assert {"_gn_" in head for head in (cfg.FPN.FRCNN_HEAD_FUNC, cfg.FPN.MRCNN_HEAD_FUNC)} == {gn}
    assert cfg.BACKBONE.FREEZE_AT == (0 if "scratch" in parts else 2)
    loss = next((part.lower() for part in parts if "IoU" in part), "smooth_l1")
    assert (cfg.FRCNN.LOSS_TYPE, cfg.RPN.LOSS_TYPE) == (loss, loss if "RPN" in parts else "smooth_l1")
    # the published AP of the zoo's was made without the rule for crowds
    assert cfg.RPN.CROWD_OVERLAP_THRESH == (9.99 if loss == "smooth_l1" and not cfg.MODE_KEYPOINT else 0.7)
    if not {"quick", "VOC", "COCO"} & set(parts):
        (schedule,) = set(parts) & {f"{k}x" for k in range(1, 10)}
        assert cfg.TRAIN.LR_SCHEDULE == make_config(f"TRAIN.LR_SCHEDULE={schedule}").TRAIN.LR_SCHEDULE


@pytest.mark.parametrize("path", TORCHVISION, ids=os.path.basename)
def test_a_file_of_torchvision_is_named_after_what_it_is(make_config, monkeypatch, tmp_path, path):
    monkeypatch.chdir(tmp_path)    # what it includes stands beside it
    kind, body, version = re.fullmatch(r"(\w+)rcnn_(\w+)_fpn(_v2)?.cfg", os.path.basename(path)).groups()
    cfg = make_config(f"@{path}", tiny=False)
    assert cfg.BACKBONE.RESNET_NUM_BLOCKS == {
        "resnet50": (3, 4, 6, 3), "resnet152": (3, 8, 36, 3)}.get(body, (3, 4, 23, 3))
    assert (cfg.BACKBONE.RESNEXT_GROUPS, cfg.BACKBONE.RESNEXT_WIDTH) == ((32, 8) if "32x8d" in body else (1, 64))
    assert (cfg.FPN.NORM, cfg.RPN.NUM_CONVS) == (("SyncBN", 2) if version else ("None", 1))
    assert cfg.MODE_MASK == (kind == "mask")
    # of weights for COCO the first versions of ResNet-50 alone take statistics as they are
    assert cfg.BACKBONE.NORM_EPSILON == (1e-5 if version or body != "resnet50" else 0)
    assert cfg.DATA.NUM_CATEGORY == (1 if kind == "keypoint" else 90)
    assert cfg.RPN.ANCHOR_ROUNDED and cfg.RPN.ANCHOR_STEP_BY_SIZE and not cfg.FRCNN.POOL_SHIFTED


@pytest.mark.parametrize("path", [
    path if "C4" in path or "GN" in path else pytest.param(path, marks=pytest.mark.slow) for path in ZOO])
def test_a_network_has_the_variables_of_the_zoos_model(path, golden):
    cfg = config_of(path, num_classes=80, deep=True)
    with open(f"{golden}/{ZOO[path]}.variables.json", encoding="utf-8") as f:
        assert variable_shapes(Network(cfg, training=False, run=False).graph) == json.load(f)


def test_few_configs_are_as_good_as_others_for_these_tests():
    assert {"configs/R50-FPN-Mask-1x.cfg", "configs/R50-C4-Mask-1x.cfg", "configs/demo.cfg"} <= set(USED)
    assert set(USED) <= set(TRAINED) and len(TRAINED) > 0.7 * len(CONFIGS)


@pytest.fixture(scope="module", params=TRAINED)
def trained(request):
    return request.param


@pytest.fixture(scope="module")
def cfg(trained):
    return config_of(trained, num_classes=80 if trained in ZOO else 3, deep=trained in DEEP)


@pytest.fixture(scope="module")
def weights(make_weight):
    """The stand-in weights, each made once for all networks that have it."""
    cached = functools.cache(make_weight)
    return lambda name, shape: cached(name, tuple(shape))


@pytest.fixture(scope="module")
def step(trained, cfg, weights):
    """
    A training step from the stand-in weights.

    Returns: losses by name; shapes of the network's variables by name, names of those with a gradient that is not all
    zero, and of those that moved; and, of the zoo's models, operations without a GPU kernel
    """
    network = Network(cfg, training=True, weights=weights, rewrite=False)
    names = network.model.loss_names()
    gradients = {v.op.name: gradient for gradient, v in network.gradients if gradient is not None}
    losses, gradients, _ = network.run([[f"{name}:0" for name in names], gradients, network.train], **OBJECTS)
    after = network.variables()
    network.sess.close()
    return types.SimpleNamespace(
        losses=dict(zip(names, losses)), variables={name: list(value.shape) for name, value in after.items()},
        lacks=lacks_of_gpu_kernels(network.graph) if trained in ZOO else {},
        with_gradient={name for name, value in gradients.items() if np.abs(value).max() > 0},
        moved={name for name, value in after.items() if not np.array_equal(value, weights(name, value.shape))})


def to_be_trained(cfg, names):
    """Those of a network's variables that a training with this config moves, by their names."""
    parts = ("conv1_", "conv2_") if cfg.BACKBONE.NAME == "VGG16" else ("conv0/", "group0/")
    frozen = list(parts[:cfg.BACKBONE.FREEZE_AT])
    if cfg.BACKBONE.FREEZE_AFFINE:
        names = {name for name in names if not re.match(r"group\d/.*/(gamma|beta)$", name)}
    return {name for name in names if not name.startswith(tuple(frozen)) and not name.endswith("/EMA")}


@pytest.mark.slow
def test_every_op_of_a_training_of_the_zoos_models_runs_on_a_gpu(step):
    assert step.lacks == {}


@pytest.mark.slow
def test_a_training_has_the_variables_of_the_zoos_model_where_they_are_recorded(trained, step, golden):
    if trained in ZOO:
        with open(f"{golden}/{ZOO[trained]}.variables.json", encoding="utf-8") as f:
            assert step.variables == json.load(f)


@pytest.mark.slow
def test_every_loss_of_a_training_step_is_finite_and_positive(cfg, step):
    losses = dict(step.losses)
    assert losses.pop("wd_cost") == 0
    assert {name: loss for name, loss in losses.items() if not 0 < loss < np.inf} == {}


@pytest.mark.slow
def test_every_variable_that_is_not_frozen_has_a_gradient(cfg, step):
    assert step.with_gradient == to_be_trained(cfg, step.variables)


@pytest.mark.slow
def test_a_training_step_moves_all_variables_but_the_frozen(cfg, step):
    assert step.moved == to_be_trained(cfg, step.variables)


@pytest.mark.slow
@pytest.mark.parametrize("path", USED)
def test_an_image_has_the_same_detections_alone_and_with_a_larger_one(path, weights):
    cfg = config_of(path)
    network = Network(cfg, training=False, weights=weights, rewrite=False)
    if path in ZOO:
        assert lacks_of_gpu_kernels(network.graph) == {}
    larger, smaller = (OBJECTS["images"][b, :h, :w] for b, (h, w) in enumerate(SIZES))
    together, alone = network.detect([larger, smaller]), network.detect([smaller])
    network.sess.close()
    assert len(alone["boxes"]) > 0
    assert ("masks" in alone, "keypoints" in alone) == (cfg.MODE_MASK, cfg.MODE_KEYPOINT)
    found = {name: values[together["image_index"] == 1] for name, values in together.items()}
    assert share_close(alone, found) >= 0.95    # rounding may decide between two boxes that overlap


def share_close(expected, found):
    """Share of detections that are found with label, box to 0.01 pixels, score, mask and keypoint logits to 0.005."""
    limits = {"boxes": 0.01, "scores": 0.005, "labels": 0.5, "masks": 0.005, "keypoints": 0.005}
    shape = len(expected["boxes"]), len(found["boxes"])
    close = [(np.abs(expected[name][:, None] - found[name][None]) <= limit).reshape(*shape, -1).all(axis=2)
             for name, limit in limits.items() if name in expected]
    return np.all(close, axis=0).any(axis=1).mean()
