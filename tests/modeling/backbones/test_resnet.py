"""The ResNet."""
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from graph import build, run, tower, variable_shapes
from modeling.backbones import make_backbone
from modeling.backbones.resnet import ResNet
from modeling.padding import Padding
from tiny import finalized_config


def make(norm="FreezeBN", width=8, freeze_at=0, freeze_affine=False, stride_1x1=False, tf_pad_mode=False, image=None,
         multiple=32, blocks=(1, 1, 1, 1), **kwargs):
    shape = tf.shape(image)[1:3]
    return ResNet(blocks, norm, width, freeze_at, freeze_affine, stride_1x1, tf_pad_mode,
                  Padding(tf.tile(shape[None], [tf.shape(image)[0], 1]), shape, multiple), **kwargs)


def build_all(blocks=(1, 1, 1, 1), training=True, image=None, **kwargs):
    """All stages in the default graph. Returns: the stem's output and C2..C5"""
    image = tf.zeros([1, 64, 96, 3]) if image is None else image
    with tower(training):
        resnet = make(image=image, blocks=blocks, **kwargs)
        features = [resnet.stem(image)]
        for index in range(len(blocks)):
            features.append(resnet.stage(features[-1], index, 1 if index == 0 else 2))
    return features


def trainable():
    return {v.op.name for v in tfv1.trainable_variables()}


# variables ----------------------------------------------------------------------------------------------------------
def test_the_variables_of_r50_are_those_of_the_zoo(golden):
    with open(f"{golden}/R50-FPN.variables.json", encoding="utf-8") as f:
        zoo = {name: shape for name, shape in json.load(f).items() if name.startswith(("conv0/", "group"))}
    with tf.Graph().as_default():
        build_all((3, 4, 6, 3), training=False, width=64)
        assert variable_shapes() == zoo


@pytest.mark.parametrize("norm, names", [
    ("FreezeBN", ["W", "bn/beta", "bn/gamma", "bn/mean/EMA", "bn/variance/EMA"]), ("GN", ["W", "gn/beta", "gn/gamma"]),
    ("None", ["W", "b"])])
def test_the_variables_of_a_convolution_follow_its_norm(norm, names):
    with tf.Graph().as_default():
        build_all(norm=norm)
        for layer in ("conv0", "group2/block0/conv2", "group0/block0/convshortcut"):
            found = sorted(name for name in variable_shapes() if name.startswith(layer + "/"))
            assert found == [f"{layer}/{name}" for name in names]


def conv2_shapes(*words):
    """Shapes of the kernels of each stage's first 3x3 convolution, and of the 1x1 convolution behind it."""
    cfg = finalized_config("BACKBONE.RESNET_NUM_BLOCKS=(1, 1, 1, 1)", *words, tiny=False)
    with tf.Graph().as_default(), tower(training=False):
        image = tf.zeros([1, 64, 64, 3])
        make_backbone(cfg.BACKBONE, Padding(tf.constant([[64, 64]]), tf.constant([64, 64]), 32)).levels(image, 4)
        return [[variable_shapes()[f"group{i}/block0/{conv}/W"] for conv in ("conv2", "conv3")] for i in range(4)]


@pytest.mark.parametrize("groups, width", [(32, 8), (64, 4)])
def test_the_groups_of_a_resnext_are_as_wide_as_its_name_says(groups, width):
    assert conv2_shapes(f"BACKBONE.RESNEXT_GROUPS={groups}", f"BACKBONE.RESNEXT_WIDTH={width}") == [
        [[3, 3, width * k, 256 * k], [1, 1, 256 * k, 256 * k]] for k in (1, 2, 4, 8)]


def test_a_resnet_of_any_width_has_one_group():
    assert conv2_shapes("BACKBONE.WIDTH=32") == [
        [[3, 3, 32 * k, 32 * k], [1, 1, 32 * k, 128 * k]] for k in (1, 2, 4, 8)]


