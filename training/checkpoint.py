"""
Checkpoints that survive a kill, a power cut or a full disk at any moment.

A checkpoint of TensorFlow's V2 format is `model-500.index` and one or more `model-500.data-00000-of-00001`. It grows in
a folder of its own, `.writing-PID`, which is renamed to `.written-PID` once all of it is on the disk. From there its
data is moved into place, and at last its index: what has an index is whole, and a move that was cut short is ended by
`clean_folder`. The checkpoints before it stay until then.
"""
import contextlib
import errno
import os
import re
import shutil
import time

from common import UserError

import tensorflow as tf
from tensorpack import tfv1
from tensorpack.callbacks import Callback
from tensorpack.tfutils.common import get_global_step_value
from tensorpack.tfutils.sessinit import SaverRestore

from weights.checkpoints import (
    INDEX,
    checkpoint_path,
    checkpoint_steps,
    first_line,
    is_whole,
    list_checkpoints,
    matching_names,
)
from weights.files import read_shapes
from weights.fit import check_fit, network_variables

_DATA = re.compile(r"(model-[0-9]+)\.data-[0-9]{5}-of-[0-9]{5}")
# the last two are what TensorFlow's own writers leave
_PARTIAL = re.compile(r"\.writing-.*|model-[0-9]+\..*\.tempstate[0-9]+|checkpoint\.tmp[0-9a-f]+")
_WRITTEN = re.compile(r"\.written-.*")


class CheckpointError(UserError):
    """A checkpoint could not be written. The message names it, the reason, and the newest one that is whole."""


class CheckpointSaver(Callback):
    """
    Writes a checkpoint of all global variables when it is triggered, once for each step.

    Args:
        folder (str): of the run; one training at a time writes there
        max_to_keep (int): how many checkpoints are kept, at least 1

    Attributes:
        saved_at (float): when the last one was written or the training began, on the clock of `time.monotonic`

    Raises:
        UserError: TensorFlow cannot read checkpoints in a folder of this name
        CheckpointError: see `write_checkpoint`
    """

    def __init__(self, folder, max_to_keep):
        # it would write them, but takes the path for a pattern when it reads
        if set(folder) & set("[\\"):
            raise UserError(f"--logdir {folder}: TensorFlow reads no checkpoints from a folder with [ or \\ in its "
                            "name; take another")
        self.folder, self.max_to_keep = folder, max_to_keep

    def _setup_graph(self):
        self._saver = tfv1.train.Saver(tfv1.global_variables(), max_to_keep=None, write_version=tfv1.train.SaverDef.V2)

    def _before_train(self):
        clean_folder(self.folder)
        # what it starts from stays as it is: the history of the run says what its steps were
        self._saved_step, self.saved_at = get_global_step_value(), time.monotonic()

    def _trigger(self):
        step = get_global_step_value()
        if step != self._saved_step:
            write_checkpoint(self._save, self.folder, step, self.max_to_keep)
            self._saved_step, self.saved_at = step, time.monotonic()

    def _save(self, path):
        self._saver.save(tfv1.get_default_session(), path, write_meta_graph=False, write_state=False)


class TimedCheckpoints(Callback):
    """
    Writes a checkpoint behind a step where the last one is old, so that a kill never costs more than some minutes.

    Args:
        saver (CheckpointSaver)
        minutes (float): between two checkpoints, positive
    """

    def __init__(self, saver, minutes):
        self.saver, self.seconds = saver, 60 * minutes

    def _trigger_step(self):
        if time.monotonic() - self.saver.saved_at >= self.seconds:
            self.saver.trigger()


class Resume(SaverRestore):
    """
    Restores a run's checkpoint with all state of the training, after a check that it is of the same network.

    Args:
        path (str): of the checkpoint
        momentum_factor (float): of a run that goes on with other steps, see `History.momentum_factor`. The momentum is
            multiplied with it, and gradients of an update that was not completed are left behind.
    """

    def __init__(self, path, momentum_factor=None):
        super().__init__(path)
        self.momentum_factor = momentum_factor

    def _setup_graph(self):
        check_fit(self.path, read_shapes(self.path), network_variables())
        if self.momentum_factor is not None:
            self.ignore = [v.name for v in tfv1.global_variables() if "AccumGrad" in v.name]
            momentum = [v for v in tfv1.global_variables() if v.op.name.endswith("/Momentum")]
            self._scale = tf.group(*[v.assign(v.read_value() * self.momentum_factor) for v in momentum])
        super()._setup_graph()

    def _run_init(self, sess):
        super()._run_init(sess)
        if self.momentum_factor is not None:
            sess.run(self._scale)


