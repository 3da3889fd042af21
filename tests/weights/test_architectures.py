"""Files of Detectron and Detectron2 of each architecture, for networks of it: nothing missing and nothing left over."""
import re

import numpy as np
import pytest

from detectron_files import WRITERS, detectron2_state, detectron_blobs, folded
from network_variables import Variable, layer_shapes
from weights import detectron, fit
from weights.files import read_weights
from weights.fit import check_fit

C4 = "MODE_FPN=False"
GN = ("BACKBONE.NORM=GN FPN.NORM=GN FPN.HEAD_NORM_FIRST=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head "
      "FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head")
R101 = "BACKBONE.RESNET_NUM_BLOCKS=(3,4,23,3)"
# words of the config
ARCHITECTURES = {
    "cascade": "FPN.CASCADE=True",
    "ResNet-152": "BACKBONE.RESNET_NUM_BLOCKS=(3,8,36,3)",
    "ResNeXt-101 32x8d": f"{R101} BACKBONE.RESNEXT_GROUPS=32 BACKBONE.RESNEXT_WIDTH=8",
    "ResNeXt-101 64x4d": f"{R101} BACKBONE.WIDTH=16 BACKBONE.RESNEXT_GROUPS=64 BACKBONE.RESNEXT_WIDTH=4",
    "VGG16": f"{C4} BACKBONE.NAME=VGG16",
    "v0up": f"{C4} MRCNN.HEAD=v0up",
    "v0upshare": f"{C4} MRCNN.HEAD=v0upshare",
    "v1up": "MRCNN.HEAD=v1up",
    "v1up4convs": "MRCNN.HEAD=v1up4convs",
    "class-agnostic masks": "MRCNN.CLASS_AGNOSTIC=True",
    "P2 only": "FPN.P2_ONLY=True",
    "cascade on C4": f"{C4} FPN.CASCADE=True",
    "keypoints": "MODE_KEYPOINT=True MODE_MASK=False",
    "two convolutions in the RPN": "RPN.NUM_CONVS=2",
    "4conv1fc": "FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_head",
    "GN": GN,
    "cascade with GN": f"{GN} FPN.CASCADE=True",
    "batch norms": "FPN.NORM=SyncBN FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_bn_head "
                   "FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_bn_head"}
# what one of the projects does not have
ONLY = {"VGG16": "detectron", "v0up": "detectron", "two convolutions in the RPN": "detectron2",
        "batch norms": "detectron2"}
CASES = [(name, project) for name in ARCHITECTURES for project in WRITERS if ONLY.get(name, project) == project]
DEEP = re.compile("R.*1[05]")


@pytest.fixture(scope="module")
def network(make_config, make_weight):
    """A function of an architecture's name: its config, the shapes of its variables and weights of them, made once."""
    cached = {}

    def make(name):
        if name not in cached:
            cfg = make_config("FPN.FRCNN_CONV_HEAD_DIM=16", "KRCNN.HEAD_DIM=16", *ARCHITECTURES[name].split())
            variables = layer_shapes(cfg)
            # with GN behind them they have no bias in either project
            no_bias = {f"fpn/{layer}{level}/b" for layer in ("lateral_1x1_c", "posthoc_3x3_p") for level in range(2, 6)
                       if cfg.FPN.NORM == "GN"}
            cached[name] = cfg, variables, {key: make_weight(key, shape) * np.float32(key not in no_bias)
                                            for key, shape in variables.items()}
        return cached[name]
    return make


@pytest.mark.parametrize("name, project", [
    pytest.param(*case, marks=pytest.mark.slow) if DEEP.match(case[0]) else case for case in CASES])
def test_a_file_has_what_the_network_has_and_no_more(network, tmp_path, monkeypatch, name, project):
    cfg, variables, weights = network(name)
    lines = []
    monkeypatch.setattr(fit.logger, "info", lines.append)
    path = WRITERS[project](str(tmp_path / "w.pkl"), of_whole_pyramid(weights), cfg.BACKBONE.RESNET_NUM_BLOCKS)
    taken = check_fit(path, read_weights(path), {key: Variable(shape) for key, shape in variables.items()})
    # of a pyramid of which P2 alone is used the file has P3 to P5 too
    left_over = "; 6 arrays not used, such as fpn/posthoc_3x3_p3/W" if name == "P2 only" else ""
    assert lines == [f"{path}: {len(variables)} arrays loaded{left_over}"]
    assert taken.keys() == weights.keys()
    found = comparable(taken)
    for key, value in comparable(weights).items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-7, err_msg=key)


def of_whole_pyramid(weights):
    """The weights, with the last convolutions of a pyramid that a network without RPN on them does not have."""
    if "fpn/posthoc_3x3_p2/W" not in weights or "fpn/posthoc_3x3_p5/W" in weights:
        return weights
    return {**weights, **{f"fpn/posthoc_3x3_p{level}/{v}": weights[f"fpn/posthoc_3x3_p2/{v}"]
                          for level in (3, 4, 5) for v in "Wb"}}


def comparable(weights):
    """Norms with statistics as a factor and an offset, and boxes without those of the background, which nobody uses."""
    found = {}
    for key, value in weights.items():
        if key.endswith("/bn/gamma"):
            found[key] = folded(weights, key.removesuffix("/gamma"))
        elif "/bn/" not in key:
            found[key] = value[..., 4:] if re.match("fastrcnn/.*box/", key) else value
    return found


def test_every_row_of_the_tables_is_of_an_architecture(network):
    names = set()
    for name, project in [case for case in CASES if not DEEP.match(case[0])]:
        cfg, _, weights = network(name)
        write = {"detectron": detectron_blobs, "detectron2": detectron2_state}[project]
        names |= write(weights, cfg.BACKBONE.RESNET_NUM_BLOCKS).keys()
    layers = {detectron.NAME.fullmatch(name)[1] for name in names}
    assert [pattern for pattern, _, _ in detectron.DETECTRON + detectron.DETECTRON2
            if not any(re.fullmatch(pattern, layer) for layer in layers)] == []
