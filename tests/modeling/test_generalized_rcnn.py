"""The whole network in training and in inference, with small networks."""
import functools
import re

import common  # noqa: F401

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from gpu_kernels import lacks_of_gpu_kernels
from graph import gradients, run, set_variables, variable_shapes
from modeling import precision as precision_module, rpn
from modeling.generalized_rcnn import GeneralizedRCNN
from modeling.structures import GroundTruth, Proposals, RoIFeatures, RoIs
from network import SIZES, Network, batch_of
from training.cpu_gradients import make_deterministic

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
    "FPN": "MODE_KEYPOINT=True KRCNN.NUM_CONVS=2 KRCNN.HEAD_DIM=8", "C4": "MODE_FPN=False RPN.HEAD_DIM=16",
    "Cascade": "FPN.CASCADE=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_gn_head FPN.FRCNN_CONV_HEAD_DIM=8"}


@pytest.fixture(scope="module", params=["FPN", "C4", pytest.param("Cascade", marks=pytest.mark.slow)])
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
def test_without_objects_boxes_masks_and_keypoints_have_no_loss(tiny_training, name):
    losses = tiny_training.losses(BATCHES[name])
    assert {loss for name, loss in losses.items() if name.endswith("box_loss")} == {0}
    assert losses["maskrcnn_loss"] == losses.get("keypointrcnn_loss", 0) == 0
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


def test_biases_decay_when_a_key_asks_for_it(make_config, make_weight):
    network = Network(make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.WEIGHT_DECAY=0.02", "TRAIN.WEIGHT_DECAY_BIAS=0.2"),
                      training=True, weights=make_weight, rewrite=False)
    with network.graph.as_default():
        trained = {v.op.name: v for v in tfv1.trainable_variables()}
    expected = sum({"W": 0.01, "b": 0.1}.get(name.rsplit("/")[-1], 0) * (value ** 2).sum()
                   for name, value in network.sess.run(trained).items())
    assert network.losses(OBJECTS)["wd_cost"] == pytest.approx(expected, rel=1e-4)


def test_each_smooth_l1_has_a_beta_of_its_own(make_config):
    network = GeneralizedRCNN(make_config("RPN.SMOOTH_L1_BETA=0.5", "FRCNN.SMOOTH_L1_BETA=0.25", "FPN.CASCADE=True"))
    assert network.rpn_loss.beta == 0.5
    assert {stage.loss.beta for stage in network.box_stages} == {0.25}


@pytest.mark.parametrize("most, expected", [(0, 30), (12, 12), (40, 40)])
def test_all_levels_together_have_their_own_number_of_proposals(make_config, make_weight, most, expected):
    network = Network(make_config(f"RPN.TEST_ALL_LEVELS_TOPK={most}"), training=False, weights=make_weight,
                      rewrite=False)
    best_of_all = [op for op in network.graph.get_operations() if op.type == "TopKV2" and "proposals" in op.name][-1]
    found = network.run(best_of_all.outputs[0], images=OBJECTS["images"], image_sizes=SIZES)
    assert found.shape == (2, expected) and np.isfinite(found).all()


def test_every_trainable_variable_gets_a_gradient_when_there_are_objects(tiny_training):
    with tiny_training.graph.as_default():
        trainable = {v.op.name for v in tfv1.trainable_variables()}
    assert {v.op.name for _, v in tiny_training.gradients} == trainable
    grads = tiny_training.run([g for g, _ in tiny_training.gradients], **OBJECTS)
    assert {v.op.name for (_, v), g in zip(tiny_training.gradients, grads) if not np.abs(g).max() > 0} == set()


def test_every_op_of_a_training_runs_on_a_gpu(tiny_training):
    assert lacks_of_gpu_kernels(tiny_training.graph) == {}