def write_checkpoint(save, folder, step, max_to_keep):
    """
    Write the checkpoint of a step whole or not at all, then delete what is older than the newest `max_to_keep`.

    Checkpoints of later steps are neither counted nor deleted: a run that went back from a damaged one has them.

    Args:
        save (callable): writes a V2 checkpoint to the path that it is given
        folder (str): of the run
        step (int): steps that were taken
        max_to_keep (int): at least 1

    Returns:
        str, the checkpoint's path without ".index"

    Raises:
        CheckpointError: the disk is full, fails, or is not writable; the checkpoints before are as they were
    """
    path = checkpoint_path(folder, step)
    with _explained(path, folder):
        _place(_write(save, folder, step), folder)
    steps = [other for other in checkpoint_steps(folder) if other <= step]
    with _explained(os.path.join(folder, "checkpoint"), folder):
        _write_state(folder, steps[:max_to_keep])
        for old in steps[max_to_keep:]:
            _delete(folder, old)
    return path


def clean_folder(folder):
    """
    End what a killed training left half done: a checkpoint that was written completely gets its place, parts of others
    are removed. To be called before `--resume` looks for a checkpoint, and only by the training that owns the folder.
    """
    try:
        for name in matching_names(folder, _WRITTEN):
            _place(os.path.join(folder, name), folder)
    except OSError:
        return    # its data may have been moved and its index not; the next start tries again
    orphans = [name for name in matching_names(folder, _DATA)
               if not os.path.exists(os.path.join(folder, _DATA.fullmatch(name)[1] + ".index"))]
    for name in matching_names(folder, _PARTIAL) + orphans:
        _remove(os.path.join(folder, name))


def _write(save, folder, step):
    """Returns: path of a new folder in `folder`, with nothing but the checkpoint in it, all of it on the disk"""
    writing, written = (os.path.join(folder, f".{state}-{os.getpid()}") for state in ("writing", "written"))
    _remove(writing)    # of a killed process with the same number
    try:
        os.makedirs(writing)
        save(checkpoint_path(writing, step))
        for name in os.listdir(writing):
            _sync(os.path.join(writing, name))
        _sync(writing)
        os.rename(writing, written)
    finally:
        _remove(writing)
    return written


def _place(written, folder):
    """Move a checkpoint into the folder, the index last. May be cut short anywhere and called again."""
    for pattern in _DATA, INDEX:
        for name in matching_names(written, pattern):
            os.replace(os.path.join(written, name), os.path.join(folder, name))
        _sync(folder)
    os.rmdir(written)


def _write_state(folder, steps):
    """Write TensorFlow's file of which checkpoints there are, newest first in `steps`, and oldest first in the file."""
    partial = os.path.join(folder, f".writing-{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8") as f:
            f.write(f'model_checkpoint_path: "model-{steps[0]}"\n')
            f.writelines(f'all_model_checkpoint_paths: "model-{step}"\n' for step in reversed(steps))
        _sync(partial)
        os.replace(partial, os.path.join(folder, "checkpoint"))
    finally:
        _remove(partial)


def _delete(folder, step):
    path = checkpoint_path(folder, step)
    os.remove(path + ".index")    # first, as data without it is taken for nothing
    for name in matching_names(folder, _DATA):
        if _DATA.fullmatch(name)[1] == os.path.basename(path):
            os.remove(os.path.join(folder, name))


def _remove(path):
    """Remove a file or a folder, if it can be."""
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def _sync(path):
    """Return when a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as e:
        # some network file systems cannot do this for a folder
        if e.errno != errno.EINVAL or not os.path.isdir(path):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path, folder):
    """Turn what a disk can do to a writer into a CheckpointError about `path`."""
    try:
        yield
    except (OSError, tfv1.errors.OpError) as e:
        reason = first_line(e).rpartition("; ")[2]
        whole = next((other for other in list_checkpoints(folder) if is_whole(other) is None), None)
        remedy = "free space" if "space" in reason or "quota" in reason else "mend that"
        raise CheckpointError(
            f"{path} cannot be written ({reason}); "
            + (f"{os.path.basename(whole)} is whole: {remedy}, then go on with --resume" if whole
               else f"there is no earlier checkpoint: {remedy}, then start again")) from None
