"""What several parts share."""
import os
import subprocess
import sys

import common
import pytest

from common import UserError, exit_on_user_error

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def python(*args, **kwargs):
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, timeout=120, **kwargs)


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
