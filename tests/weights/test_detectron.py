"""Weights in the names and layouts of Detectron and Detectron2."""
import json
import os
import pickle

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.models import BatchNorm

from detectron_files import WRITERS, detectron2_state, detectron_blobs, detectron_layers, folded, of_layer, project
from graph import build, tower
from inference.predictor import load_predictor
from modeling.anchors import cell_anchors
from network_variables import Variable
from training.model import TrainingModel
from weights import fit
from weights.detectron import convert
from weights.files import read_weights, save_weights
from weights.fit import check_fit, network_variables

MODELS = ["R50-C4", "R50-FPN", "R50-FPN-Cascade", "R50-FPN-GN"]


# the four recorded models -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def recorded(golden, make_weight):
    """A function of a model's name: its weights, an eighth as wide."""
    def make(model):
        with open(os.path.join(golden, f"{model}.variables.json"), encoding="utf-8") as f:
            shapes = json.load(f)
        weights = {name: make_weight(name, [n if n % 64 else n // 8 for n in shape]) for name, shape in shapes.items()}
        # with GN behind them they have no bias in either project
        return {name: np.zeros_like(value) if model.endswith("GN") and name.startswith("fpn/") and name.endswith("/b")
                else value for name, value in weights.items()}
    return make


def has_gn_head(model, name):
    return model == "R50-FPN-GN" and name.startswith(("fastrcnn/", "maskrcnn/"))


@project
@pytest.mark.parametrize("model", MODELS)
def test_a_file_gives_the_weights_that_it_was_made_from(recorded, tmp_path, model, project):
    expected = {name: value for name, value in recorded(model).items() if not has_gn_head(model, name)}
    found = read_weights(WRITERS[project](str(tmp_path / "w.pkl"), recorded(model)))
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        if "/bn/" in name and project == "detectron":
            norm = name[:name.index("/bn/") + 3]
            np.testing.assert_allclose(folded(found, norm), folded(expected, norm), rtol=1e-6, atol=1e-7)
        elif "/box/" in name and name.startswith("fastrcnn") and project == "detectron2":
            np.testing.assert_array_equal(found[name][..., 4:], value[..., 4:])
            np.testing.assert_array_equal(found[name][..., :4], 0)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@project
@pytest.mark.parametrize("model", MODELS)
def test_nothing_else_comes_out_of_a_file_but_norms_that_stand_elsewhere(recorded, tmp_path, model, project):
    weights = recorded(model)
    others = set(read_weights(WRITERS[project](str(tmp_path / "w.pkl"), weights))) - weights.keys()
    assert others == {f"{layer}{i}/gn/{v}" for layer in ("fastrcnn/conv", "maskrcnn/fcn") for i in range(4)
                      for v in ("gamma", "beta") if model == "R50-FPN-GN"}


# the same outputs ---------------------------------------------------------------------------------------------------
NETWORKS = {"FPN": (), "C4": ("MODE_FPN=False",), "cascade": ("FPN.CASCADE=True",)}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, make_config, make_weight, tmp_path_factory):
    """A small network's config, its weights, and what it detects with them from an .npz in a batch of two images."""
    cfg = make_config(*NETWORKS[request.param], "TEST.RESULT_SCORE_THRESH=0.01")
    with tf.Graph().as_default():
        model = TrainingModel(cfg)
        with tower(training=False):
            model.build_graph(*[tfv1.placeholder(spec.dtype, spec.shape, spec.name) for spec in model.inputs()])
        weights = {name: make_weight(name, v.shape.as_list()) for name, v in network_variables().items()}
    # a file of Detectron has no statistics, and what it stands for is written exactly so
    statistics = {"mean/EMA": 0.0, "variance/EMA": 1 - 1e-5}
    weights.update({name: np.full_like(value, statistics[name[name.index("/bn/") + 4:]])
                    for name, value in weights.items() if name.endswith("/EMA")})
    path = str(tmp_path_factory.mktemp("npz") / "w.npz")
    save_weights(path, weights)
    return cfg, weights, detect(cfg, path)


def detect(cfg, path):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    return load_predictor(cfg, path)(images, np.array([[64, 96], [50, 80]], np.int32))


@project
def test_a_network_detects_the_same_with_an_npz_and_with_a_pkl(network, tmp_path, project):
    cfg, weights, expected = network
    found = detect(cfg, WRITERS[project](str(tmp_path / "w.pkl"), weights, blocks=(1, 1, 1, 1)))
    assert len(found[0]) == len(expected[0]) > 20
    for array, expected_array in zip(found[:5], expected):    # boxes, scores, labels, images, masks
        np.testing.assert_allclose(array, expected_array, rtol=1e-5, atol=1e-5)


# facts about both projects ------------------------------------------------------------------------------------------
def test_scale_and_bias_of_detectron_are_applied_as_they_are():
    x, scale, bias = np.random.default_rng(0).normal(size=(3, 2, 2, 2, 4)).astype(np.float32)
    blobs = {"res_conv1_bn_s": scale[0, 0, 0], "res_conv1_bn_b": bias[0, 0, 0]}
    variables = {name.removeprefix("conv0/"): value for name, value in convert("f", blobs).items()}

    def norm(t):
        with tower(training=False):
            return BatchNorm("bn", t, training=False)
    found = build(norm, x, variables=variables)(x)
    np.testing.assert_allclose(found, x * blobs["res_conv1_bn_s"] + blobs["res_conv1_bn_b"], rtol=1e-6, atol=1e-7)


def test_the_anchors_of_a_cell_come_in_our_order():
    sizes, ratios = [32, 64, 128, 256, 512], [0.5, 1, 2]
    # Detectron goes through the ratios, and through the sizes of each
    anchors = np.float32([[-w, -s * s / w, w, s * s / w] for r in ratios for s in sizes for w in [s / np.sqrt(r)]]) / 2
    found = convert("f", {"rpn_bbox_pred_b": anchors.reshape(-1), "rpn_cls_logits_b": anchors[:, 2]})
    ours = cell_anchors(sizes, ratios)
    np.testing.assert_allclose(found["rpn/box/b"].reshape(-1, 4), ours, rtol=1e-5)
    np.testing.assert_allclose(found["rpn/class/b"], ours[:, 2], rtol=1e-5)


@pytest.mark.parametrize("blocks", [(3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)], ids=["R50", "R101", "R152"])
def test_backbone_and_pyramid_of_any_depth_are_named_by_the_same_rules(blocks):
    layers = ["conv0"] + [f"group{i}/block{j}/conv{k}" for i in range(4) for j in range(blocks[i]) for k in (1, 2, 3)]
    layers += [f"fpn/lateral_1x1_c{i}" for i in range(2, 6)] + [f"fpn/posthoc_3x3_p{i}" for i in range(2, 6)]
    weights = {f"{layer}/W": np.full((1, 1, 2, 3), i, np.float32) for i, layer in enumerate(layers)}
    for theirs in (detectron_blobs(weights, blocks), detectron2_state(weights, blocks)):
        found = convert("f", theirs)
        assert {name for name in found if name.endswith("/W")} == weights.keys()
        for name, value in weights.items():
            np.testing.assert_array_equal(found[name], value)


def test_names_of_r101_and_r152_are_known_word_by_word():
    found = convert("f", {name + "_w": np.float32([[[[i]]]]) for i, name in enumerate([
        "fpn_inner_res4_22_sum_lateral", "fpn_inner_res3_7_sum_lateral", "fpn_res4_35_sum", "res4_35_branch2b"])})
    assert [found[name].item() for name in ("fpn/lateral_1x1_c4/W", "fpn/lateral_1x1_c3/W", "fpn/posthoc_3x3_p4/W",
                                            "group2/block35/conv2/W")] == [0, 1, 2, 3]


@project
def test_kernels_of_groups_keep_their_groups(tmp_path, project):
    # outputs stand group by group in both layouts
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 8)).astype(np.float32)
    found = read_weights(WRITERS[project](str(tmp_path / "w.pkl"), {"group1/block0/conv2/W": kernel}))
    np.testing.assert_array_equal(found["group1/block0/conv2/W"], kernel)


