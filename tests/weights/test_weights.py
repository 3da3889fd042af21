"""Weights on disk."""
import os
import pickle

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from weights import fit
from weights.files import read_weights, save_weights
from weights.find import find_run
from weights.fit import check_fit, network_variables
from weights.load import LoadWeights

SHAPES = {
    "conv0/W": [3, 3, 2, 4], "conv0/bn/gamma": [4], "conv0/bn/mean/EMA": [4], "fastrcnn/outputs/class/W": [5, 3],
    "fastrcnn/outputs/class/b": [3], "fastrcnn/outputs/box/W": [5, 12], "maskrcnn/conv/W": [1, 1, 6, 2]}


def make_weights(seed=0, **changes):
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    weights.update({name.replace("__", "/"): value for name, value in changes.items()})
    return {name: value for name, value in weights.items() if value is not None}


def make_variables():
    """A small network in the default graph, and what its training adds to it."""
    variables = [tfv1.get_variable(name, shape, initializer=tfv1.ones_initializer()) for name, shape in SHAPES.items()]
    loss = tf.add_n([tf.reduce_sum(v) for v in variables])
    tfv1.train.MomentumOptimizer(tfv1.get_variable("learning_rate", initializer=0.1, trainable=False), 0.9).minimize(
        loss, tfv1.train.get_or_create_global_step())


def message_of(function, *args, **kwargs):
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def npz(tmp_path):
    def write(**changes):
        path = str(tmp_path / "weights.npz")
        save_weights(path, make_weights(**changes))
        return path
    return write


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint as a training writes it: the network's values, and those of the optimizer."""
    folder = tmp_path / "run"
    folder.mkdir()
    with tf.Graph().as_default(), tfv1.Session() as sess:
        make_variables()
        sess.run(tfv1.global_variables_initializer())
        for name, value in make_weights().items():
            network_variables()[name].load(value, sess)
        tfv1.train.Saver(save_relative_paths=True).save(sess, str(folder / "model"), global_step=500)
    return str(folder / "model-500")


