"""Checkpoints of three variables, and damage to them."""
import os

import common  # noqa: F401

import numpy as np
from tensorpack import tfv1

from training.checkpoint import write_checkpoint
from weights.checkpoints import newest_whole_checkpoint


def saver_of(value, size=1000):
    """A function that saves three variables of `size` floats, filled with `value`, to a path."""
    def save(path):
        with tfv1.Graph().as_default(), tfv1.Session() as sess:
            for i in range(3):
                tfv1.get_variable(f"conv{i}/W", initializer=np.full(size, value, np.float32))
            sess.run(tfv1.global_variables_initializer())
            tfv1.train.Saver().save(sess, path, write_meta_graph=False, write_state=False)
    return save


def write(folder, *steps, max_to_keep=9):
    """Write checkpoints that hold their steps."""
    for step in steps:
        write_checkpoint(saver_of(step), folder, step, max_to_keep)


def value_in(path):
    return tfv1.train.load_checkpoint(path).get_tensor("conv2/W")[-1]


def names(paths):
    return [os.path.basename(path) for path in paths]


def files_of(*steps):
    return sorted(f"model-{step}{end}" for step in steps for end in (".data-00000-of-00001", ".index"))


def cut(path, size):
    """Shorten a file to `size` bytes, or by as many where that is negative."""
    os.truncate(path, size % os.path.getsize(path))


def flip(path, at):
    """Change a byte of a file."""
    with open(path, "r+b") as f:
        content = bytearray(f.read())
        content[at] ^= 0xff
        f.seek(0)
        f.write(content)


def newest_whole(folder):
    """The newest whole checkpoint's name, and the warnings."""
    lines = []
    path = newest_whole_checkpoint(folder, lines.append)
    return os.path.basename(path or ""), lines
