"""Weight files: reading them, whoever wrote them, and writing .npz."""
import glob
import hashlib
import os
import zipfile
import zlib

from common import UserError, whole_file

import numpy as np
from tensorpack import tfv1

from weights import detectron, safe_pickle, torch_files, torchvision
from weights.fit import is_network

TORCH_SUFFIXES = (".pth", ".pt", ".safetensors")
SUFFIXES = (".npz", ".pkl", *TORCH_SUFFIXES)    # of weight files


def read_weights(path):
    """
    Args:
        path (str): an .npz file, a .pkl of Detectron or Detectron2, a .pth, .pt or .safetensors of torchvision or
            Detectron2, or a checkpoint

    Returns:
        dict of variable name (without ":0") to array; what of others has no counterpart here keeps its name

    Raises:
        UserError: the file is broken or of another format
    """
    if path.endswith(".pkl"):
        return detectron.convert(path, safe_pickle.load(path))
    if path.endswith(TORCH_SUFFIXES):
        arrays = torch_files.load(path)
        return (torchvision if torchvision.is_torchvision(arrays) else detectron).convert(path, arrays)
    try:
        if path.endswith(".npz"):
            with zipfile.ZipFile(path):    # np.load takes other formats too
                arrays = np.load(path, allow_pickle=False)
            with arrays:
                weights = {name: arrays[name] for name in arrays.files if name.isprintable()}
        else:
            reader = tfv1.train.load_checkpoint(path)
            weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    # a damaged file fails in many ways
    except (OSError, ValueError, EOFError, IndexError, RuntimeError, zlib.error, zipfile.BadZipFile,
            tfv1.errors.OpError) as e:
        reason = (str(e).splitlines() or [type(e).__name__])[0]
        raise UserError(f"{path} cannot be read as weights ({reason}); fetch or export it again") from None
    return {name[:-2] if name.endswith(":0") else name: value for name, value in weights.items()}


def read_shapes(path):
    """
    Args:
        path (str): a checkpoint

    Returns:
        dict of variable name to an array of its shape and type, without content: little of the file is read
    """
    reader = tfv1.train.load_checkpoint(path)
    dtypes = reader.get_variable_to_dtype_map()
    return {name: np.broadcast_to(np.zeros((), dtypes[name].as_numpy_dtype), shape)
            for name, shape in reader.get_variable_to_shape_map().items()}


def save_weights(path, weights):
    """
    Write what belongs to a network of a dict of variable name to array as .npz, whole or not at all.

    Raises:
        UserError: nothing does, or the file cannot be written
    """
    weights = {name: value for name, value in weights.items() if is_network(name)}
    if not weights:
        raise UserError(f"{path} is not written: there are no weights of an R-CNN in the model")
    with whole_file(path, "wb") as f:
        np.savez(f, **weights)


def digest(path):
    """
    Args:
        path (str): a file, or what the names of several begin with, as those of a checkpoint do

    Returns:
        str, a hash of their contents
    """
    sha256 = hashlib.sha256()
    for name in [path] if os.path.isfile(path) else sorted(glob.glob(glob.escape(path) + ".*")):
        with open(name, "rb") as f:
            while block := f.read(2 ** 20):
                sha256.update(block)
    return sha256.hexdigest()