def loaded(path, **kwargs):
    """Values of the network's variables after a session was started from `path`."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        make_variables()
        init = LoadWeights(path, **kwargs)
        init._setup_graph()    # as tensorpack does
        sess.run(tfv1.global_variables_initializer())
        init._run_init(sess)
        return {name: sess.run(variable) for name, variable in network_variables().items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


# finding ------------------------------------------------------------------------------------------------------------
def test_an_npz_file_is_found_as_it_is(npz):
    path = npz()
    assert find_run(path) == (path, None)


def test_a_checkpoint_is_found_with_and_without_its_ending(checkpoint):
    assert find_run(checkpoint) == (checkpoint, None)
    assert find_run(checkpoint + ".index") == (checkpoint, None)


def test_a_runs_folder_stands_for_its_latest_checkpoint(checkpoint):
    assert find_run(os.path.dirname(checkpoint)) == (checkpoint, None)


def test_the_config_of_a_run_comes_along(checkpoint, npz):
    folder = os.path.dirname(checkpoint)
    config_path = os.path.join(folder, "config.json")
    open(config_path, "w").close()
    for load in (folder, checkpoint, checkpoint + ".index"):
        assert find_run(load) == (checkpoint, config_path)


def test_a_folder_that_was_moved_still_stands_for_its_checkpoint(checkpoint, tmp_path):
    os.rename(os.path.dirname(checkpoint), tmp_path / "moved")
    assert find_run(str(tmp_path / "moved"))[0] == str(tmp_path / "moved" / "model-500")


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    assert f"--load {tmp_path}: this folder has no checkpoint" in message_of(find_run, str(tmp_path))


@pytest.mark.parametrize("name", ["photo.jpg", "text.txt"])
def test_a_file_that_is_no_model_is_not_said_to_be_missing(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    message = message_of(find_run, str(tmp_path / name))
    assert f"{name}: this file is no model" in message and "there is no such" not in message


def test_a_pkl_is_found_as_it_is(tmp_path):
    (tmp_path / "w.pkl").write_bytes(b"")
    assert find_run(str(tmp_path / "w.pkl")) == (str(tmp_path / "w.pkl"), None)


def test_the_option_that_names_missing_weights_is_named():
    assert "BACKBONE.WEIGHTS gone.npz: there is no such" in message_of(find_run, "gone.npz", "BACKBONE.WEIGHTS")


@pytest.mark.parametrize("name", ["missing", "missing.npz", "missing.pkl", "missing.index", "missing/model-500"])
def test_a_path_without_weights_is_named(tmp_path, name):
    assert f"--load {tmp_path / name}: there is no such" in message_of(find_run, str(tmp_path / name))


# reading ------------------------------------------------------------------------------------------------------------
def test_weights_go_to_npz_and_back(npz):
    assert_same(read_weights(npz()), make_weights())


def test_weights_are_read_from_a_checkpoint(checkpoint):
    found = read_weights(checkpoint)
    assert_same({name: found[name] for name in SHAPES}, make_weights())


def test_names_may_end_in_colon_zero(tmp_path):
    path = str(tmp_path / "w.npz")
    save_weights(path, {f"{name}:0": value for name, value in make_weights().items()})
    assert_same(read_weights(path), make_weights())


def test_saving_leaves_no_other_file(npz, tmp_path):
    npz()
    assert os.listdir(tmp_path) == ["weights.npz"]


def test_saving_that_fails_keeps_the_old_file(npz, monkeypatch):
    def full_disk(file, **_):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    path = npz()
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match="No space left"):
        save_weights(path, make_weights(seed=1))
    assert_same(read_weights(path), make_weights())


def damage(path, how):
    with open(path, "rb") as f:
        content = f.read()
    changed = {
        "empty": b"", "text": b"<html>404 not found</html>", "truncated": content[:len(content) // 2],
        "a pickle": pickle.dumps({"W": 1}),
        "zeros": bytes(1000), "bytes lost": content[:200] + content[300:],
        "bytes changed": content[:300] + bytes(b ^ 255 for b in content[300:400]) + content[400:]}[how]
    with open(path, "wb") as f:
        f.write(changed)


@pytest.mark.parametrize("how", ["empty", "text", "truncated", "a pickle", "zeros", "bytes lost", "bytes changed"])
def test_a_broken_npz_is_named(npz, how):
    path = npz()
    damage(path, how)
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)


def test_a_compressed_npz_of_which_any_byte_changed_is_read_or_refused(tmp_path):
    path = str(tmp_path / "w.npz")
    np.savez_compressed(path, W=np.random.default_rng(0).normal(size=30))
    with open(path, "rb") as f:
        content = f.read()
    escaped = set()
    for i in range(len(content)):
        with open(path, "wb") as f:
            f.write(content[:i] + bytes([content[i] ^ 0x55]) + content[i + 1:])
        try:
            read_weights(path)
        except UserError:
            pass
        except Exception as e:
            escaped.add(type(e).__name__)
    assert escaped == set()


def test_a_single_array_is_no_weight_file(tmp_path):
    path = str(tmp_path / "w.npz")
    with open(path, "wb") as f:
        np.save(f, np.ones(3))
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)


def test_pickled_objects_are_refused_and_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    path = str(tmp_path / "w.npz")
    objects = np.empty(1, object)
    objects[0] = Harmful()
    np.savez(path, **{"conv0/W": objects})
    assert f"{path} cannot be read as weights" in message_of(read_weights, path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("how", ["empty", "text", "zeros"])
def test_a_broken_checkpoint_is_named(checkpoint, ending, how):
    damage(checkpoint + ending, how)
    assert f"{checkpoint} cannot be read as weights" in message_of(read_weights, checkpoint)


def test_a_checkpoint_whose_data_is_missing_is_named(checkpoint):
    os.remove(checkpoint + ".data-00000-of-00001")
    assert f"{checkpoint} cannot be read as weights" in message_of(read_weights, checkpoint)


# fitting ------------------------------------------------------------------------------------------------------------
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


# loading ------------------------------------------------------------------------------------------------------------
def test_a_session_starts_from_an_npz_file(npz):
    assert_same(loaded(npz()), make_weights())


def test_a_session_starts_from_a_checkpoint(checkpoint):
    assert_same(loaded(checkpoint), make_weights())


def test_what_is_not_loaded_keeps_its_initial_value(npz):
    found = loaded(npz(conv0__W=None), partial=True)
    np.testing.assert_array_equal(found["conv0/W"], 1)
    np.testing.assert_array_equal(found["conv0/bn/gamma"], make_weights()["conv0/bn/gamma"])


def test_a_session_starts_from_a_pkl(tmp_path):
    weights = make_weights()
    path = str(tmp_path / "w.pkl")
    theirs = {"conv1_w": weights["conv0/W"].transpose(3, 2, 0, 1), "res_conv1_bn_s": weights["conv0/bn/gamma"],
              "res_conv1_bn_b": weights["conv0/bn/gamma"]}
    with open(path, "wb") as f:
        pickle.dump({"blobs": theirs}, f, protocol=2)
    found = loaded(path, partial=True)
    np.testing.assert_array_equal(found["conv0/W"], weights["conv0/W"])
    np.testing.assert_array_equal(found["conv0/bn/gamma"], weights["conv0/bn/gamma"])
    np.testing.assert_array_equal(found["conv0/bn/mean/EMA"], 0)
    np.testing.assert_array_equal(found["maskrcnn/conv/W"], 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_weights_of_another_precision_are_loaded(npz, dtype):
    values = make_weights()["conv0/W"].astype(dtype)
    np.testing.assert_array_equal(loaded(npz(conv0__W=values))["conv0/W"], values.astype(np.float32))


@pytest.mark.parametrize("values", [np.ones((3, 3, 2, 4), np.int64), np.full((3, 3, 2, 4), "x")], ids=["int64", "text"])
def test_weights_that_are_no_floating_point_numbers_are_loaded_or_refused(npz, values):
    try:
        np.testing.assert_array_equal(loaded(npz(conv0__W=values))["conv0/W"], 1)
    except UserError as e:
        assert "conv0/W" in str(e)
