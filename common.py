"""What several parts share. Importing this module prepares TensorFlow and comes before any other import of it."""
import argparse
import contextlib
import glob
import hashlib
import logging
import os
import sys
import tempfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"    # tensorpack's layers are Keras 2 layers
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")    # of TensorFlow's C++ log, only what is fatal
# without it, every large tensor comes from the system as new pages, which takes longer than filling it
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")    # what goes wrong with a file is said in our words
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")    # NumPy's products here are small, threads only slow them down


class UserError(Exception):
    """A mistake that the user can mend. Its message is one line that names the thing and says what to do."""


@contextlib.contextmanager
def silenced_stderr():
    """Keep from the terminal what libraries print to file descriptor 2; show it after all when an exception escapes."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            sink.seek(0)
            os.write(saved, sink.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _not_in_environment(error):
    sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {error.name} is not installed for {sys.executable}; "
                     "run `make setup` once, then `. .venv/bin/activate`\n")
    sys.exit(2)


try:
    # TensorFlow announces its CUDA plug-ins before its log level can be set
    with silenced_stderr():
        import numpy as np
        import tensorflow as tf
        import tensorpack
        import tqdm
        from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
        from tensorflow.python.framework.test_util import IsMklEnabled
        from tensorpack.tfutils.sesscreate import NewSessionCreator
except ModuleNotFoundError as e:
    _not_in_environment(e)

tf.compat.v1.disable_control_flow_v2()    # loops and conditions as plain ops of the one graph


def exit_on_user_error(main):
    """
    Run a command's `main()`; end with one line on stderr and status 2 when it raises `UserError`.

    Args:
        main (callable): without arguments
    """
    try:
        main()
    except UserError as e:
        sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {e}\n")
        sys.stderr.flush()
        sys.exit(2)
    except BrokenPipeError:
        # who read the output, such as `head`, has seen enough; the interpreter would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


class ArgumentParser(argparse.ArgumentParser):
    """A parser whose complaint about the command line is one line."""

    def error(self, message):
        raise UserError(f"{message}; see {self.prog} --help")


def warn(line):
    """Print a line on stderr, above a progress bar that may be there."""
    tqdm.tqdm.write(line, file=sys.stderr)


def visible_gpus():
    """Returns: int, how many GPUs TensorFlow sees"""
    with silenced_stderr():
        return len(tf.config.list_physical_devices("GPU"))


def lacks_onednn():
    """Returns: bool, whether this is a CPU on which TensorFlow does not take the kernels of oneDNN"""
    return not visible_gpus() and not IsMklEnabled()


def prepare_training():
    """
    To be called before a training. On a CPU the threads of TensorFlow's gradient of CropAndResize lose what two of them
    add to one pixel, which changes the backbone's gradient by some percent, unless TensorFlow is asked to be
    deterministic. A GPU loses nothing, and has no deterministic kernel of it.
    """
    if not visible_gpus():
        tf.config.experimental.enable_op_determinism()


def resize_shape(height, width, short_edge, max_size):
    """
    The size of an image whose short edge becomes `short_edge`, or less where the long edge would exceed `max_size`.

    Returns:
        (int, int): height and width, rounded, at least 1
    """
    scale = min(short_edge / min(height, width), max_size / max(height, width))
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


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


def digest(path):
    """
    Args:
        path (str): a file, or what the names of several begin with, as those of a checkpoint do

    Returns:
        str, a hash of their contents
    """
    found = hashlib.sha256()
    for name in [path] if os.path.isfile(path) else sorted(glob.glob(glob.escape(path) + ".*")):
        with open(name, "rb") as f:
            while block := f.read(2 ** 20):
                found.update(block)
    return found.hexdigest()


def pad_batch(images):
    """
    Stack images of different sizes, padded with zeros at the right and the bottom.

    Args:
        images (list): of uint8 (h, w, 3) arrays

    Returns:
        uint8 (B, H, W, 3), and int32 (B, 2): the true height and width of each image
    """
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int32)
    batch = np.zeros((len(images), *sizes.max(axis=0), 3), dtype=np.uint8)
    for padded, image, (h, w) in zip(batch, images, sizes):
        padded[:h, :w] = image
    return batch, sizes


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
        with silenced_stderr():
            sess = super().create_session()
            sess.run(first)
            return sess


class _ProjectOnly(logging.Filter):
    """Passes the project's own log records, and of tensorpack's only warnings and errors."""

    def filter(self, record):
        return record.levelno >= logging.WARNING or not record.pathname.startswith(os.path.dirname(tensorpack.__file__))


logging.getLogger("tensorpack").handlers[0].addFilter(_ProjectOnly())
logging.raiseExceptions = False    # tensorpack's record of a failed training is malformed
