"""VGG16, and the network around it."""
import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from gpu_kernels import lacks_of_gpu_kernels
from graph import build, run, tower, variable_shapes
from matching import share_found
from modeling.backbones.vgg import VGG16
from modeling.box_head import fastrcnn_2fc_head
from modeling.padding import Padding
from network import SIZES, Network, batch_of
from tiny import finalized_config
from weights.detectron import convert

VGG = ("BACKBONE.NAME=VGG16", "MODE_FPN=False", "RPN.HEAD_DIM=16", "RPN.TRAIN_POST_NMS_TOPK=30",
       "RPN.TEST_POST_NMS_TOPK=30", "TEST.RESULT_SCORE_THRESH=0.2", "TRAIN.IMS_PER_GPU=2")
BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
OBJECTS = batch_of([(1, (8, 10, 40, 50)), (3, (50, 5, 90, 60))], [(2, (20, 8, 36, 28))])


def features(images, sizes, width=4, freeze_at=0):
    with tower(training=False):
        return VGG16(width, freeze_at, Padding(sizes, tf.shape(images)[1:3], 1)).features(images)


def shapes_of(width, freeze_at=0):
    with tf.Graph().as_default():
        features(tf.zeros([1, 32, 32, 3]), tf.constant([[32, 32]]), width, freeze_at)
        return variable_shapes(), {v.op.name for v in tfv1.trainable_variables()}


def test_it_has_the_13_convolutions_of_the_paper_with_biases():
    shapes, _ = shapes_of(64)
    assert len(shapes) == 26
    channels = [64, 64, 128, 128, 256, 256, 256, *[512] * 6]
    layers = [f"conv{i}_{j}" for i, count in BLOCKS.items() for j in range(1, count + 1)]
    for layer, inputs, outputs in zip(layers, [3, *channels], channels):
        assert (shapes[f"{layer}/W"], shapes[f"{layer}/b"]) == ([3, 3, inputs, outputs], [outputs])


@pytest.mark.parametrize("freeze_at, frozen", [(0, ()), (1, ("conv1_",)), (2, ("conv1_", "conv2_"))])
def test_the_first_convolutions_are_not_trained(freeze_at, frozen):
    shapes, trained = shapes_of(4, freeze_at)
    assert trained == {name for name in shapes if not name.startswith(frozen)}


@pytest.mark.parametrize("height, width", [(64, 96), (47, 63), (16, 16)])
def test_its_map_has_a_stride_of_16_without_an_odd_last_row(height, width):
    image = np.zeros((1, height, width, 3), np.float32)
    assert run(features, image, np.int32([[height, width]])).shape == (1, height // 16, width // 16, 32)


def test_an_image_gives_the_same_features_alone_and_in_a_larger_batch(make_weight):
    rng, sizes = np.random.default_rng(0), np.int32([(71, 93), (125, 64)])
    batch = np.zeros((2, 125, 93, 3), np.float32)
    for image, (height, width) in zip(batch, sizes):
        image[:height, :width] = rng.normal(size=(height, width, 3))
    features_of = build(features, batch, sizes, variables=make_weight)
    together = features_of(batch, sizes)
    for b, (height, width) in enumerate(sizes):
        alone = features_of(batch[b:b + 1, :height, :width], sizes[b:b + 1])
        assert np.abs(alone).max() > 0
        np.testing.assert_allclose(together[b, :height // 16, :width // 16], alone[0], rtol=1e-3, atol=1e-5)


# dropout ------------------------------------------------------------------------------------------------------------
def head_outputs(seed):
    x = np.ones((50, 1, 1, 8), np.float32)
    ones = {"fc6/W": np.ones((8, 40), np.float32), "fc7/W": np.ones((40, 40), np.float32)}
    return run(lambda x: fastrcnn_2fc_head(tf.ensure_shape(x, [None, 1, 1, 8]), 40, seed), x, variables=ones)


def test_half_of_the_outputs_are_dropped_in_training_by_a_seed():
    all_of_them, first, again, other = (head_outputs(seed) for seed in (None, *np.int64([(1, 2), (1, 2), (2, 2)])))
    np.testing.assert_array_equal(all_of_them, 320)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert 0.4 < (first == 0).mean() < 0.6
    assert first.mean() == pytest.approx(320, rel=0.1)    # what is left is scaled


# the network --------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_step_has_finite_losses_and_trains_all_but_conv1_and_conv2(make_weight):
    network = Network(finalized_config(*VGG, "MODE_MASK=True"), training=True, weights=make_weight, rewrite=False)
    assert all(np.isfinite(loss) for loss in network.losses(OBJECTS).values())
    with network.graph.as_default():
        trained = {v.op.name for v in tfv1.trainable_variables()}
        shapes = variable_shapes()
    assert {name for name in shapes if name.startswith(("conv1_", "conv2_"))}.isdisjoint(trained)
    assert {"conv3_1/W", "conv5_3/b", "fastrcnn/fc6/W", "fastrcnn/fc7/b", "fastrcnn/class/W", "fastrcnn/box/b",
            "rpn/conv0/W", "maskrcnn/deconv/W"} <= trained
    assert shapes["fastrcnn/fc6/W"] == [64 * 7 * 7, 512]
    assert lacks_of_gpu_kernels(network.graph) == {}


def test_three_images_have_the_same_detections_together_and_alone(make_weight):
    network = Network(finalized_config(*VGG, "MODE_MASK=False"), training=False, weights=make_weight, rewrite=False)
    images = [OBJECTS["images"][b, :h, :w] for b, (h, w) in enumerate(SIZES)]
    images.append(images[0][:50, :64])
    together = network.detect(images)
    for b, image in enumerate(images):
        alone = network.detect([image])
        assert len(alone["boxes"]) > 0
        found = [together[name][together["image_index"] == b] for name in ("boxes", "scores", "labels")]
        # rounding may decide between two boxes that overlap
        assert share_found([alone[name] for name in ("boxes", "scores", "labels")], found) > 0.95


def test_blobs_of_detectron_come_under_these_names():
    theirs = {"conv1_1": (3, 3), "conv5_3": (3, 3), "fc6": (), "fc7": (), "cls_score": (), "conv_rpn": (3, 3)}
    rng = np.random.default_rng(0)
    blobs = {f"{name}_w": rng.normal(size=(4, 2, *size)) for name, size in theirs.items()}
    blobs.update({f"{name}_b": rng.normal(size=4) for name in theirs})
    found = convert("f", blobs)
    ours = ["conv1_1", "conv5_3", "fastrcnn/fc6", "fastrcnn/fc7", "fastrcnn/class", "rpn/conv0"]
    assert found.keys() == {f"{name}/{variable}" for name in ours for variable in "Wb"}
    for name, layer in zip(theirs, ours):
        np.testing.assert_array_equal(found[f"{layer}/W"], blobs[f"{name}_w"].transpose(2, 3, 1, 0) if theirs[name]
                                      else blobs[f"{name}_w"].T)