@pytest.mark.parametrize("norm, names", [("GN", ["W", "gn/beta", "gn/gamma"]), ("None", ["W", "b"]),
                                         ("SyncBN", ["W", "bn/beta", "bn/gamma", "bn/mean/EMA", "bn/variance/EMA"])])
def test_a_resnext_has_the_variables_of_a_resnet_with_any_norm(norm, names):
    with tf.Graph().as_default():
        build_all(norm=norm, groups=4, inner_width=16)
        shapes = variable_shapes()
    found = sorted(name for name in shapes if name.startswith("group1/block0/conv2/"))
    assert found == [f"group1/block0/conv2/{name}" for name in names]
    assert shapes["group1/block0/conv2/W"] == [3, 3, 8, 32]


# freezing -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm, freeze_at, frozen", [
    ("FreezeBN", 0, ()), ("FreezeBN", 1, ("conv0/",)), ("FreezeBN", 2, ("conv0/", "group0/")),
    ("GN", 2, ("conv0/", "group0/")),
    ("None", 2, ("conv0/", "group0/"))])
def test_frozen_stages_have_no_trainable_variables_and_all_others_do(norm, freeze_at, frozen):
    with tf.Graph().as_default():
        build_all(norm=norm, freeze_at=freeze_at)
        assert trainable() == {
            name for name in variable_shapes() if not name.endswith("/EMA") and not name.startswith(tuple(frozen))}


@pytest.mark.parametrize("norm", ["FreezeBN", "GN"])
def test_freeze_affine_trains_only_the_convolutions(norm):
    with tf.Graph().as_default():
        build_all(norm=norm, freeze_affine=True, freeze_at=1)
        weights = {name for name in variable_shapes() if name.endswith("/W")}
        assert trainable() == weights - {"conv0/W"}


def test_nothing_in_a_frozen_stage_changes_in_training():
    with tf.Graph().as_default(), tfv1.Session() as sess:
        image = tfv1.random_normal([2, 64, 64, 3], mean=3.0)
        features = build_all(norm="SyncBN", freeze_at=2, image=image)
        train = tfv1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(features[-1] ** 2))
        frozen = [v for v in tfv1.global_variables() if v.op.name.startswith(("conv0/", "group0/"))]
        sess.run(tfv1.global_variables_initializer())
        before = sess.run(frozen)
        sess.run([train, tfv1.get_collection(tfv1.GraphKeys.UPDATE_OPS)])
        changed = [v.op.name for v, old, new in zip(frozen, before, sess.run(frozen)) if not np.array_equal(old, new)]
        assert changed == []


def test_a_frozen_sync_bn_normalizes_by_its_averages():
    # with the averages at their initial 0 and 1, a norm by them passes values on
    image = np.random.default_rng(0).normal(3, 1, (2, 64, 64, 3)).astype(np.float32)

    def stem_of(norm):
        return run(lambda x: build_all(norm=norm, freeze_at=2, image=x)[0], image,
                   variables={"conv0/W": np.full((7, 7, 3, 8), 0.01, np.float32)})

    np.testing.assert_allclose(stem_of("SyncBN"), stem_of("FreezeBN"), rtol=1e-4)


# what it computes ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride_1x1", [False, True])
@pytest.mark.parametrize("tf_pad_mode", [False, True])
def test_each_stage_halves_the_map_and_doubles_the_channels(stride_1x1, tf_pad_mode):
    image = np.zeros((2, 64, 96, 3), np.float32)
    features = run(lambda x: build_all(image=x, stride_1x1=stride_1x1, tf_pad_mode=tf_pad_mode), image)
    assert [f.shape for f in features] == [(2, 16, 24, 8), (2, 16, 24, 32), (2, 8, 12, 64), (2, 4, 6, 128),
                                           (2, 2, 3, 256)]


def heights_of(block, *layers):
    """Heights of the maps that the layers of a block give."""
    get = tfv1.get_default_graph().get_tensor_by_name
    return [get(f"{block}/{layer}/output:0").shape[1] for layer in layers]


