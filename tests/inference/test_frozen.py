"""The frozen network, on one device and on several."""
import common

import numpy as np
import pytest
import tensorflow as tf

import distributed
import modeling.precision
from data.batch import pad_batch
from inference import graph_cache, predictor
from inference.frozen import freeze
from inference.predictor import Predictor, load_predictor
from modeling.generalized_rcnn import GeneralizedRCNN
from network import Network

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((64, 96), (50, 40))]


@pytest.fixture(scope="module")
def cfg(make_config):
    return make_config("TEST.RESULT_SCORE_THRESH=0.3", "TEST.RESULTS_PER_IM=20")


@pytest.fixture(scope="module")
def variables(cfg, make_weight):
    network = Network(cfg, training=False, weights=make_weight)
    return network, network.variables()


@pytest.fixture(scope="module")
def path(variables, tmp_path_factory):
    path = tmp_path_factory.mktemp("frozen") / "model.npz"
    np.savez(path, **variables[1])
    return str(path)


@pytest.fixture(scope="module")
def graph_def(cfg, path):
    return freeze(cfg, path)


def assert_equal_detections(found, expected, **tolerance):
    assert len(expected[0]) > 5
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, **tolerance)


def test_a_frozen_network_finds_what_the_one_with_variables_finds(variables, cfg, path):
    expected = variables[0].detect(IMAGES)
    found = load_predictor(cfg, path)(*pad_batch(IMAGES))
    assert_equal_detections(found, list(expected.values()), rtol=1e-4, atol=1e-3)


def test_weights_that_lack_a_variable_are_refused(variables, cfg, tmp_path):
    weights = dict(variables[1])
    del weights["rpn/class/b"]
    np.savez(tmp_path / "model.npz", **weights)
    with pytest.raises(common.UserError, match="lacks 1 of .* such as rpn/class/b"):
        freeze(cfg, str(tmp_path / "model.npz"))


def test_it_has_no_variables_and_nothing_of_a_training(graph_def):
    types = {node.op for node in graph_def.node}
    assert "_FusedConv2D" in types and "Const" in types
    assert not {t for t in types if "Variable" in t or "VarHandle" in t or "Random" in t or "Summary" in t}
    assert not types & {"Rsqrt", "FusedBatchNormV3", "Assert", "Print"}


def test_groups_of_a_resnext_are_fused_with_their_biases(make_config, make_weight, tmp_path):
    cfg = make_config("MODE_MASK=False", "MODE_FPN=False", "BACKBONE.RESNEXT_GROUPS=4", "BACKBONE.RESNEXT_WIDTH=32",
                      "TEST.RESULT_SCORE_THRESH=0.3", "RPN.TEST_POST_NMS_TOPK=20")
    network = Network(cfg, training=False, weights=make_weight, rewrite=False)
    np.savez(tmp_path / "model.npz", **network.variables())
    graph_def = freeze(cfg, str(tmp_path / "model.npz"))
    found = Predictor(graph_def, network.model.network.output_names())(*pad_batch(IMAGES))
    assert_equal_detections(found[:4], list(network.detect(IMAGES).values()), rtol=1e-4, atol=1e-3)
    groups = [node.op for node in graph_def.node if "group3/block0/conv2/" in node.name and "Conv2D" in node.op]
    assert groups == ["_FusedConv2D"] * 4


PRODUCTS = ("Conv2D", "_FusedConv2D", "MatMul", "_FusedMatMul", "BatchMatMulV2")
RANKED = ("rpn/class", "rpn/box", "rpn_1/", "rpn_2/", "rpn_3/", "rpn_4/", "fastrcnn/outputs")


def types_of_products(graph_def):
    """Returns: dict of the name to the type of each layer but those whose outputs are ranked"""
    return {node.name: tf.as_dtype(node.attr["T"].type).name for node in graph_def.node
            if node.op in PRODUCTS and not node.name.startswith(RANKED)}


@pytest.fixture(scope="module")
def lower(make_config, path):
    """dict of a lower precision to the graph of it, as a machine that computes it has it"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling.precision, "is_fast", lambda precision: True)
        return {precision: freeze(make_config(f"TEST.PRECISION={precision}"), path)
                for precision in ("bfloat16", "float16")}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_its_layers_have_the_precision_of_the_config(lower, precision):
    graph_def = lower[precision]
    layers = types_of_products(graph_def)
    assert len(layers) > 10 and set(layers.values()) == {precision}
    outputs = [node for node in graph_def.node if node.name in ("output/boxes", "output/scores", "output/masks")]
    assert {node.attr["T"].type for node in outputs} == {tf.float32.as_datatype_enum}


def test_what_is_ranked_is_in_float32(lower):
    ranked = [node for node in lower["bfloat16"].node if node.op in PRODUCTS and node.name.startswith(RANKED)
              and ("/class" in node.name or "/box" in node.name)]
    assert len(ranked) >= 12 and {node.attr["T"].type for node in ranked} == {tf.float32.as_datatype_enum}


def test_bfloat16_finds_about_the_same(make_config, variables, cfg, path):
    """Where this CPU computes it, and in float32 elsewhere"""
    words = ["TEST.RESULT_SCORE_THRESH=0.3", "TEST.RESULTS_PER_IM=20", "TEST.PRECISION=bfloat16"]
    found = load_predictor(make_config(*words), path)(*pad_batch(IMAGES))
    expected = variables[0].detect(IMAGES)
    assert abs(len(found.boxes) - len(expected["boxes"])) <= 4 and found.masks.dtype == np.float32
    # 8 bits between all layers of a network of random weights; oneDNN's kernels are up to 0.032 away
    np.testing.assert_allclose(np.sort(found.scores)[-5:], np.sort(expected["scores"])[-5:], atol=0.04)


def test_several_devices_find_the_same_and_work_at_once(cfg, graph_def, variables):
    predict = Predictor(graph_def, GeneralizedRCNN(cfg).output_names(), num_devices=2)
    expected = list(variables[0].detect(IMAGES).values())
    taken = predict._free.get()
    assert_equal_detections(predict(*pad_batch(IMAGES)), expected, rtol=1e-4, atol=1e-3)
    other = predict._free.get()
    assert other is not taken
    predict._free.put(taken)
    assert_equal_detections(predict(*pad_batch(IMAGES)), expected, rtol=1e-4, atol=1e-3)


def test_a_rank_of_a_job_takes_one_device(cfg, path, graph_def, monkeypatch):
    monkeypatch.setattr(predictor, "freeze", lambda *_: graph_def)
    monkeypatch.setattr(distributed, "size", lambda: 2)
    monkeypatch.setattr(common, "visible_gpus", lambda: 0)
    assert load_predictor(cfg, path).num_devices == 1


def test_a_network_that_was_kept_finds_the_same(make_config, path, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cfg = make_config("TEST.CACHE_GRAPH=True", "TEST.RESULT_SCORE_THRESH=0.3")
    first = load_predictor(cfg, path)(*pad_batch(IMAGES))
    monkeypatch.setattr(graph_cache, "freeze", None)
    second = load_predictor(cfg, path)(*pad_batch(IMAGES))
    for x, y in zip(first, second):
        np.testing.assert_array_equal(x, y)
