"""Frozen networks that are kept in the user's cache folder, so that they load faster."""
import contextlib
import hashlib
import json
import os
import pathlib
import sys

import common
from common import UserError, whole_file

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.framework.test_util import IsMklEnabled

from config import inference_settings
from inference.frozen import freeze
from modeling.precision import layer_dtype
from weights.files import digest

# a graph follows from all that stands in these
PARTS = ("common.py", "config.py", "settings", "distributed", "modeling", "weights", "inference")


def freeze_cached(cfg, weights_path):
    """
    As `freeze`, but the graph is kept in `cache_folder`, and read from there as long as it follows from the same
    weights, settings and code. A file that is damaged or another user's counts as none. Where it cannot be written, the
    graph is made each time.
    """
    path, key = _path(weights_path), _key(cfg, weights_path)
    graph_def = _read(path, key)
    if graph_def is None:
        graph_def = freeze(cfg, weights_path)
        _write(path, key, graph_def.SerializeToString())
    return graph_def


def cache_folder():
    """
    Returns: str, the project's part of the user's cache folder: $XDG_CACHE_HOME, or what the system has in its place
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # by the XDG base directory specification a relative path counts as none
    if not os.path.isabs(base):
        base = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return os.path.join(base, "rcnn-one-graph")


def _path(weights_path):
    """Returns: str, of the one file that is kept for weights at that path"""
    where = hashlib.sha256(os.path.realpath(weights_path).encode()).hexdigest()
    return os.path.join(cache_folder(), f"{os.path.basename(weights_path)}-{where[:16]}.frozen")


def _key(cfg, weights_path):
    """Returns: bytes, one line of json, of all that the graph follows from"""
    machine = [layer_dtype(cfg.TEST.PRECISION, "TEST.PRECISION"), common.visible_gpus(), IsMklEnabled()]
    return json.dumps(
        [digest(weights_path), inference_settings(cfg), _code_digest(), tf.__version__, *machine]).encode()


def _code_digest():
    """Returns: str, a hash of the .py files of PARTS"""
    root, sha256 = pathlib.Path(common.ROOT), hashlib.sha256()
    for part in PARTS:
        for path in [root / part] if part.endswith(".py") else sorted((root / part).rglob("*.py")):
            sha256.update(f"{path.relative_to(root)} {digest(str(path))}\n".encode())
    return sha256.hexdigest()


def _read(path, key):
    """Returns: GraphDef, None where there is no whole one of that key that this user has written"""
    with contextlib.suppress(OSError, DecodeError), open(path, "rb") as f:
        if os.fstat(f.fileno()).st_uid != os.getuid():
            return None
        its_key, its_checksum, content = f.readline().strip(), f.readline().strip(), f.read()
        if its_key == key and its_checksum == _checksum(content):
            return tf.compat.v1.GraphDef.FromString(content)
    return None


def _write(path, key, content):
    try:
        with common.writing(path):
            _make_private(os.path.dirname(path))
        with whole_file(path, "wb") as f:
            f.write(b"\n".join([key, _checksum(content), content]))
    except UserError as e:
        common.warn(f"the frozen network is not kept: {e}")


def _make_private(folder):
    """Make a folder that no other user reads or writes. Raises: OSError: it cannot be made, or is another user's"""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)


def _checksum(content):
    return hashlib.sha256(content).hexdigest().encode()
