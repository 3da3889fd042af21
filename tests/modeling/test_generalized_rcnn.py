"""The whole network, against the recorded results of tensorpack's, and its behaviour in training."""
import collections
import functools
import json
import re

import common
import cv2
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels
from tensorpack import tfv1

from common import prepare_training
from data.batch import pad_batch
from graph import set_variables, variable_shapes
from inference.frozen import freeze
from modeling.generalized_rcnn import GeneralizedRCNN
from inference.predictor import Predictor
from weights.fit import network_variables
from network import SIZES, Network, batch_of

# against recorded results -------------------------------------------------------------------------------------------
MODELS = {
    "R50-FPN": "",
    "R50-C4": "MODE_FPN=False",
    "R50-FPN-Cascade": "FPN.CASCADE=True",
    "R50-FPN-GN": "BACKBONE.NORM=GN FPN.NORM=GN FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head "
                  "FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_gn_head"}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def zoo(golden, name):
    """Names and shapes of the variables of the recorded model."""
    with open(f"{golden}/{name}.variables.json", encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="module")
def recorded(golden, name):
    arrays = np.load(f"{golden}/{name}.npz")
    return {key.split(".")[-1] if "proposals" in key else key: arrays[key] for key in arrays.files}


@pytest.fixture(scope="module")
def image(golden):
    return cv2.imread(f"{golden}/image.png")


@pytest.fixture(scope="module")
def golden_model(make_config, name, zoo, make_weight, tmp_path_factory):
    """The network of a recorded model with its weights, loaded and frozen as a user's are."""
    path = tmp_path_factory.mktemp("golden") / f"{name}.npz"
    np.savez(path, **{variable: make_weight(variable, shape) for variable, shape in zoo.items()})
    cfg = make_config(*MODELS[name].split(), num_classes=80, tiny=False)
    graph_def = freeze(cfg, str(path), more_outputs=["proposal_boxes", "fastrcnn_all_scores"])
    path.unlink()
    return Predictor(graph_def, GeneralizedRCNN(cfg).inference_tensor_names()[1])


@pytest.fixture(scope="module")
def golden_inference(make_config, name):
    """The network of a recorded model in inference, with variables; only built."""
    return Network(make_config(*MODELS[name].split(), num_classes=80, tiny=False), training=False, run=False)


@pytest.fixture(scope="module")
def alone(golden_model, image):
    """What the network says about the recorded image: boxes, scores, labels, masks; proposals, their class scores."""
    names = ["output/boxes", "output/scores", "output/labels", "output/masks", "proposal_boxes", "fastrcnn_all_scores"]
    batch, sizes = pad_batch([image])
    return golden_model.sess.run([f"{name}:0" for name in names], {"images:0": batch, "image_sizes:0": sizes})


def pairwise_iou(a, b):
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inter = size.clip(0).prod(axis=2)
    areas = [(x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b)]
    return inter / (areas[0][:, None] + areas[1][None] - inter)


def share_found(expected, found, mask_tolerance):
    """
    How much of what was expected was found: with the same label, an IoU of 0.99, the score to 1e-3.

    Args:
        expected, found: (boxes, scores, labels, masks)
    """
    iou = pairwise_iou(expected[0], found[0])
    close = ((iou >= 0.99) & (np.abs(expected[1][:, None] - found[1][None]) <= 1e-3)
             & (expected[2][:, None] == found[2][None])
             & (np.abs(expected[3][:, None] - found[3][None]).max(axis=(2, 3)) <= mask_tolerance))
    return close.any(axis=1).mean()


def test_detections_are_those_of_the_recorded_model(recorded, alone):
    expected = [recorded[f"output.{name}"] for name in ("boxes", "scores", "labels", "masks")]
    assert len(alone[0]) == len(expected[0])
    assert share_found(expected, alone[:4], mask_tolerance=1e-2) >= 0.98


def test_proposals_are_those_of_the_recorded_model(recorded, alone):
    expected, found = recorded["boxes"], alone[4]
    assert len(found) == len(expected)
    assert (pairwise_iou(expected, found).max(axis=1) >= 0.99).mean() >= 0.98