# backbones ----------------------------------------------------------------------------------------------------------
CAFFE2_STATISTICS = {"Detectron2's copy of MSRA's": ("gamma", "beta", "running_mean", "running_var"),
                     "Caffe2's": ("s", "b", "rm", "riv")}


@pytest.mark.parametrize("style", [*CAFFE2_STATISTICS, "torchvision's"])
def test_a_backbone_of_imagenet_with_its_statistics_is_read(recorded, tmp_path, style):
    expected = {name: value for name, value in recorded("R50-FPN").items() if name.startswith(("conv0", "group"))}
    state = detectron2_state(expected, (3, 4, 6, 3))
    state = {name.removeprefix("backbone."): value for name, value in state.items()}
    content = {"model": {**state, "stem.fc.weight": np.ones((10, 20), np.float32)}, "__author__": "torchvision",
               "matching_heuristics": True}
    if style in CAFFE2_STATISTICS:
        endings = dict(zip(("gamma", "beta", "mean/EMA", "variance/EMA"), CAFFE2_STATISTICS[style]))
        content = {"fc1000_w": np.ones((10, 20), np.float32)}
        for layer, theirs in detectron_layers(expected, (3, 4, 6, 3)).items():
            norm = "res_conv1_bn" if theirs == "conv1" else theirs + "_bn"
            for name, value in of_layer(expected, layer).items():
                content[theirs + "_w" if name == "W" else f"{norm}_{endings[name]}"] = value
    path = str(tmp_path / "R-50.pkl")
    with open(path, "wb") as f:
        pickle.dump(content, f)
    found = read_weights(path)
    assert len(found) == len(expected) + 1
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


