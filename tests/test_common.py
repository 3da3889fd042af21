"""What several parts share."""
import os
import subprocess
import sys
import types

import common
from common import UserError, exit_on_user_error

import pytest

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
QUIET = ("TF_CPP_MIN_LOG_LEVEL", "OPENCV_LOG_LEVEL", "OPENCV_FFMPEG_LOGLEVEL", "OPENBLAS_NUM_THREADS")
# a command of ours is known by its file
COMMAND = "__file__ = 'train.py'\n"


def own_environment(**more):
    """Returns: dict, the environment without what a quiet start sets"""
    return {name: value for name, value in os.environ.items() if name not in QUIET} | more


def test_importing_it_in_a_command_prints_nothing_and_prepares_tensorflow():
    code = COMMAND + (
        "import common, os; import tensorflow as tf; assert os.environ['TF_USE_LEGACY_KERAS'] == '1'; "
        "assert not tf.compat.v1.control_flow_v2_enabled() and common.visible_gpus() >= 0; import tensorpack.models\n"
        "with tf.Graph().as_default(), common.QuietSessionCreator().create_session(): pass")
    done = python("-c", code, env=own_environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


PROGRAM = """
import logging, os, sys
import cv2    # sets LD_LIBRARY_PATH

descriptors = {number: os.fstat(number) for number in range(3)}
streams, environment = (sys.stdin, sys.stdout, sys.stderr), dict(os.environ)
os.dup2 = None    # who calls it fails
from predict import Detector
import common

common.visible_gpus()
with common.silenced_native():
    print("heard", file=sys.stderr)
    os.write(2, b"heard, too\\n")
with common.tf.Graph().as_default(), common.QuietSessionCreator().create_session():
    pass
assert {number: os.fstat(number) for number in range(3)} == descriptors
assert (sys.stdin, sys.stdout, sys.stderr) == streams and logging.raiseExceptions
changed = {name for name in {*environment, *os.environ} if environment.get(name) != os.environ.get(name)}
assert changed <= {"TF_USE_LEGACY_KERAS", "TF_CPU_ALLOCATOR_USE_BFC"}, changed
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert not any(handler.filters for handler in logging.getLogger("tensorpack").handlers)
"""


def test_a_program_that_imports_it_keeps_its_environment_logging_and_descriptors(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = python(tmp_path / "program.py", env=own_environment(PYTHONPATH=ROOT))
    assert done.returncode == 0, done.stderr
    assert "heard\nheard, too\n" in done.stderr


def test_a_command_that_is_a_package_goes_by_its_name(capsys, monkeypatch):
    def main():
        raise UserError("no")
    monkeypatch.setattr(sys, "argv", ["/somewhere/data/convert/__main__.py"])
    with pytest.raises(SystemExit):
        exit_on_user_error(main)
    assert capsys.readouterr().err == "convert: no\n"


def test_without_tensorflow_a_command_says_in_one_line_how_to_get_it(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('no tensorflow', name='tensorflow')\n")
    done = python("train.py", env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "tensorflow is not installed" in done.stderr and "make setup" in done.stderr


def test_without_tensorflow_a_program_gets_pythons_own_exception(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('no tensorflow', name='tensorflow')\n")
    code = "try:\n    import common\nexcept ModuleNotFoundError as e:\n    print(e)"
    done = python("-c", code, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert (done.returncode, done.stdout) == (0, "no tensorflow\n")


def test_a_command_that_is_a_module_of_a_package_is_quiet_too():
    done = python("-m", "data.shapes", "--help", env=own_environment())
    assert done.returncode == 0 and done.stdout and done.stderr == ""


@pytest.mark.parametrize("path, expected", [
    ("train.py", True), ("benchmarks/predict.py", True), ("mine.py", False), ("tests/conftest.py", False),
    (".venv/lib/pytest/__main__.py", False), ("../train.py", False), (None, False)])
def test_a_command_is_known_by_its_file(monkeypatch, path, expected):
    main = types.SimpleNamespace(**({} if path is None else dict(__file__=os.path.join(ROOT, path))))
    monkeypatch.setitem(sys.modules, "__mp_main__", main)
    assert common._is_own_command() == expected


# native libraries' lines --------------------------------------------------------------------------------------------
NATIVE_LINES = COMMAND + """
import common, os, sys, threading

def native(line):
    os.write(2, line.encode() + b"\\n")

with common.silenced_native():
    native("noise")
    common.warn("Python's")
    with common.silenced_native():
        native("noise")
    native("noise")
native("behind it")

for show in (False, True):
    try:
        with common.silenced_native(show_on_error=show):
            native(f"reason {show}")
            raise ValueError
    except ValueError:
        pass

inside, outside = threading.Event(), threading.Event()

def other():
    with common.silenced_native():
        inside.set()
        outside.wait()
        native("noise of a thread")

thread = threading.Thread(target=other)
with common.silenced_native():
    thread.start()
    inside.wait()
native("noise beside a thread")
outside.set()
thread.join()
native("behind the last thread")
"""


def test_a_command_silences_native_lines_for_a_while_and_pythons_are_heard():
    """Also in several threads at once, and but for the reason of an exception where it is asked for."""
    done = python("-c", NATIVE_LINES, env=own_environment())
    assert done.stderr.splitlines() == ["Python's", "behind it", "reason True", "behind the last thread"]


def test_a_reader_that_has_seen_enough_ends_a_command_in_silence():
    script = COMMAND + ("import common\ndef main():\n    while True:\n        print('x' * 9999)\n"
                        "common.exit_on_user_error(main)")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(9)
    process.stdout.close()
    assert process.wait(60) == 1 and process.stderr.read() == b""
    process.stderr.close()
