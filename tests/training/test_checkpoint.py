"""Writing checkpoints, on a disk that may fail, and going on from them."""
import errno
import os
import resource
import shutil
import subprocess
import types

import common  # prepares TensorFlow, before any other import of it

import numpy as np
import pytest
from tensorpack import tfv1
from tensorpack.callbacks import EnableCallbackIf
from tensorpack.tfutils.sessinit import JustCurrentSession
from tensorpack.train import Trainer

from checkpoint_files import files_of, names, newest_whole, saver_of, value_in, write
from training import checkpoint
from training.checkpoint import (
    CheckpointError,
    CheckpointSaver,
    Resume,
    TimedCheckpoints,
    write_checkpoint,
)
from weights.checkpoints import is_whole, list_checkpoints


@pytest.fixture
def folder(tmp_path):
    """A run's folder, not the only thing in its parent."""
    return str(tmp_path / "run")


# writing and finding -----------------------------------------------------------------------------------------------
def test_a_checkpoint_has_what_was_saved_under_tensorflows_names(folder):
    assert write_checkpoint(saver_of(7), folder, 500, 3) == os.path.join(folder, "model-500")
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(500)]
    assert value_in(os.path.join(folder, "model-500")) == 7
    assert newest_whole(folder) == ("model-500", [])


def test_tensorflow_finds_the_checkpoints_also_after_the_folder_was_moved(folder):
    write(folder, 1, 2, 3, max_to_keep=2)
    os.rename(folder, folder + "2")
    state = tfv1.train.get_checkpoint_state(folder + "2")
    assert tfv1.train.latest_checkpoint(folder + "2") == os.path.join(folder + "2", "model-3")
    assert names(state.all_model_checkpoint_paths) == ["model-2", "model-3"]


def test_the_newest_are_kept(folder):
    write(folder, 8, 9, 10, 100, max_to_keep=2)
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(10, 100)]


def test_a_later_checkpoint_neither_counts_nor_is_deleted(folder):
    write(folder, 10, 20, 500)
    write(folder, 30, max_to_keep=2)
    assert names(list_checkpoints(folder)) == ["model-500", "model-30", "model-20"]
    assert names([tfv1.train.latest_checkpoint(folder)]) == ["model-30"]


def test_a_step_can_be_saved_again(folder):
    write(folder, 1, 2)
    write_checkpoint(saver_of(77), folder, 2, 2)
    assert names(list_checkpoints(folder)) == ["model-2", "model-1"]
    assert value_in(os.path.join(folder, "model-2")) == 77


def test_all_shards_come_and_go_with_their_checkpoint(folder):
    def save(path):
        with tfv1.Graph().as_default(), tfv1.Session() as sess:
            for device in "/cpu:0", "/job:localhost/replica:0/task:0/cpu:0":
                with tfv1.device(device):
                    tfv1.get_variable(f"v{device.count('/')}", initializer=np.ones(100, np.float32))
            sess.run(tfv1.global_variables_initializer())
            tfv1.train.Saver(sharded=True).save(sess, path, write_meta_graph=False, write_state=False)

    write_checkpoint(save, folder, 1, 1)
    shards = [name for name in os.listdir(folder) if ".data" in name]
    assert sorted(shards) == ["model-1.data-00000-of-00002", "model-1.data-00001-of-00002"]
    os.rename(os.path.join(folder, shards[0]), folder + "shard")
    assert shards[0] in is_whole(os.path.join(folder, "model-1"))
    os.rename(folder + "shard", os.path.join(folder, shards[0]))
    assert is_whole(os.path.join(folder, "model-1")) is None
    write(folder, 2, max_to_keep=1)
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(2)]


def test_a_folder_with_odd_characters_works(tmp_path):
    folder = str(tmp_path / "run 1]*?; ü\"x\" {a,b} $HOME %s #~&")
    CheckpointSaver(folder, 1)
    write(folder, 1, 2, max_to_keep=1)
    assert newest_whole(folder) == ("model-2", [])


@pytest.mark.parametrize("character", "[\\")
def test_a_folder_that_tensorflow_cannot_read_from_is_refused(tmp_path, character):
    folder = str(tmp_path / f"run{character}1]")
    write(folder, 1)
    assert is_whole(os.path.join(folder, "model-1"))
    with pytest.raises(common.UserError, match="--logdir .* take another"):
        CheckpointSaver(folder, 1)


def test_a_training_writes_checkpoints_and_ends_where_it_cannot(folder, monkeypatch):
    os.mkdir(folder)
    open(os.path.join(folder, ".writing-1"), "w").close()
    with tfv1.Graph().as_default():
        weight = tfv1.get_variable("W", initializer=np.zeros(3, np.float32))
        trainer = Trainer()
        trainer.train_op = tfv1.assign_add(weight, [1, 1, 1]).op

        class FillUp(checkpoint.Callback):
            def _trigger(self):
                if self.epoch_num == 4:
                    monkeypatch.setattr(os, "fsync", raise_no_space)

        with pytest.raises(CheckpointError, match="model-8 cannot be written"):
            trainer.train_with_defaults(
                callbacks=[FillUp(), CheckpointSaver(folder, 2)], monitors=[], steps_per_epoch=2, max_epoch=9,
                session_creator=common.QuietSessionCreator(), session_init=JustCurrentSession())
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(4, 6)]
    reader = tfv1.train.load_checkpoint(folder)
    assert reader.get_tensor("W").tolist() == [6, 6, 6] and reader.get_tensor("global_step") == 6


