import importlib.util
import os

# a process that makes many networks would keep the memory that each of them once needed; what tests start does not
os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "0"
import common    # prepares TensorFlow, before any other import of it

import pytest
from tensorflow.python.framework import config as tf_config

import config as config_module

with common.tf.Graph().as_default(), common.QuietSessionCreator().create_session():
    del os.environ["TF_CPU_ALLOCATOR_USE_BFC"]    # it has been read

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TINY = (
    "BACKBONE.RESNET_NUM_BLOCKS=(1, 1, 1, 1)", "BACKBONE.WIDTH=8", "FPN.NUM_CHANNEL=16", "FPN.FRCNN_FC_HEAD_DIM=16",
    "MRCNN.HEAD_DIM=8", "MRCNN.GT_RESOLUTION=56", "RPN.ANCHOR_SIZES=(8, 16, 32, 64, 128)", "RPN.BATCH_PER_IM=32",
    "RPN.TRAIN_PER_LEVEL_NMS_TOPK=30", "RPN.TEST_PER_LEVEL_NMS_TOPK=30", "FRCNN.BATCH_PER_IM=16",
    "PREPROC.TRAIN_SHORT_EDGE_SIZE=(64, 64)", "PREPROC.TEST_SHORT_EDGE_SIZE=64", "PREPROC.MAX_SIZE=128",
    "DATA.NUM_WORKERS=0", "TRAIN.NUM_GPUS=0")


def finalized_config(*words, num_classes=3, tiny=True):
    """A finalized config of `num_classes` classes: a tiny model, or the default one, changed by KEY=VALUE words."""
    cfg = config_module.config.clone()
    cfg.DATA.CLASS_NAMES = tuple(f"class{i}" for i in range(num_classes))
    cfg.DATA.CATEGORY_IDS = tuple(range(1, num_classes + 1))
    cfg.update_args([*(TINY if tiny else ()), *words])
    config_module.finalize_configs(cfg, is_training=True)
    return cfg


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
    cfg = config_module.config.clone()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("circle", "square"), (3, 7)
    cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE = 90, 150
    return cfg
