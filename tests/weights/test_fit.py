"""Whether weights are of a network."""

import common  # noqa: F401

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from small_weights import SHAPES, assert_same, make_variables, make_weights, message_of
from weights import fit
from weights.fit import check_fit, network_variables


@pytest.fixture
def variables():
    with tf.Graph().as_default():
        make_variables()
        yield network_variables()


def test_the_state_of_the_optimizer_is_no_part_of_the_network(variables):
    assert variables.keys() == SHAPES.keys()


def test_all_that_fits_is_taken(variables):
    weights = make_weights()
    state = {"global_step": np.int64(3), "conv0/W/Momentum": weights["conv0/W"]}
    assert_same(check_fit("f", {**weights, **state}, variables), weights)


def test_weights_of_which_nothing_fits_are_refused(variables):
    message = message_of(check_fit, "f.npz", {"resnet/W": np.ones(3), "resnet/b": np.ones(3)}, variables)
    assert "f.npz: none of its 2 arrays" in message


def test_no_weights_at_all_are_refused(variables):
    assert "f.npz: none of its 0 arrays" in message_of(check_fit, "f.npz", {}, variables)


def test_a_shape_that_differs_is_named_with_both_shapes(variables):
    message = message_of(check_fit, "f.npz", make_weights(conv0__W=np.ones((3, 3, 2, 8))), variables)
    assert "f.npz is of another architecture" in message
    assert "conv0/W is (3, 3, 2, 8) there and (3, 3, 2, 4) here (1 such)" in message


def test_a_missing_variable_is_named(variables):
    message = message_of(check_fit, "f.npz", make_weights(conv0__W=None, conv0__bn__gamma=None), variables)
    assert "lacks 2 of 7 variables, such as conv0/W" in message


def test_another_number_of_classes_is_another_architecture(variables):
    weights = make_weights(fastrcnn__outputs__class__b=np.ones(81))
    assert "fastrcnn/outputs/class/b is (81,) there and (3,) here" in message_of(check_fit, "f", weights, variables)


def test_a_backbone_is_enough_to_start_a_training(variables):
    backbone = {name: value for name, value in make_weights().items() if name.startswith("conv0/")}
    assert_same(check_fit("f", backbone, variables, partial=True), backbone)


def test_classifiers_for_other_classes_keep_their_initial_values_in_a_new_training(variables):
    weights = make_weights(fastrcnn__outputs__class__b=np.ones(81), fastrcnn__outputs__class__W=np.ones((5, 81)),
                           fastrcnn__outputs__box__W=np.ones((5, 324)), maskrcnn__conv__W=np.ones((1, 1, 6, 80)))
    taken = check_fit("f", weights, variables, partial=True)
    assert_same(taken, {name: value for name, value in weights.items() if name.startswith("conv0/")})


def check_heads(shapes, found, partial):
    """What `check_fit` takes of a file with the arrays `found` (dict of name to shape) for variables of `shapes`."""
    with tf.Graph().as_default():
        variables = {name: tfv1.get_variable(name, shape) for name, shape in shapes.items()}
        return check_fit("f", {name: np.ones(shape, np.float32) for name, shape in found.items()}, variables, partial)


@pytest.mark.parametrize("prefix", ["fastrcnn/", "fastrcnn/outputs/", "cascade_rcnn_stage1/outputs/",
                                    "cascade_rcnn_stage3/outputs/"], ids=["C4", "FPN", "cascade", "last of cascade"])
def test_the_classifiers_of_every_architecture_may_be_for_other_classes(prefix):
    shapes = {"conv0/W": [2], prefix + "class/b": [3], prefix + "box/b": [12]}
    found = {"conv0/W": [2], prefix + "class/b": [81], prefix + "box/b": [324]}
    assert check_heads(shapes, found, partial=True).keys() == {"conv0/W"}
    assert f"{prefix}class/b is (81,) there" in message_of(check_heads, shapes, found, partial=False)


def test_maps_of_other_keypoints_keep_their_initial_values_in_a_new_training():
    shapes = {"keypointrcnn/conv1/W": [2], "keypointrcnn/deconv/W": [4, 4, 5, 2]}
    taken = check_heads(shapes, {**shapes, "keypointrcnn/deconv/W": [4, 4, 17, 2]}, partial=True)
    assert taken.keys() == {"keypointrcnn/conv1/W"}


def test_the_boxes_of_a_cascade_are_taken_whatever_the_classes():
    prefix = "cascade_rcnn_stage2/outputs/"
    shapes = {"conv0/W": [2], prefix + "class/b": [3], prefix + "box/b": [4]}
    taken = check_heads(shapes, {**shapes, prefix + "class/b": [81]}, partial=True)
    assert taken.keys() == {"conv0/W", prefix + "box/b"}


@pytest.mark.parametrize("name", ["fastrcnn/fc6/W", "fastrcnn/conv0/W", "cascade_rcnn_stage1/head/fc7/W", "rpn/class/W",
                                  "maskrcnn/deconv/W"])
def test_other_layers_of_another_shape_are_refused(name):
    shapes = {"conv0/W": [2], name: [3]}
    assert f"{name} is (4,) there and (3,) here" in message_of(check_heads, shapes, {**shapes, name: [4]}, partial=True)


