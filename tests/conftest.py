# ruff: noqa: E402  (TensorFlow reads the environment when it is imported, and prints)
import importlib.util
import os
import types

# a process that makes many networks would keep the memory that each of them once needed, with and without oneDNN; what
# tests start runs as users' processes do
ALLOCATORS = {"TF_CPU_ALLOCATOR_USE_BFC": "0", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}
os.environ.update(ALLOCATORS)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
stderr = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)    # for what TensorFlow prints while it is imported, as in a command
import common  # prepares TensorFlow, before any other import of it

import pytest
from tensorflow.python.framework import config as tf_config

from config import new_config, save_config
from fake_network import find_left_half
from inference import detector
from tiny import ROOT, finalized_config

with common.tf.Graph().as_default(), common.QuietSessionCreator().create_session() as sess:
    sess.run(common.tf.random.uniform([]))
    for name in ALLOCATORS:    # they have been read
        del os.environ[name]
os.dup2(stderr, 2)
os.close(stderr)


@pytest.fixture(autouse=True)
def not_deterministic():
    """What a test does about TensorFlow's determinism, which needs seeds in every graph, ends with it."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture(scope="session")
def make_config():
    return finalized_config


@pytest.fixture(scope="session")
def golden():
    """The folder of recorded results."""
    return os.path.join(ROOT, "tests", "golden")


@pytest.fixture(scope="session")
def make_weight(golden):
    """A function of a variable's name and shape: the stand-in weights that the recorded results were made with."""
    spec = importlib.util.spec_from_file_location("golden_weights", os.path.join(golden, "weights.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_weight


@pytest.fixture
def small_config():
    """Not finalized: two classes, and images of 90 pixels."""
    cfg = new_config()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("circle", "square"), (3, 7)
    cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE = 90, 150
    return cfg


# a network for the commands and for Detector ------------------------------------------------------------------------
@pytest.fixture
def network(monkeypatch):
    """Put a stand-in for the network in place; returns what it was asked for."""
    asked = types.SimpleNamespace(cfg=None, weights=None, run_config=None, batches=[])

    def load_predictor(cfg, weights_path):
        asked.cfg, asked.weights = cfg, weights_path

        def run(images, image_sizes):
            asked.batches.append(len(images))
            return find_left_half(images, image_sizes)
        return run

    monkeypatch.setattr(detector, "load_predictor", load_predictor)
    monkeypatch.setattr(detector, "find_run", lambda load: (load + "/weights", asked.run_config))
    return asked


@pytest.fixture
def run_folder(tmp_path, network):
    """A run's folder of a model with two classes."""
    cfg = new_config()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("circle", "square"), (3, 7)
    cfg.TEST.RESULTS_PER_IM = 17
    network.run_config = str(tmp_path / "config.json")
    save_config(cfg, network.run_config)
    return str(tmp_path)