def test_class_scores_of_proposals_are_those_of_the_recorded_model(recorded, alone):
    iou = pairwise_iou(recorded["boxes"], alone[4])
    same = iou.max(axis=1) >= 0.99
    distance = np.abs(recorded["fastrcnn_all_scores"][same] - alone[5][iou.argmax(axis=1)[same]]).max(axis=1)
    assert (distance <= 1e-3).mean() >= 0.98


@pytest.fixture(scope="module")
def among_others(golden_model, name, image):
    """What the network says about the recorded image among others: one wider, and, where it is quick, one taller."""
    images = [cv2.resize(image, (480, 200)), image, cv2.resize(image, (150, 400))[::-1]]
    boxes, scores, labels, image_index, masks = golden_model(*pad_batch(images if name == "R50-FPN" else images[:2]))
    return {i: [x[image_index == i] for x in (boxes, scores, labels, masks)] for i in set(image_index)}


def test_an_image_has_the_same_detections_alone_and_among_others(alone, among_others):
    assert len(among_others[1][0]) == len(alone[0])
    assert share_found(alone[:4], among_others[1], mask_tolerance=1e-3) >= 0.98
    assert share_found(among_others[1], alone[:4], mask_tolerance=1e-3) >= 0.98


def test_every_image_of_a_batch_has_detections_inside_itself_by_falling_score(among_others):
    for i, (boxes, scores, labels, masks) in among_others.items():
        height, width = [(200, 480), (310, 413), (400, 150)][i]
        assert 0 < len(boxes) <= 100
        assert (boxes >= 0).all() and boxes[:, ::2].max() <= width and boxes[:, 1::2].max() <= height
        assert (np.diff(scores) <= 0).all() and scores.min() > 0.05
        assert labels.min() >= 1 and labels.max() <= 80
        assert masks.shape[1:] in [(28, 28), (14, 14)] and masks.min() >= 0 and masks.max() <= 1


def test_the_variables_are_those_of_the_zoo(golden_inference, zoo):
    assert variable_shapes(golden_inference.graph) == zoo


def test_the_graph_of_a_prediction_is_frozen_and_fused(golden_model, name):
    """Norms with fixed statistics and biases are in their convolutions, and so are ReLUs that stand right behind."""
    operations = golden_model.sess.graph.get_operations()
    count = collections.Counter(op.type for op in operations)
    assert not {t for t in count if "Var" in t or "FusedBatchNorm" in t or "Summary" in t or "Gradient" in t}
    assert not {"Rsqrt", "ReadVariableOp", "RandomUniform", "RandomStandardNormal"} & set(count) or "GN" in name
    unfused = [op.name for op in operations if op.type == "Conv2D" and not op.name.startswith("maskrcnn/deconv")]
    if "GN" not in name:
        assert count["_FusedConv2D"] > 45 and not unfused
        fused = [op.get_attr("fused_ops") for op in operations if op.type == "_FusedConv2D"]
        assert [b"BiasAdd", b"Relu"] in fused and all(ops[0] == b"BiasAdd" for ops in fused)


# the graph on a GPU -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def golden_training(make_config, name):
    """The network of a recorded model in training, two images a step, with its optimizer; only built."""
    words = ["TRAIN.IMS_PER_GPU=2", "TRAIN.GRADIENT_CLIP=1.0", *MODELS[name].split()]
    return Network(make_config(*words, num_classes=80, tiny=False), training=True, run=False)


# what has no GPU kernel, and why it needs none; TensorFlow places it on the CPU
CPU_ONLY = {
    "ScalarSummary": "writes strings for TensorBoard, once an epoch",
    "Const of string": "names of summaries",
    "VarHandleOp of int32": "the counter of accumulated steps",
    "TensorArrayV3 of int32": "collects the few indices that NMS of each group keeps",
    "TensorArrayWriteV3 of int32": "likewise",
}