def assert_no_op_hides_in_a_function(graph):
    assert not graph._functions
    calls = {"While", "StatelessWhile", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall"}
    assert not {op.type for op in graph.get_operations()} & calls


def test_no_op_of_a_training_hides_in_a_function(tiny_training):
    assert_no_op_hides_in_a_function(tiny_training.graph)


@pytest.mark.parametrize("words", [
    "MODE_FPN=False BACKBONE.NORM=SyncBN TRAIN.IMS_PER_GPU=1 BACKBONE.STRIDE_1X1=True",
    "FPN.CASCADE=True FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_head RPN.LOSS_TYPE=giou FRCNN.LOSS_TYPE=ciou",
    *(pytest.param(words, marks=pytest.mark.slow) for words in (
        "MODE_MASK=False FPN.NORM=GN BACKBONE.NORM=GN",
        "MODE_FPN=False MODE_KEYPOINT=True KRCNN.HEAD_DIM=8 KRCNN.NORMALIZE_BY_VISIBLE=False",
        "BACKBONE.NORM=None BACKBONE.FREEZE_AT=0 FPN.PROPOSAL_MODE=Joint",
        ("FPN.NORM=SyncBN RPN.NUM_CONVS=2 FPN.FRCNN_HEAD_FUNC=fastrcnn_4conv1fc_bn_head FPN.FRCNN_CONV_HEAD_DIM=8 "
         "FPN.MRCNN_HEAD_FUNC=maskrcnn_up4conv_bn_head RPN.ANCHOR_ROUNDED=True RPN.ANCHOR_STEP_BY_SIZE=True"),
        "FPN.P2_ONLY=True FRCNN.POOLING=RoIPool", "FRCNN.POOL_SAMPLES=0 FRCNN.POOL_SHIFTED=False",
        "MODE_FPN=False FPN.CASCADE=True FRCNN.POOLING=RoICrop",
        "MODE_FPN=False MRCNN.HEAD=v0up MRCNN.CLASS_AGNOSTIC=True",
        "MODE_FPN=False MRCNN.HEAD=v1up BACKBONE.NORM=SyncBN"))])
def test_other_networks_take_steps_from_their_initial_weights(make_config, words):
    cfg = make_config("TRAIN.IMS_PER_GPU=2", "TRAIN.WARMUP_INIT_LR=0.001", *words.split())
    network = Network(cfg, training=True, rewrite=False)
    names = network.model.loss_names()
    feed = {name: value[:cfg.TRAIN.IMS_PER_GPU] for name, value in OBJECTS.items()}
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
    "MODE_MASK=False MODE_KEYPOINT=True KRCNN.HEAD_DIM=8", "FPN.PROPOSAL_MODE=Joint BACKBONE.NORM=None",
    "BACKBONE.NORM=GN FPN.NORM=GN",
    "FPN.CASCADE=True RPN.NUM_CONVS=2 FPN.NORM=SyncBN",
    "MODE_FPN=False BACKBONE.NORM=GN", "MODE_FPN=False BACKBONE.STRIDE_1X1=True",
    "MODE_FPN=False FRCNN.POOL_SHIFTED=False", "MODE_MASK=False FRCNN.POOLING=RoIPool",
    "MODE_FPN=False MRCNN.HEAD=v0up MRCNN.CLASS_AGNOSTIC=True",
    *(pytest.param(words, marks=pytest.mark.slow) for words in (
        "MODE_KEYPOINT=True KRCNN.HEAD_DIM=8 TEST.SOFT_NMS=linear",
        "FRCNN.POOL_SAMPLES=0 FRCNN.POOL_SHIFTED=False", "MODE_FPN=False FRCNN.POOLING=RoICrop",
        "MODE_FPN=False FRCNN.POOLING=RoIPool", "MODE_MASK=False FPN.P2_ONLY=True",
        "MODE_FPN=False FPN.CASCADE=True TEST.RESULT_SCORE_THRESH=0.1",
        "MODE_FPN=False MRCNN.HEAD=v1up"))])
