"""
TensorFlow made ready, and what several parts share. Importing this module comes before any other import of TensorFlow.

A command of this project also starts quietly: its terminal shows what the project has to say. Another program that
imports a part of it keeps its environment but for two variables of TensorFlow, its logging and its file descriptors.
"""
import argparse
import contextlib
import functools
import logging
import os
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.abspath(__file__))
# the files at the root and the packages that commands are made of: `./train.py`, `python -m benchmarks.predict`
COMMANDS = ("train.py", "predict.py", "benchmarks", "data", "docs", "export", "metrics", "weights", "web")

os.environ["TF_USE_LEGACY_KERAS"] = "1"    # tensorpack's layers are Keras 2 layers
# without it, every large tensor comes from the system as new pages, which takes longer than filling it
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")


class UserError(Exception):
    """A mistake that the user can mend. Its message is one line that names the thing and says what to do."""


# a quiet start ------------------------------------------------------------------------------------------------------
def _is_own_command():
    """Returns: bool, whether this process is a command of this project, and not a program that imports it"""
    # multiprocessing calls the program that started a process so
    main = sys.modules.get("__mp_main__", sys.modules["__main__"])
    path = getattr(main, "__file__", None)
    if path is None:
        # `python -m data.NAME` imports the package before it knows the file
        return sys.argv[:1] == ["-m"] and os.path.realpath(sys.path[0]) == os.path.realpath(ROOT)
    return os.path.relpath(os.path.realpath(path), os.path.realpath(ROOT)).split(os.sep)[0] in COMMANDS


class _NativeStderr:
    """
    File descriptor 2 of a command, where native libraries print; Python's own stderr gets a descriptor of its own. Any
    number of threads silence it at once: the first turns it away from the terminal, the last turns it back.
    """

    def __init__(self):
        self._terminal, self._sink = os.dup(2), tempfile.TemporaryFile(buffering=0)    # noqa: SIM115
        self._lock, self._num_silent = threading.Lock(), 0
        sys.stderr.flush()
        sys.stderr = open(self._terminal, "w", buffering=1, closefd=False,    # noqa: SIM115
                          encoding=sys.stderr.encoding, errors=sys.stderr.errors)

    def silence(self):
        with self._lock:
            if not self._num_silent:
                self._sink.seek(0)
                self._sink.truncate()
                os.dup2(self._sink.fileno(), 2)
            self._num_silent += 1

    def restore(self, show):
        """Args: show (bool): what was printed meanwhile goes to the terminal after all"""
        with self._lock:
            self._num_silent -= 1
            if not self._num_silent:
                os.dup2(self._terminal, 2)
            if show:
                self._sink.seek(0)
                os.write(self._terminal, self._sink.read())


@contextlib.contextmanager
def silenced_native(show_on_error=False):
    """
    A context in which a command keeps from the terminal what native libraries print to file descriptor 2. Python's
    stderr is heard, and another program's descriptors are left alone.

    Args:
        show_on_error (bool): show it after all when an exception leaves the context
    """
    if _native_stderr is None:
        yield
        return
    _native_stderr.silence()
    failed = True
    try:
        yield
        failed = False
    finally:
        _native_stderr.restore(show=failed and show_on_error)


IS_COMMAND = _is_own_command()
_native_stderr = _NativeStderr() if IS_COMMAND and sys.stderr else None
if IS_COMMAND:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")    # of TensorFlow's C++ log, only what is fatal
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")    # what goes wrong with a file is said in our words
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")    # NumPy's products here are small, threads only slow them down


def _not_in_environment(error):
    sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {error.name} is not installed for {sys.executable}; "
                     "run `make setup` once, then `. .venv/bin/activate`\n")
    sys.exit(2)


try:
    # TensorFlow announces its CUDA plug-ins before its log level can be set
    with silenced_native(show_on_error=True):
        import tensorflow as tf
        import tensorpack
        import tqdm
        from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
        from tensorpack.tfutils.sesscreate import NewSessionCreator