@functools.lru_cache(maxsize=None)
def gpu_kernels(op_type):
    """Of each kernel of an op for a GPU, or for any device: the types it takes, by attribute."""
    registered = kernels.get_registered_kernels_for_op(op_type).kernel
    return [{c.name: set(c.allowed_values.list.type) for c in kernel.constraint if c.allowed_values.list.type}
            for kernel in registered if kernel.device_type in ("GPU", "DEFAULT")]


def what_lacks_a_gpu_kernel(op):
    """None, or the type of the op, with the type of its values if there is a kernel for others."""
    found = gpu_kernels(op.type)
    if any(all(op.get_attr(name).as_datatype_enum in types for name, types in kernel.items()) for kernel in found):
        return None
    attributes = sorted({name for kernel in found for name in kernel} & {"T", "dtype"})
    return f"{op.type} of {op.get_attr(attributes[0]).base_dtype.name}" if attributes else op.type


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_every_op_runs_on_a_gpu(golden_training, golden_inference, mode):
    graph = golden_training.graph if mode == "training" else golden_inference.graph
    without = {what_lacks_a_gpu_kernel(op): op.name for op in graph.get_operations()}
    assert {lacking: name for lacking, name in without.items() if lacking and lacking not in CPU_ONLY} == {}


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_no_op_hides_in_a_function(golden_training, golden_inference, mode):
    graph = golden_training.graph if mode == "training" else golden_inference.graph
    assert not graph._functions
    calls = {"While", "StatelessWhile", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall"}
    assert not {op.type for op in graph.get_operations()} & calls


def test_a_training_has_the_variables_of_the_zoo_and_its_own_state_beside_them(golden_training, zoo):
    with golden_training.graph.as_default():
        network = network_variables()
        assert {name: v.shape.as_list() for name, v in network.items()} == zoo
        others = {v.op.name for v in tfv1.global_variables()} - set(network)
        trainable = {v.op.name for v in tfv1.trainable_variables()}
    slots = {f"{name}/{slot}" for name in trainable for slot in ("Momentum", "AccumGrad")}
    assert slots <= others
    assert "learning_rate" in others
    assert not {name for name in others - slots if name in zoo}


# training -----------------------------------------------------------------------------------------------------------
OBJECTS = batch_of([(1, (8, 10, 40, 50)), (3, (50, 5, 90, 60))], [(2, (20, 8, 36, 28))])
BATCHES = {
    "objects in both images": OBJECTS,
    "an image without objects": batch_of([(1, (8, 10, 40, 50))], []),
    "no objects": batch_of([], []),
    "only crowds": batch_of([(-1, (0, 0, 50, 60))], [(-1, (10, 10, 30, 30)), (-1, (0, 0, 60, 30))]),
    "an object of one pixel": batch_of([(2, (10, 10, 11, 11))], []),
    "an object as large as its image": batch_of([(1, (0, 0, 96, 64))], [(2, (0, 0, 60, 30))]),
    "crowds and objects": batch_of([(-1, (0, 0, 50, 60)), (2, (8, 10, 40, 50))], [(1, (10, 10, 30, 30))]),
}


TINY_MODELS = {
    "FPN": "", "C4": "MODE_FPN=False RPN.HEAD_DIM=16",
    "Cascade": "FPN.CASCADE=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head FPN.FRCNN_CONV_HEAD_DIM=8"}


@pytest.fixture(scope="module", params=TINY_MODELS)
def tiny_training(make_config, make_weight, request):
    words = TINY_MODELS[request.param].split()
    return Network(make_config("TRAIN.IMS_PER_GPU=2", *words), training=True, weights=make_weight)


@pytest.mark.parametrize("name", BATCHES)
def test_losses_and_gradients_are_finite(tiny_training, name):
    feed = BATCHES[name]
    names = tiny_training.model.loss_names()
    losses, grads = tiny_training.run([[f"{n}:0" for n in names], [g for g, _ in tiny_training.gradients]], **feed)
    assert {n for n, loss in zip(names, losses) if not np.isfinite(loss)} == set()
    assert {v.op.name for (_, v), g in zip(tiny_training.gradients, grads) if not np.isfinite(g).all()} == set()


@pytest.mark.parametrize("name", ["no objects", "only crowds"])
def test_without_objects_boxes_and_masks_have_no_loss(tiny_training, name):
    losses = tiny_training.losses(BATCHES[name])
    assert {loss for name, loss in losses.items() if name.endswith("box_loss")} == {0}
    assert losses["maskrcnn_loss"] == 0
    assert min(loss for name, loss in losses.items() if name.endswith("label_loss")) > 0


def test_with_objects_every_loss_is_positive(tiny_training):
    assert min(tiny_training.losses(OBJECTS).values()) > 0


def test_the_total_cost_is_the_sum_of_the_losses(tiny_training):
    losses = tiny_training.losses(OBJECTS)
    assert losses.pop("total_cost") == pytest.approx(sum(losses.values()), rel=1e-5)


def test_weight_decay_is_of_the_trainable_weights_only(tiny_training):
    with tiny_training.graph.as_default():
        weights = [v for v in tfv1.trainable_variables() if v.op.name.endswith("/W")]
    assert not [v for v in weights if v.op.name.startswith(("conv0/", "group0/"))]
    expected = 1e-4 / 2 * sum((w ** 2).sum() for w in tiny_training.sess.run(weights))
    assert tiny_training.losses(OBJECTS)["wd_cost"] == pytest.approx(expected, rel=1e-4)


def test_every_trainable_variable_gets_a_gradient_when_there_are_objects(tiny_training):
    with tiny_training.graph.as_default():
        trainable = {v.op.name for v in tfv1.trainable_variables()}
    assert {v.op.name for _, v in tiny_training.gradients} == trainable
    grads = tiny_training.run([g for g, _ in tiny_training.gradients], **OBJECTS)
    assert {v.op.name for (_, v), g in zip(tiny_training.gradients, grads) if not np.abs(g).max() > 0} == set()


@pytest.mark.parametrize("words", [
    "MODE_MASK=False FPN.NORM=GN BACKBONE.NORM=GN", "MODE_FPN=False BACKBONE.NORM=SyncBN", "FPN.CASCADE=True",
    "FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_head RPN.LOSS_TYPE=giou FRCNN.LOSS_TYPE=ciou",
    "BACKBONE.NORM=None BACKBONE.FREEZE_AT=0 FPN.PROPOSAL_MODE=Joint",
    "BACKBONE.NORM=SyncBN TRAIN.IMS_PER_GPU=1 BACKBONE.STRIDE_1X1=True"])
def test_other_networks_take_steps_from_their_initial_weights(make_config, words):
    cfg = make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.WARMUP_INIT_LR=0.001", *words.split())
    network = Network(cfg, training=True)
    names = network.model.loss_names()
    feed = {name: value[:cfg.TRAIN.IMS_PER_GPU] for name, value in OBJECTS.items()
            if cfg.MODE_MASK or name != "gt_masks"}
    for _ in range(2):
        losses, _ = network.run([[f"{name}:0" for name in names], network.train], **feed)
        assert {name for name, loss in zip(names, losses) if not np.isfinite(loss)} == set()


def test_without_masks_there_is_no_mask_head(make_config):
    cfg = make_config("MODE_MASK=False")
    network = Network(cfg, training=False, run=False)
    assert not {name for name in variable_shapes(network.graph) if name.startswith("maskrcnn")}
    assert "maskrcnn_loss" not in network.model.loss_names()
    assert "gt_masks" not in [spec.name for spec in network.model.inputs()]


# inference ----------------------------------------------------------------------------------------------------------
# more channels than the features have, or fewer
@pytest.fixture(scope="module", params=[8, 32], ids=["narrow mask head", "wide mask head"])
def tiny_inference(make_config, make_weight, request):
    cfg = make_config("TEST.RESULT_SCORE_THRESH=0.6", f"MRCNN.HEAD_DIM={request.param}")
    return Network(cfg, training=False, weights=make_weight)


def test_images_without_detections_give_empty_lists(make_config, make_weight, tiny_inference):
    bias = {"fastrcnn/outputs/class/b": np.float32([50, 0, 0, 0])}    # all is background
    with tiny_inference.graph.as_default():
        set_variables(tiny_inference.sess, bias)
        try:
            found = tiny_inference.detect([np.full((64, 80, 3), 90, np.uint8), np.full((50, 96, 3), 30, np.uint8)])
        finally:
            set_variables(tiny_inference.sess,
                          {name: make_weight(name, list(value.shape)) for name, value in bias.items()})
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (0, 4), "scores": (0,), "labels": (0,), "image_index": (0,), "masks": (0, 28, 28)}


