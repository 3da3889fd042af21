"""A session that starts from weights."""
import pickle

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from small_weights import assert_same, make_variables, make_weights
from weights.fit import network_variables
from weights.load import LoadWeights


def loaded(path, **kwargs):
    """Values of the network's variables after a session was started from `path`."""
    with tf.Graph().as_default(), tfv1.Session() as sess:
        make_variables()
        init = LoadWeights(path, **kwargs)
        init._setup_graph()    # as tensorpack does
        sess.run(tfv1.global_variables_initializer())
        init._run_init(sess)
        return {name: sess.run(variable) for name, variable in network_variables().items()}


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
