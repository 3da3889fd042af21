"""What several parts share."""
import os
import subprocess
import sys

import common
import numpy as np
import pytest
from hypothesis import given, strategies as st

from common import UserError, exit_on_user_error, pad_batch, resize_shape

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def python(*args, **kwargs):
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, timeout=120, **kwargs)


# resize_shape -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size, expected", [
    ((480, 640), (800, 1067)),      # the short edge decides
    ((640, 480), (1067, 800)),
    ((800, 800), (800, 800)),
    ((400, 1200), (444, 1333)),     # the long edge does
    ((1, 4000), (1, 1333)),         # and nothing gets lost
    ((1600, 1600), (800, 800)),     # down as well as up
])
def test_resize_shape_fits_the_short_edge_unless_the_long_edge_gets_too_long(size, expected):
    assert resize_shape(*size, 800, 1333) == expected


EDGES = st.integers(1, 5000)


@given(EDGES, EDGES, st.integers(1, 1000), st.integers(0, 1000))
def test_resize_shape_never_exceeds_either_limit(height, width, short_edge, more):
    new_height, new_width = resize_shape(height, width, short_edge, short_edge + more)
    assert min(new_height, new_width) <= short_edge
    assert 1 <= max(new_height, new_width) <= short_edge + more


@given(EDGES, EDGES, st.integers(1, 1000), st.integers(0, 1000))
def test_resize_shape_turns_with_the_image(height, width, short_edge, more):
    limits = short_edge, short_edge + more
    assert resize_shape(width, height, *limits) == resize_shape(height, width, *limits)[::-1]


@given(EDGES, EDGES)
def test_resize_shape_keeps_the_shape(height, width):
    new_height, new_width = resize_shape(height, width, 800, 1333)
    scale = min(800 / min(height, width), 1333 / max(height, width))
    assert abs(new_height - height * scale) <= 0.5 + 1e-6 or new_height == 1
    assert abs(new_width - width * scale) <= 0.5 + 1e-6 or new_width == 1


# pad_batch ----------------------------------------------------------------------------------------------------------
def test_pad_batch_puts_each_image_at_the_top_left_of_zeros():
    images = [np.full(shape + (3,), i + 1, np.uint8) for i, shape in enumerate([(4, 6), (5, 2)])]
    batch, sizes = pad_batch(images)
    assert batch.shape == (2, 5, 6, 3) and batch.dtype == np.uint8
    assert sizes.tolist() == [[4, 6], [5, 2]] and sizes.dtype == np.int32
    for padded, image, (h, w) in zip(batch, images, sizes):
        np.testing.assert_array_equal(padded[:h, :w], image)
        assert padded.sum() == image.sum()


def test_pad_batch_of_one_image_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    batch, sizes = pad_batch([image])
    np.testing.assert_array_equal(batch, image[None])
    assert sizes.tolist() == [[3, 4]]


# users' mistakes ----------------------------------------------------------------------------------------------------
def test_a_users_mistake_ends_with_status_2_and_one_line(capsys, monkeypatch):
    def main():
        raise UserError("--load x: there is no such file")

    monkeypatch.setattr(sys, "argv", ["/somewhere/train.py"])
    with pytest.raises(SystemExit) as error:
        exit_on_user_error(main)
    assert error.value.code == 2
    assert capsys.readouterr() == ("", "train.py: --load x: there is no such file\n")


def test_our_own_mistake_keeps_its_traceback():
    def main():
        raise KeyError("x")

    with pytest.raises(KeyError):
        exit_on_user_error(main)


def test_a_command_that_ends_well_just_ends():
    assert exit_on_user_error(lambda: None) is None


# importing it -------------------------------------------------------------------------------------------------------
def test_importing_it_prints_nothing_and_prepares_tensorflow():
    code = ("import common, os, sys; import tensorflow as tf; assert os.environ['TF_USE_LEGACY_KERAS'] == '1'; "
            "assert not tf.compat.v1.control_flow_v2_enabled(); import tensorpack.models")
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_tensorflow_it_says_in_one_line_how_to_get_it(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('no tensorflow', name='tensorflow')\n")
    done = python("-c", "import common", env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "tensorflow is not installed" in done.stderr and "make setup" in done.stderr


def test_stderr_that_was_silenced_is_shown_after_all_when_something_goes_wrong(capfd):
    with pytest.raises(ValueError):
        with common.silenced_stderr():
            os.write(2, b"the reason\n")
            raise ValueError
    assert "the reason" in capfd.readouterr().err


def test_stderr_is_silenced_only_for_a_while(capfd):
    with common.silenced_stderr():
        os.write(2, b"noise\n")
    os.write(2, b"signal\n")
    assert capfd.readouterr().err == "signal\n"


def test_a_reader_that_has_seen_enough_ends_a_command_in_silence():
    script = "import common\ndef main():\n    while True:\n        print('x' * 9999)\ncommon.exit_on_user_error(main)"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(9)
    process.stdout.close()
    assert process.wait(60) == 1 and process.stderr.read() == b""
    process.stderr.close()