def test_other_networks_detect_the_same_alone_and_among_others(make_config, make_weight, words):
    network = Network(make_config("TEST.RESULT_SCORE_THRESH=0.3", *words.split()), training=False, weights=make_weight,
                      rewrite=False)
    assert lacks_of_gpu_kernels(network.graph) == {}
    assert_no_op_hides_in_a_function(network.graph)
    images = [OBJECTS["images"][b, :h, :w] for b, (h, w) in enumerate(SIZES)]
    together = network.detect(images)
    assert ("masks" in together) == network.model.cfg.MODE_MASK
    for i, image in enumerate(images):
        single = network.detect([image])
        assert len(single["boxes"]) > 0
        for name in {"boxes", "scores", "labels", "keypoints"} & single.keys():
            np.testing.assert_allclose(together[name][together["image_index"] == i], single[name], atol=2e-3)


@pytest.mark.parametrize("mode_fpn", [True, False])
def test_an_image_of_one_pixel_is_no_mistake(make_config, make_weight, mode_fpn):
    network = Network(make_config(f"MODE_FPN={mode_fpn}"), training=False, weights=make_weight, rewrite=False)
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


@pytest.fixture(scope="module")
def make_all_sampled(make_config, make_weight):
    """A function of a tiny model's name and of words: its training, in which nothing depends on chance."""
    def make(name, *words):
        cfg = make_config("TRAIN.IMS_PER_GPU=2", *EVERYTHING_IS_SAMPLED, *TINY_MODELS[name].split(), *words)
        return Network(cfg, training=True, weights=make_weight, rewrite=False)
    return make


@pytest.fixture(scope="module")
def exact_losses(make_all_sampled):
    """A function of a tiny model's name: its losses in float32, by name."""
    return functools.cache(lambda name: make_all_sampled(name).losses(OBJECTS))


@pytest.mark.parametrize("name, precision", [
    ("C4", "bfloat16"), *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("FPN", "float16"), ("FPN", "bfloat16"), ("C4", "float16"), ("Cascade", "bfloat16"), ("Cascade", "float16")))])
def test_layers_of_lower_precision_give_nearly_the_losses_of_float32(
        make_all_sampled, exact_losses, monkeypatch, name, precision):
    monkeypatch.setattr(precision_module, "is_fast", lambda _: True)
    network = make_all_sampled(name, f"TRAIN.PRECISION={precision}")
    convolutions = {True: set(), False: set()}    # by whether their outputs are ranked
    for op in network.graph.get_operations():
        if op.type == "Conv2D" and not op.name.startswith("gradients"):
            convolutions[bool(re.match(r"rpn(_\d)?/(class|box)/", op.name))].add(op.outputs[0].dtype.name)
    assert convolutions == {True: {"float32"}, False: {precision}}
    with network.graph.as_default():
        assert {v.dtype.base_dtype.name for v in tfv1.trainable_variables()} == {"float32"}
    losses, _ = network.run([[f"{n}:0" for n in network.model.loss_names()], network.train], **OBJECTS)
    exact = exact_losses(name)
    assert {loss: float(value) for loss, value in zip(exact, losses)} == pytest.approx(exact, rel=0.1)
    assert all(np.isfinite(value).all() for value in network.variables().values())