def test_a_small_image_gives_the_same_detections_alone_and_among_others(tiny_inference):
    images = [OBJECTS["images"][b, :h, :w] for b, (h, w) in enumerate(SIZES)]
    together = tiny_inference.detect(images)
    for i, image in enumerate(images):
        single = tiny_inference.detect([image])
        assert len(single["boxes"]) > 0
        for name in ("boxes", "scores", "labels", "masks"):
            np.testing.assert_allclose(together[name][together["image_index"] == i], single[name], atol=2e-3)


@pytest.mark.parametrize("words", [
    "MODE_MASK=False", "FPN.PROPOSAL_MODE=Joint BACKBONE.NORM=None", "BACKBONE.NORM=GN FPN.NORM=GN", "FPN.CASCADE=True",
    "MODE_FPN=False BACKBONE.NORM=GN", "MODE_FPN=False BACKBONE.STRIDE_1X1=True"])
def test_other_networks_detect_the_same_alone_and_among_others(make_config, make_weight, words):
    network = Network(make_config("TEST.RESULT_SCORE_THRESH=0.3", *words.split()), training=False, weights=make_weight)
    images = [OBJECTS["images"][b, :h, :w] for b, (h, w) in enumerate(SIZES)]
    together = network.detect(images)
    assert ("masks" in together) == network.model.cfg.MODE_MASK
    for i, image in enumerate(images):
        single = network.detect([image])
        assert len(single["boxes"]) > 0
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_allclose(together[name][together["image_index"] == i], single[name], atol=2e-3)