# what is not converted ----------------------------------------------------------------------------------------------
@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(fit.logger, "info", lines.append)
    return lines


@project
def test_a_training_starts_with_heads_of_its_own_where_theirs_differ(recorded, tmp_path, log, project):
    path = WRITERS[project](str(tmp_path / "w.pkl"), recorded("R50-FPN-GN"))
    variables = {name: Variable(value.shape) for name, value in recorded("R50-FPN-GN").items()}
    taken = check_fit(path, read_weights(path), variables, partial=True)
    assert {name for name in variables if name not in taken} == {
        name for name in variables if has_gn_head("R50-FPN-GN", name)}
    assert len(log) == 2 and f"{len(taken)} arrays loaded; 42 variables keep their initial values, such as" in log[1]
    assert "34 arrays of fastrcnn, maskrcnn are left out, as there is no fastrcnn/conv0/gn/gamma here" in log[0]
    assert log[0].endswith("; set FPN.HEAD_NORM_FIRST=True")


@project
def test_a_prediction_with_heads_that_differ_is_refused_with_their_names(recorded, tmp_path, project):
    path = WRITERS[project](str(tmp_path / "w.pkl"), recorded("R50-FPN-GN"))
    with pytest.raises(UserError) as error:
        check_fit(path, read_weights(path), {name: Variable(v.shape) for name, v in recorded("R50-FPN-GN").items()})
    assert "it lacks 24 of" in str(error.value) and "such as fastrcnn/" in str(error.value)
    assert "16 arrays not used, such as fastrcnn/conv0/gn/gamma; set FPN.HEAD_NORM_FIRST=True" in str(error.value)


@pytest.mark.parametrize("stages", [(), (1, 2, 3)], ids=["one head", "cascade"])
@project
def test_a_head_of_convolutions_without_norm_is_converted(project, stages):
    heads = [f"cascade_rcnn_stage{stage}" for stage in stages] or ["fastrcnn"]
    layers = [f"{head}/{'head/' if stages else ''}{layer}" for head in heads for layer in ("conv0", "conv3", "fc")]
    weights = {f"{layer}/b": np.float32([i]) for i, layer in enumerate(layers)}
    weights.update({f"{layer}/W": np.ones((2, 3) if layer.endswith("fc") else (3, 3, 1, 2)) for layer in layers})
    weights["fpn/lateral_1x1_c2/W"] = np.ones((1, 1, 2, 2))
    theirs = (detectron_blobs if project == "detectron" else detectron2_state)(weights, (1, 1, 1, 1))
    found = convert("f", theirs)
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value)