@pytest.mark.parametrize("name", ["C4", *(pytest.param(name, marks=pytest.mark.slow) for name in ("FPN", "Cascade"))])
def test_a_batch_has_the_mean_of_the_losses_and_gradients_of_its_images(make_all_sampled, name):
    def losses_and_gradients(ims_per_gpu, batches):
        network = make_all_sampled(name, f"TRAIN.IMS_PER_GPU={ims_per_gpu}")
        fetches = [f"{n}:0" for n in network.model.loss_names()] + [g for g, _ in network.gradients]
        return [network.run(fetches, **batch) for batch in batches]

    each = []
    for i, (height, width) in enumerate(OBJECTS["image_sizes"]):
        each.append({key: value[i:i + 1] for key, value in OBJECTS.items()})
        each[-1]["images"] = each[-1]["images"][:, :height, :width]
    make_deterministic()
    (together,), alone = losses_and_gradients(2, [OBJECTS]), losses_and_gradients(1, each)
    for found, *of_images in zip(together, *alone):
        expected = np.mean(of_images, axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


# parts, without a network -------------------------------------------------------------------------------------------
SIZE = np.int32([[64, 96]])


def make_level(boxes, scores):
    """A level of the RPN whose anchors become proposals as they are."""
    return rpn.Level(tf.constant(boxes, tf.float32), tf.ones([1, len(boxes)], tf.bool), tf.constant([scores]),
                     tf.zeros([1, len(boxes), 4]))


@pytest.mark.parametrize("mode, expected", [("Level", [3, 2, 1]), ("Joint", [3, 1])])
def test_proposals_of_different_levels_suppress_each_other_only_where_they_are_joint(make_config, mode, expected):
    network = GeneralizedRCNN(make_config(f"FPN.PROPOSAL_MODE={mode}"))
    limits = rpn.ProposalLimits(10, 10, nms_thresh=0.7, min_size=0.0)

    def proposed():
        levels = [make_level([(10, 10, 30, 30), (50, 5, 60, 25)], [3.0, 1.0]), make_level([(10, 10, 30, 31)], [2.0])]
        return network.proposals(levels, SIZE, limits, limits).scores

    scores, = run(proposed)
    np.testing.assert_array_equal(scores[np.isfinite(scores)], expected)


def test_a_cascade_scores_by_the_mean_of_its_stages_and_moves_boxes_by_each_inside_the_image(make_config, monkeypatch):
    cfg = make_config("FPN.CASCADE=True", "TEST.RESULT_SCORE_THRESH=0.01", "CASCADE.IOUS=(0.5, 0.6)",
                      "CASCADE.BBOX_REG_WEIGHTS=((1, 1, 1, 1), (2, 2, 2, 2))")
    network = GeneralizedRCNN(cfg)
    logits = iter(np.log(np.float32([[[0.2, 0.6, 0.1, 0.1]], [[0.4, 0.2, 0.2, 0.2]]])))
    deltas = iter(np.float32([[[[0.5, 0, 0, 0]]], [[[0, 4, 0, 0]]]]))
    monkeypatch.setattr(network, "box_features", lambda *_: None)
    monkeypatch.setattr(network, "box_head", lambda *_: (tf.constant(next(logits)), tf.constant(next(deltas))))

    def detected():
        proposals = Proposals(tf.constant([[[10.0, 10, 30, 30]]]), tf.constant([[1.0]]))
        found = network.detect_boxes(None, proposals, SIZE)
        return found.boxes, found.scores, found.labels

    boxes, scores, labels = run(detected)
    np.testing.assert_allclose(scores, [0.4, 0.15, 0.15], rtol=1e-5)
    assert labels.tolist() == [1, 2, 3]
    # half of its width to the right; then twice its height down, to where the image ends
    np.testing.assert_allclose(boxes, [(20, 50, 40, 64)] * 3, rtol=1e-5)


def test_all_stages_of_a_cascade_together_weigh_on_the_features_as_one_does(make_config, monkeypatch):
    network = GeneralizedRCNN(make_config(
        "FPN.CASCADE=True", "CASCADE.IOUS=(0.5, 0.6)", "CASCADE.BBOX_REG_WEIGHTS=((1, 1, 1, 1), (2, 2, 2, 2))"))
    features = np.float32([[0.5, 1, -1, 2], [1, 0, 0, 0]])

    def losses(logits):
        gt = GroundTruth(tf.constant([[[10.0, 10, 30, 30]]]), tf.constant([[2]]))
        rois = RoIs(tf.constant([[10.0, 10, 30, 30], [50, 5, 60, 25]]), tf.zeros([2], tf.int32),
                    tf.constant([2, 0]), tf.zeros([2], tf.int32))
        pooled = RoIFeatures(logits, tf.range(2))
        monkeypatch.setattr(network, "box_features", lambda *_: pooled)
        monkeypatch.setattr(network, "box_head", lambda _, x, seeds: (x.values, tf.zeros([2, 1, 4])))
        found = network.box_losses(None, rois, pooled, SIZE, gt)
        return found["cascade_stage1_label_loss"] + found["cascade_stage2_label_loss"]

    probabilities = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    expected = (probabilities - np.eye(4)[[2, 0]]) / 2    # of the mean cross entropy of two RoIs
    np.testing.assert_allclose(gradients(losses, features)[0], expected, rtol=1e-5)