@pytest.mark.parametrize("mode_fpn", [True, False])
def test_an_image_of_one_pixel_is_no_mistake(make_config, make_weight, mode_fpn):
    network = Network(make_config(f"MODE_FPN={mode_fpn}"), training=False, weights=make_weight)
    found = network.detect([np.zeros((1, 1, 3), np.uint8)])
    assert np.isfinite(found["boxes"]).all() and found["boxes"].max(initial=0) <= 1


def test_preprocessing_normalizes_each_image_and_leaves_zeros_beyond(make_config):
    cfg = make_config("PREPROC.PIXEL_MEAN=(10, 20, 30)", "PREPROC.PIXEL_STD=(1, 2, 4)")    # of R, G, B
    # B, G, R; noise beyond the images too
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 70, 3)).astype(np.uint8)
    sizes = np.int32([(40, 50), (33, 70)])
    with tf.Graph().as_default(), tfv1.Session() as sess:
        out, padding = GeneralizedRCNN(cfg).preprocess(tf.constant(images), tf.constant(sizes))
        out, regions = sess.run([out, padding.sizes])
    expected = np.zeros((2, 64, 96, 3))
    for b, (height, width) in enumerate(sizes):
        expected[b, :height, :width] = (images[b, :height, :width] - [30.0, 20.0, 10.0]) / [4, 2, 1]
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert regions.tolist() == [[64, 64], [64, 96]]