except ModuleNotFoundError as e:
    if not IS_COMMAND:
        raise
    _not_in_environment(e)

tf.compat.v1.disable_control_flow_v2()    # loops and conditions as plain ops of the one graph


# commands -----------------------------------------------------------------------------------------------------------
def exit_on_user_error(main):
    """
    Run a command's `main()`; end with one line on stderr and status 2 when it raises `UserError`.

    Args:
        main (callable): without arguments
    """
    try:
        main()
    except UserError as e:
        sys.stderr.write(f"{_command_name()}: {e}\n")
        sys.stderr.flush()
        sys.exit(2)
    except BrokenPipeError:
        # who read the output, such as `head`, has seen enough; the interpreter would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _command_name():
    """Returns: str, the file of a command, or the folder of one that is a package"""
    folder, name = os.path.split(sys.argv[0])
    return os.path.basename(folder) if name == "__main__.py" else name


class ArgumentParser(argparse.ArgumentParser):
    """A parser whose complaint about the command line is one line."""

    def error(self, message):
        raise UserError(f"{message}; see {self.prog} --help")


def warn(line):
    """Print a line on stderr, above a progress bar that may be there."""
    tqdm.tqdm.write(line, file=sys.stderr)


# files --------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def whole_file(path, mode="w", **kwargs):
    """
    A context with a file that takes its place at `path` when the context ends, and not where it ends in an exception:
    what was there before stays until the new file is whole.

    Args:
        path (str)
        mode (str), kwargs: as of `open`

    Raises:
        UserError: it cannot be written
    """
    partial = f"{path}.{os.getpid()}.tmp"
    with writing(path):
        try:
            with open(partial, mode, **kwargs) as f:
                yield f
            os.replace(partial, path)
        finally:
            with contextlib.suppress(OSError):
                os.remove(partial)


@contextlib.contextmanager
def writing(path):
    """A context in which a failure to write a file is a UserError."""
    try:
        yield
    except OSError as e:
        raise UserError(f"cannot write {path} ({e.strerror}); see that there is room and that you may write there, or "
                        "choose another place") from None


# TensorFlow ---------------------------------------------------------------------------------------------------------
@functools.cache
def visible_gpus():
    """Returns: int, how many GPUs TensorFlow sees"""
    with silenced_native(show_on_error=True):
        return len(tf.config.list_physical_devices("GPU"))


class QuietSessionCreator(NewSessionCreator):
    """Creates tensorpack's session without what TensorFlow has to say about it."""

    def __init__(self):
        super().__init__()
        # tensorpack's default is one thread for an op, as suits a GPU
        self.config.intra_op_parallelism_threads = 0
        # this optimizer is of no use here, and writes an error for every CropAndResize, whose cost it cannot predict
        self.config.graph_options.rewrite_options.memory_optimization = RewriterConfig.NO_MEM_OPT

    def create_session(self):
        first = tf.no_op(name="first_run")
        with silenced_native(show_on_error=True):
            sess = super().create_session()
            sess.run(first)
            return sess


# the log ------------------------------------------------------------------------------------------------------------
def _is_ours_or_warning(record):
    """Passes the project's own log records, and of tensorpack's only warnings and errors."""
    return record.levelno >= logging.WARNING or not record.pathname.startswith(os.path.dirname(tensorpack.__file__))


def _is_warning(record):
    return record.levelno >= logging.WARNING


@contextlib.contextmanager
def quiet_log():
    """A context in which a program that imports this project sees only warnings of its log; a command sees it all."""
    handler = logging.getLogger("tensorpack").handlers[0]
    if not IS_COMMAND:
        handler.addFilter(_is_warning)
    try:
        yield
    finally:
        handler.removeFilter(_is_warning)


if IS_COMMAND:
    logging.getLogger("tensorpack").handlers[0].addFilter(_is_ours_or_warning)
    logging.raiseExceptions = False    # tensorpack's record of a failed training is malformed