def test_classifiers_for_other_classes_alone_are_refused():
    message = message_of(check_heads, {"fastrcnn/class/b": [3]}, {"fastrcnn/class/b": [81]}, partial=True)
    assert "only classifiers" in message and "another number of classes" in message


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(fit.logger, "info", lines.append)
    return lines


def test_the_summary_says_what_was_loaded_what_is_missing_and_what_was_not_used(variables, log):
    weights = make_weights(conv0__W=None, other__W=np.ones(2), conv5_mask_w=np.ones(2), learning_rate=np.ones(()))
    check_fit("f.npz", {**weights, "conv0/bn/gamma/Momentum": np.ones(4)}, variables, partial=True)
    line, = log
    assert line == ("f.npz: 6 arrays loaded; 1 variables keep their initial values, such as conv0/W; "
                    "2 arrays not used, such as other/W")


def test_the_summary_of_weights_that_fit_is_short(variables, log):
    check_fit("f.npz", make_weights(), variables)
    assert log == ["f.npz: 7 arrays loaded"]


def test_a_line_says_that_classifiers_keep_their_initial_values(variables, log):
    check_fit("f.npz", make_weights(fastrcnn__outputs__class__b=np.ones(81)), variables, partial=True)
    assert log[0] == ("f.npz is for another number of classes: 1 arrays of classifiers keep their initial values, "
                      "such as fastrcnn/outputs/class/b, (81,) there and (3,) here")


def test_a_backbone_of_another_shape_is_refused_even_in_a_new_training(variables):
    weights = make_weights(conv0__W=np.ones((3, 3, 2, 8)), fastrcnn__outputs__class__b=np.ones(81))
    message = message_of(check_fit, "f", weights, variables, partial=True)
    assert "is of another architecture" in message


def test_the_message_about_a_backbone_names_a_layer_of_the_backbone(variables):
    weights = dict(make_weights(fastrcnn__outputs__class__b=np.ones(81)))
    weights["conv0/W"] = np.ones((3, 3, 2, 8))
    weights = {name: weights[name] for name in sorted(weights, reverse=True)}
    assert "conv0/W is (3, 3, 2, 8)" in message_of(check_fit, "f", weights, variables, partial=True)


class OfShape:
    """As much of a variable as `check_fit` looks at."""

    def __init__(self, *shape):
        self.shape = tf.TensorShape(shape)


def test_a_mask_heads_own_conv5_starts_from_that_of_a_backbone_but_keeps_its_own():
    variables = {f"{head}group3/block0/{layer}/W": OfShape(2)
                 for head in ("", "maskrcnn/") for layer in ("conv1", "conv2")}
    weights = {"group3/block0/conv1/W": np.ones(2), "group3/block0/conv2/W": np.ones(2),
               "maskrcnn/group3/block0/conv2/W": np.zeros(2)}
    found = check_fit("f.npz", weights, variables, partial=True)
    assert found["maskrcnn/group3/block0/conv1/W"].all() and not found["maskrcnn/group3/block0/conv2/W"].any()
    assert "lacks 1 of 4 variables" in message_of(check_fit, "f.npz", weights, variables)


# norms of heads and pyramids ----------------------------------------------------------------------------------------
NORMS = {"GN behind": ("fastrcnn/gn0/gamma", "fastrcnn/gn0/beta", "fastrcnn/conv0/b"),
         "GN first": ("fastrcnn/conv0/gn/gamma", "fastrcnn/conv0/gn/beta"),
         "batch norm": ("fastrcnn/conv0/bn/gamma", "fastrcnn/conv0/bn/beta"), "none": ("fastrcnn/conv0/b",)}


def check_norms(theirs, ours, partial):
    shapes = [dict.fromkeys(["conv0/W", "fastrcnn/conv0/W", "rpn/conv0/W", *NORMS[kind]], [2])
              for kind in (ours, theirs)]
    return check_heads(*shapes, partial)


@pytest.mark.parametrize("theirs", [kind for kind in NORMS if kind != "none"])
@pytest.mark.parametrize("ours", NORMS)
def test_a_head_is_taken_as_a_whole_or_not_at_all_where_it_has_other_norms(theirs, ours):
    taken = check_norms(theirs, ours, partial=True)
    assert taken.keys() == {"conv0/W", "rpn/conv0/W", *(["fastrcnn/conv0/W", *NORMS[ours]] if theirs == ours else [])}


@pytest.mark.parametrize("theirs, ours, remedy", [
    ("GN first", "GN behind", "FPN.HEAD_NORM_FIRST=True"), ("GN behind", "GN first", "FPN.HEAD_NORM_FIRST=False"),
    ("batch norm", "GN first", "--config to the model"), ("GN first", "none", "--config to the model")])
def test_the_remedy_for_other_norms_is_named(log, theirs, ours, remedy):
    assert f"set {remedy}" in message_of(check_norms, theirs, ours, partial=False)
    check_norms(theirs, ours, partial=True)
    assert "are left out, as there is no fastrcnn/" in log[0] and f"set {remedy}" in log[0]


def test_another_norm_of_a_mask_heads_own_conv5_leaves_the_rest():
    shapes = {"conv0/W": [2], "maskrcnn/deconv/W": [2]}
    taken = check_heads(shapes, {**shapes, "maskrcnn/group3/block0/conv1/bn/gamma": [2]}, partial=True)
    assert taken.keys() == shapes.keys()
