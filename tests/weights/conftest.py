
import common  # noqa: F401

import pytest
import tensorflow as tf
from tensorpack import tfv1

from small_weights import make_variables, make_weights
from weights.files import save_weights
from weights.fit import network_variables


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
