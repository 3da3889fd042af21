"""Which layers a network has, by its config."""

import common  # noqa: F401

import pytest

from graph import variable_shapes
from modeling.architectures import C4, FPN
from network import Network


def shapes(cfg, part):
    """Returns: dict of name to shape, of the variables of a part of a network"""
    found = variable_shapes(Network(cfg, training=False, run=False).graph)
    return {name: shape for name, shape in found.items() if name.startswith(part)}


@pytest.mark.parametrize("words, num_convs, num_blocks, channels", [
    ("MODE_FPN=False", 0, 0, 256), ("MODE_FPN=False MRCNN.HEAD=v0up", 0, 1, 256), ("MRCNN.HEAD=v1up", 2, 0, 8),
    ("MODE_FPN=False MRCNN.HEAD=v1up4convs", 4, 0, 8)])
def test_a_mask_head_has_the_layers_that_its_name_says(make_config, words, num_convs, num_blocks, channels):
    found = shapes(make_config(*words.split()), "maskrcnn/")
    assert len([name for name in found if "/fcn" in name and name.endswith("/W")]) == num_convs
    assert len([name for name in found if "/group3/" in name and name.endswith("conv3/W")]) == num_blocks
    assert found["maskrcnn/deconv/W"] == [2, 2, 8, channels]


def test_a_class_agnostic_mask_has_one_output(make_config):
    found = shapes(make_config("MRCNN.CLASS_AGNOSTIC=True"), "maskrcnn/conv/")
    assert found == {"maskrcnn/conv/W": [1, 1, 8, 1], "maskrcnn/conv/b": [1]}


@pytest.mark.parametrize("head, shares, size", [
    ("", True, 14), ("v0upshare", True, 14), ("v0up", False, 14), ("v1up", False, 28)])
def test_only_v0upshare_is_trained_on_the_box_heads_features(make_config, head, shares, size):
    network = C4(make_config("MODE_FPN=False", f"MRCNN.HEAD={head}"))
    assert (network.shares_roi_features, network.mask_size) == (shares, size)


def test_with_p2_only_the_other_levels_only_feed_it(make_config):
    cfg = make_config("FPN.P2_ONLY=True", "MODE_MASK=False", "RPN.ANCHOR_SIZES=(8, 16, 32)")
    levels = {name.split("/")[1] for name in shapes(cfg, "fpn/")}
    assert levels == {"posthoc_3x3_p2", *(f"lateral_1x1_c{level}" for level in (2, 3, 4, 5))}
    network = FPN(cfg)
    assert (network.strides, network.roi_strides, network.anchor_sizes) == ((4,), (4,), [(8, 16, 32)])
    assert network.has_joint_proposals and network.size_multiple == 32
