"""Trainings of a very small network on a few rendered images, in this process or in one of their own."""
import contextlib
import glob
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time

import common

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

import distributed
import train
from config import new_config
from data.shapes import render as shapes
from sessions import take_graphs_as_they_are
from tiny import ROOT
from training.progress import Progress
from weights.checkpoints import list_checkpoints

CATEGORY_IDS = [3, 7, 8, 20, 21, 90]

# a training of 20 steps of 8 images
TINY = ["@configs/demo.cfg", "DATA.NUM_WORKERS=0", "BACKBONE.WIDTH=8", "FPN.NUM_CHANNEL=16", "FPN.FRCNN_FC_HEAD_DIM=32",
        "MRCNN.HEAD_DIM=8", "PREPROC.TRAIN_SHORT_EDGE_SIZE=(96, 96)", "PREPROC.TEST_SHORT_EDGE_SIZE=96",
        "TRAIN.STEPS_PER_EPOCH=2", "TRAIN.LR_SCHEDULE=(16, 20)", "TRAIN.WARMUP=4",
        "TRAIN.BASE_LR=0.05", "TRAIN.GRADIENT_CLIP=0.0"]
# the same with a network that is built sooner
SMALLEST = ["BACKBONE.RESNET_NUM_BLOCKS=(1, 1, 1, 1)", "BACKBONE.NORM=FreezeBN", "FPN.NORM=None",
            "PREPROC.TRAIN_SHORT_EDGE_SIZE=(64, 64)", "PREPROC.TEST_SHORT_EDGE_SIZE=64"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder of 8 training and 4 validation images in COCO's format, with category ids of its own."""
    folder = str(tmp_path_factory.mktemp("data"))
    shapes.render_dataset(folder, 8, 4, seed=1)
    for path in glob.glob(os.path.join(folder, "annotations", "*.json")):
        with open(path) as f:
            content = json.load(f)
        new_ids = dict(zip(sorted(c["id"] for c in content["categories"]), CATEGORY_IDS))
        for category in content["categories"]:
            category.update(id=new_ids[category["id"]], name="my " + category["name"])
        for annotation in content["annotations"]:
            annotation["category_id"] = new_ids[annotation["category_id"]]
        with open(path, "w") as f:
            json.dump(content, f)
    return folder


def arguments(logdir, dataset, *words, flags=()):
    """Of ./train.py, for a run that starts anew."""
    return ["--logdir", str(logdir), *flags, "--config", *TINY, f"DATA.BASEDIR={dataset}", "DATA.TRAIN=train",
            "DATA.VAL=val", *words]


# in this process ---------------------------------------------------------------------------------------------------
class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(str(record.msg))


def _plain_session_creator():
    creator = common.QuietSessionCreator()
    take_graphs_as_they_are(creator.config)
    return creator


def train_here(args):
    """
    ./train.py with these arguments in this process.

    Returns:
        str, what it logs

    Raises:
        UserError: what ends it in one line
    """
    handler = _Lines()
    logging.getLogger("tensorpack").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, tf.Graph().as_default():
        patch.setattr(sys, "argv", ["./train.py"])
        patch.setattr(train, "config", new_config())
        patch.setattr(distributed, "session_creator", _plain_session_creator)
        # tensorpack's record of a failed training is malformed, which pytest's handler does not bear
        patch.setattr(logging.getLogger("tensorpack"), "propagate", False)
        try:
            train.main([str(arg) for arg in args])
        finally:
            logging.getLogger("tensorpack").removeHandler(handler)
    return "\n".join(handler.lines)


def run_here(logdir, dataset, *words, flags=()):
    return train_here(arguments(logdir, dataset, *SMALLEST, *words, flags=flags))


def resume_here(logdir, *words):
    return train_here(["--logdir", logdir, "--resume", *(["--config", *words] if words else [])])


def message_of(function, *args, **kwargs):
    """The one line that ends a run."""
    with pytest.raises(common.UserError) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@contextlib.contextmanager
def signal_in_step(step, number=signal.SIGTERM):
    """A context in which a training in this process gets a signal in a step."""
    before_run = Progress._before_run

    def send(self, context):
        if self.global_step == step - 1:
            os.kill(os.getpid(), number)
        return before_run(self, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "_before_run", send)
        yield


def killed_behind(step, run, logdir):
    """Copy a run as a kill behind the checkpoint of a step would have left it."""
    shutil.copytree(run, logdir)
    for path in list_checkpoints(str(logdir)):
        if int(path.rpartition("-")[2]) > step:
            for name in glob.glob(glob.escape(path) + ".*"):
                os.remove(name)
    os.remove(logdir / "eval.json")


# in a process of its own -------------------------------------------------------------------------------------------
def start(logdir, dataset, *words, flags=(), **kwargs):
    """Returns: Popen"""
    return subprocess.Popen([sys.executable, "train.py", *arguments(logdir, dataset, *words, flags=flags)], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


def resume(logdir):
    result = subprocess.run([sys.executable, "train.py", "--logdir", str(logdir), "--resume"],
                            cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def wait_for(path):
    deadline = time.time() + 120
    while not path.exists():
        assert time.time() < deadline, f"{path} was not made in time"
        time.sleep(0.05)


# what a run leaves -------------------------------------------------------------------------------------------------
def newest(logdir):
    """A reader of the newest checkpoint."""
    return tfv1.train.load_checkpoint(list_checkpoints(str(logdir))[0])


def final_state(logdir):
    """Step and learning rate of the newest checkpoint."""
    reader = newest(logdir)
    return int(reader.get_tensor("global_step")), float(reader.get_tensor("learning_rate"))


def weights(logdir, step=None):
    """All variables of the checkpoint of a step, or of the newest."""
    reader = newest(logdir) if step is None else tfv1.train.load_checkpoint(os.path.join(logdir, f"model-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_equal_state(logdir, expected, step=None):
    """The checkpoints of two runs of a step, or the newest of both, are equal in every bit."""
    found, expected = weights(logdir, step), weights(expected, step)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def scalars(logdir, tag):
    """Values of a TensorBoard scalar, in the order in which they were written."""
    values = []
    for path in sorted(glob.glob(os.path.join(str(logdir), "events.*"))):
        for event in tfv1.train.summary_iterator(path):
            values += [v.simple_value for v in event.summary.value if v.tag == tag]
    return values