@pytest.mark.parametrize("stride_1x1, first", [(False, 16), (True, 8)])
def test_a_bottleneck_strides_in_its_3x3_or_in_its_1x1(stride_1x1, first):
    with tf.Graph().as_default():
        build_all((2, 2, 2, 2), stride_1x1=stride_1x1)
        assert heights_of("group0/block0", "conv1", "conv2", "conv3", "convshortcut") == [16] * 4
        assert heights_of("group1/block0", "conv1", "conv2", "conv3", "convshortcut") == [first, 8, 8, 8]
        assert heights_of("group1/block1", "conv1", "conv2", "conv3") == [8] * 3


@pytest.mark.parametrize("stride_1x1", [False, True])
def test_strided_layers_drop_an_odd_last_row_and_column(stride_1x1):
    image = np.zeros((1, 75, 109, 3), np.float32)
    features = run(lambda x: build_all(image=x, stride_1x1=stride_1x1, multiple=1), image)
    assert [f.shape[1:3] for f in features] == [(18, 27), (18, 27), (9, 13), (4, 6), (2, 3)]


@pytest.mark.parametrize("tf_pad_mode, before", [(False, 3), (True, 2)])
def test_the_stem_pads_more_at_the_top_left_or_at_the_bottom_right(tf_pad_mode, before):
    # a kernel of a single pixel: output (i, j) is the input at 2 i + 3 - before
    image = np.random.default_rng(0).random((1, 32, 32, 3)).astype(np.float32)
    kernel = np.zeros((7, 7, 3, 8), np.float32)
    kernel[3, 3, 0, :] = 1

    def stem_convolution(x):
        build_all(image=x, tf_pad_mode=tf_pad_mode)
        return tfv1.get_default_graph().get_tensor_by_name("conv0/output:0")

    out = run(stem_convolution, image, variables={"conv0/W": kernel})[0, ..., 0]
    np.testing.assert_allclose(out, image[0, 3 - before::2, 3 - before::2, 0], rtol=1e-4)


@pytest.mark.parametrize("norm", ["FreezeBN", "GN", "None"])
def test_a_block_starts_as_identity(norm):
    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)

    def first_and_second_block(x):
        build_all((2, 1, 1, 1), norm=norm, image=x)
        return [tfv1.get_default_graph().get_tensor_by_name(f"group0/block{i}/output:0") for i in range(2)]

    first, second = run(first_and_second_block, image)
    assert np.abs(first).max() > 0.1
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize("stride_1x1, tf_pad_mode, groups", [
    (False, False, 1), (True, False, 1), (False, True, 1), (False, False, 4)])
@pytest.mark.parametrize("multiple, sizes", [(32, [(64, 96), (128, 64)]), (1, [(71, 93), (125, 64)])])
def test_an_image_gives_the_same_features_alone_and_in_a_larger_batch(
        stride_1x1, tf_pad_mode, groups, multiple, sizes, make_weight):
    def all_stages(images, sizes):
        with tower(training=False):
            resnet = ResNet((2, 2, 2, 2), "FreezeBN", 8, 0, False, stride_1x1, tf_pad_mode,
                            Padding(sizes, tf.shape(images)[1:3], multiple), groups=groups)
            features = [resnet.stem(images)]
            for index in range(4):
                features.append(resnet.stage(features[-1], index, 1 if index == 0 else 2))
        return features

    rng = np.random.default_rng(0)
    sizes = np.int32(sizes)
    batch = np.zeros((2, *sizes.max(axis=0), 3), np.float32)
    for image, (height, width) in zip(batch, sizes):
        image[:height, :width] = rng.normal(size=(height, width, 3))
    features_of = build(all_stages, batch, sizes, variables=make_weight)
    together = features_of(batch, sizes)
    for b, (height, width) in enumerate(sizes):
        alone = features_of(batch[b:b + 1, :height, :width], sizes[b:b + 1])
        for ours, theirs in zip(together, alone):
            _, h, w, _ = theirs.shape
            np.testing.assert_allclose(ours[b, :h, :w], theirs[0], rtol=1e-3, atol=1e-4)