EVERYTHING_IS_SAMPLED = ["RPN.BATCH_PER_IM=2000", "RPN.FG_RATIO=1", "FRCNN.BATCH_PER_IM=200", "FRCNN.FG_RATIO=1"]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_layers_of_lower_precision_give_nearly_the_losses_of_float32(make_config, make_weight, name, precision):
    words = ["TRAIN.IMS_PER_GPU=2", *EVERYTHING_IS_SAMPLED, *TINY_MODELS[name].split()]
    exact = Network(make_config(*words), training=True, weights=make_weight).losses(OBJECTS)
    network = Network(make_config(*words, f"TRAIN.PRECISION={precision}"), training=True, weights=make_weight)
    convolutions = {True: set(), False: set()}    # by whether their outputs are ranked
    for op in network.graph.get_operations():
        # those in float32 that take the place of others are cpu_precision's
        if op.type == "Conv2D" and not op.name.startswith("gradients") and "/float32/" not in op.name:
            convolutions[bool(re.match(r"rpn(_\d)?/(class|box)/", op.name))].add(op.outputs[0].dtype.name)
    assert convolutions == {True: {"float32"}, False: {precision}}
    with network.graph.as_default():
        assert {v.dtype.base_dtype.name for v in tfv1.trainable_variables()} == {"float32"}
    for loss, value in network.losses(OBJECTS).items():
        assert value == pytest.approx(exact[loss], rel=0.1), loss
    before = network.variables()
    network.run(network.train, **OBJECTS)
    assert all(np.isfinite(value).all() for value in network.variables().values())
    assert before.keys() == network.variables().keys()


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_batch_has_the_mean_of_the_losses_and_gradients_of_its_images(make_config, make_weight, name):
    def losses_and_gradients(ims_per_gpu, batches):
        words = [f"TRAIN.IMS_PER_GPU={ims_per_gpu}", *EVERYTHING_IS_SAMPLED, *TINY_MODELS[name].split()]
        network = Network(make_config(*words), training=True, weights=make_weight)
        fetches = [f"{n}:0" for n in network.model.loss_names()] + [g for g, _ in network.gradients]
        return [network.run(fetches, **batch) for batch in batches]

    each = []
    for i, (height, width) in enumerate(OBJECTS["image_sizes"]):
        each.append({key: value[i:i + 1] for key, value in OBJECTS.items()})
        each[-1]["images"] = each[-1]["images"][:, :height, :width]
    prepare_training()
    (together,), alone = losses_and_gradients(2, [OBJECTS]), losses_and_gradients(1, each)
    for found, *of_images in zip(together, *alone):
        expected = np.mean(of_images, axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


# optimizer ----------------------------------------------------------------------------------------------------------
def positions_after_steps(cfg, slopes):
    """Where a variable that starts at 0 is after each step whose loss has the given slope."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        x, slope = tfv1.get_variable("x", initializer=0.0), tfv1.placeholder(tf.float32, [])
        train = GeneralizedRCNN(cfg).get_optimizer().minimize(x * slope)
        sess.run(tfv1.global_variables_initializer())
        positions = []
        for value in slopes:
            sess.run(train, {slope: value})
            positions.append(float(sess.run(x)))
    return positions


def test_accumulated_steps_are_applied_together_as_their_mean(make_config):
    cfg = make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.0")
    # often enough to catch a race
    slopes = np.tile([1.0, 2.0, 3.0, 6.0], 50)
    expected = -1.5 * (np.arange(1, 201) // 4)
    np.testing.assert_allclose(positions_after_steps(cfg, slopes), expected, rtol=1e-5)


def test_momentum_goes_on(make_config):
    cfg = make_config("TRAIN.IMS_PER_GPU=8", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.9")
    np.testing.assert_allclose(positions_after_steps(cfg, [1, 0, 0]), [-0.5, -0.95, -1.355], rtol=1e-5)


@pytest.mark.parametrize("ims_per_gpu", [2, 8])
def test_a_large_mean_gradient_is_clipped(make_config, ims_per_gpu):
    cfg = make_config(f"TRAIN.IMS_PER_GPU={ims_per_gpu}", "TRAIN.WARMUP_INIT_LR=0.5", "TRAIN.MOMENTUM=0.0",
                      "TRAIN.GRADIENT_CLIP=2.0")
    steps = 8 // ims_per_gpu
    assert positions_after_steps(cfg, [100] * steps)[-1] == pytest.approx(-1, rel=1e-5)
    assert positions_after_steps(cfg, [1.5] * steps)[-1] == pytest.approx(-0.75, rel=1e-5)