def test_an_rpn_with_norms_is_left_out_as_a_whole():
    rpn = "proposal_generator.rpn_head."
    theirs = {rpn + "conv.weight": np.ones((2, 2, 3, 3)), rpn + "conv.norm.weight": np.ones(2),
              rpn + "objectness_logits.bias": np.ones(3)}
    assert convert("f", theirs).keys() == theirs.keys()


def test_a_pyramid_with_batch_norm_has_no_biases():
    lateral = "backbone.fpn_lateral2."
    theirs = {lateral + "weight": np.ones((2, 2, 1, 1)), lateral + "norm.weight": np.ones(2),
              lateral + "norm.running_mean": np.ones(2)}
    assert {name.removeprefix("fpn/lateral_1x1_c2/") for name in convert("f", theirs)} == {
        "W", "bn/gamma", "bn/mean/EMA"}


# files that are no weights ------------------------------------------------------------------------------------------
def message_of(path):
    with pytest.raises(UserError) as error:
        read_weights(path)
    assert str(error.value).isprintable() and path in str(error.value)
    return str(error.value)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = str(tmp_path / "w.pkl")
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else pickle.dumps(content))
        return path
    return write


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, {"model": {}}, {"blobs": {"conv1_w": None}}, {1: np.ones(2)},
                                     np.ones(2), None, "text"])
def test_a_pickle_of_something_else_is_refused(write, content):
    assert "holds no weights; a dict of name to NumPy array is wanted" in message_of(write(content))


def test_a_class_in_a_file_is_refused_and_not_run(write, tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    assert "mkdir: only NumPy arrays" in message_of(write({"blobs": {"conv1_w": np.ones(2)}, "cfg": Harmful()}))
    assert not (tmp_path / "harm").exists()


@project
def test_a_file_that_was_cut_is_refused(recorded, tmp_path, write, project):
    path = WRITERS[project](str(tmp_path / "whole.pkl"), recorded("R50-FPN"))
    with open(path, "rb") as f:
        content = f.read()
    assert "cannot be read as a pickle" in message_of(write(content[:len(content) // 2]))


def test_a_web_page_in_place_of_a_file_is_refused(write):
    assert "cannot be read as a pickle" in message_of(write(b"<html>404 not found</html>"))


@pytest.mark.parametrize("name, shape", [("rpn_cls_logits_w", (16, 2, 1, 1)), ("rpn_bbox_pred_b", (16,)),
                                         ("mask_fcn_logits_b", ()), ("roi_heads.box_predictor.bbox_pred.bias", ())])
def test_a_shape_that_a_layer_cannot_have_is_named(write, name, shape):
    assert f"{name} cannot have the shape {shape}" in message_of(write({name: np.ones(shape)}))


def test_deformable_convolutions_are_refused(write):
    content = {"backbone.res2.0.conv2.weight": np.ones((8, 8, 3, 3)),
               "backbone.res2.0.conv2_offset.weight": np.ones((18, 8, 3, 3))}
    assert "conv2_offset.weight), which no network here has" in message_of(write(content))


def test_names_may_be_bytes(write):
    found = read_weights(write({b"blobs": {b"fc6_b": np.float32([1, 2])}}))
    np.testing.assert_array_equal(found["fastrcnn/fc6/b"], [1, 2])


def test_our_own_names_in_a_pickle_are_taken_as_they_are(write):
    found = read_weights(write({"conv0/W": np.ones((7, 7, 3, 4), np.float32)}))
    assert found["conv0/W"].shape == (7, 7, 3, 4)