def test_a_training_of_long_epochs_writes_checkpoints_by_the_clock(folder, monkeypatch):
    seconds = iter(range(0, 1000, 25))    # it is read once a step, and once a checkpoint
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    with tfv1.Graph().as_default():
        trainer = Trainer()
        trainer.train_op = tfv1.assign_add(tfv1.get_variable("W", initializer=np.zeros(3, np.float32)), [1, 1, 1]).op
        saver = CheckpointSaver(folder, 9)
        trainer.train_with_defaults(
            callbacks=[TimedCheckpoints(saver, 1), EnableCallbackIf(saver, lambda _: True)], monitors=[],
            steps_per_epoch=7, max_epoch=1,
            session_creator=common.QuietSessionCreator(), session_init=JustCurrentSession())
    assert names(list_checkpoints(folder)) == ["model-7", "model-6", "model-3"]


# going on ----------------------------------------------------------------------------------------------------------
def training_state(value):
    """Make the variables of a training with a weight, its momentum and gradients that were summed."""
    return [tfv1.get_variable(name, initializer=np.full(shape, value, np.float32)) for name, shape in (
        ("conv0/W", 3), ("conv0/W/Momentum", 3), ("conv0/W/AccumGrad", 3), ("AccumGrad/counter", ()))]


def save_training_state(folder, value):
    def save(path):
        with tfv1.Graph().as_default(), tfv1.Session() as sess:
            training_state(value)
            sess.run(tfv1.global_variables_initializer())
            tfv1.train.Saver().save(sess, path, write_meta_graph=False, write_state=False)
    return write_checkpoint(save, folder, 10, 1)


@pytest.mark.parametrize("momentum_factor, expected", [(None, [8, 8, 8, 8]), (0.25, [8, 2, 0, 0]), (1, [8, 8, 0, 0])])
def test_a_run_that_goes_on_has_all_of_its_state_but_with_other_steps_begins_an_update(
        folder, momentum_factor, expected):
    path = save_training_state(folder, 8)
    with tfv1.Graph().as_default(), tfv1.Session() as sess:
        variables = training_state(0)
        resume = Resume(path, momentum_factor)
        resume._setup_graph()
        sess.run(tfv1.global_variables_initializer())
        resume._run_init(sess)
        assert [np.max(value) for value in sess.run(variables)] == expected


# a disk that fails -------------------------------------------------------------------------------------------------
def raise_no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check_failure(folder, step, save, reason):
    """A failing write says so in one line, and leaves the folder with the checkpoint of step 1 as it was."""
    with pytest.raises(CheckpointError) as e:
        write_checkpoint(save, folder, step, 1)
    assert str(e.value) == (f"{folder}/model-{step} cannot be written ({reason}); model-1 is whole: "
                            f"{'free space' if 'space' in reason else 'mend that'}, then go on with --resume")
    assert sorted(os.listdir(folder)) == ["checkpoint", *files_of(1)]
    assert newest_whole(folder) == ("model-1", []) and value_in(os.path.join(folder, "model-1")) == 1


@pytest.mark.parametrize("step", [1, 2])
def test_a_full_disk_leaves_the_checkpoint_before_as_it_was(folder, step, monkeypatch):
    write(folder, 1)
    monkeypatch.setattr(os, "fsync", raise_no_space)
    check_failure(folder, step, saver_of(2), "No space left on device")


@pytest.mark.parametrize("step", [1, 2])
def test_a_file_that_grows_too_large_leaves_the_checkpoint_before_as_it_was(folder, step):
    def save(path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            saver_of(2, size=1 << 20)(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    write(folder, 1)
    check_failure(folder, step, save, "File too large")


@pytest.fixture
def small_disk(tmp_path):
    disk = str(tmp_path / "disk")
    os.mkdir(disk)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("step", [1, 2])
def test_a_disk_of_8_mb_fills_up(small_disk, step):
    write(small_disk, 1)
    check_failure(small_disk, step, saver_of(2, size=1 << 20), "No space left on device")
    write(small_disk, 3, max_to_keep=1)
    assert sorted(os.listdir(small_disk)) == ["checkpoint", *files_of(3)]


def test_the_first_checkpoint_that_fails_says_that_there_is_none(folder, monkeypatch):
    monkeypatch.setattr(os, "fsync", raise_no_space)
    with pytest.raises(CheckpointError) as e:
        write(folder, 1)
    assert str(e.value) == (f"{folder}/model-1 cannot be written (No space left on device); there is no earlier "
                            "checkpoint: free space, then start again")
    assert os.listdir(folder) == []


def test_a_state_file_that_cannot_be_written_leaves_the_new_checkpoint_and_the_old(folder, monkeypatch):
    write(folder, 1)
    monkeypatch.setattr(checkpoint, "_write_state", raise_no_space)
    with pytest.raises(CheckpointError, match="run/checkpoint cannot be written .*; model-2 is whole: free space"):
        write(folder, 2, max_to_keep=1)
    assert names(list_checkpoints(folder)) == ["model-2", "model-1"]
