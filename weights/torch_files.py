"""
Files of PyTorch's `torch.save` and of safetensors, read without PyTorch and without running anything that they name.

`torch.save` writes a zip archive: a pickle whose tensors refer to files of raw numbers beside it. Before PyTorch 1.6 it
wrote a stream: a magic number, two pickles on the writer, the pickle of the object, that of the keys of its storages,
and the storages in that order, each with its length before it.
"""
import math
import os
import zipfile
from typing import NamedTuple

from common import UserError

import numpy as np
import safetensors.numpy
import tensorflow as tf

from weights import safe_pickle
from weights.safe_pickle import Refused, explained

BFLOAT16 = tf.bfloat16.as_numpy_dtype
REFUSED = ("only tensors, numbers, strings and containers are read from a file of torch.save, and nothing in it is "
           "run; save the model's state_dict()")
_MAGIC = 0x1950A86A20F9469CFC6C    # of the stream
_DTYPES = {
    "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": BFLOAT16,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_}


class _StorageType(NamedTuple):
    dtype: np.dtype


class _Storage:
    """A list of numbers, which is read when all that refers to it is known."""

    def __init__(self, dtype, length):
        self.dtype, self.length, self.content = np.dtype(dtype), length, b""

    def __setstate__(self, state):
        raise Refused("a storage with a state")

    @property
    def num_bytes(self):
        return self.length * self.dtype.itemsize


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides are in numbers."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """Raises: Refused: it is no view of its storage, or has numbers of it twice"""
        numbers = np.frombuffer(self.storage.content, self.storage.dtype)
        if len(self.shape) != len(self.strides) or not all(
                type(n) is int and 0 <= n < 2 ** 40 for n in (self.offset, *self.shape, *self.strides)):
            raise Refused(f"a tensor of shape {self.shape} and strides {self.strides}")
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides))
        size = math.prod(self.shape)
        if size > len(numbers) or size and last >= len(numbers):
            raise Refused(f"a tensor of shape {self.shape} in {len(numbers)} numbers")
        return np.lib.stride_tricks.as_strided(
            numbers[self.offset:], self.shape, [stride * numbers.itemsize for stride in self.strides], writeable=False)


def _tensor(storage, offset, shape, strides, *_):
    if not isinstance(storage, _Storage):
        raise Refused("a tensor of something else than numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_STAND_INS = {
    **safe_pickle.STAND_INS,
    "torch._utils._rebuild_tensor": safe_pickle.Call(_tensor),
    "torch._utils._rebuild_tensor_v2": safe_pickle.Call(_tensor),
    "torch._utils._rebuild_parameter": safe_pickle.Call(lambda tensor, *_: tensor),
    "torch.Size": safe_pickle.Call(tuple),
    **{f"torch.{name}Storage": _StorageType(dtype) for name, dtype in _DTYPES.items()}}


class _Storages:
    """The storages that a pickle refers to, by their keys."""

    def __init__(self):
        self.by_key = {}

    def __call__(self, pid):
        kind, storage_type, key, _, length = pid[:5]
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise Refused("a model and not its state dict")
        if type(length) is not int or length < 0 or any(view is not None for view in pid[5:]):
            raise Refused("a storage without a length")
        return self.by_key.setdefault(key, _Storage(storage_type.dtype, length))


def load(path):
    """
    Args:
        path (str): a file of `torch.save`, or one of safetensors, whose name ends in .safetensors

    Returns:
        dict of name to array: of a state dict, or of the first dict in a dict that has tensors. bfloat16 comes as
        float32

    Raises:
        UserError: it has no tensors, names anything else than these, numbers, strings and containers, or is damaged
    """
    arrays = _load_safetensors(path) if path.endswith(".safetensors") else _load_pickled(path)
    arrays = {name: array for name, array in arrays.items() if name.isprintable()}    # no program writes others
    return {name: array.astype(np.float32) if array.dtype == BFLOAT16 else array for name, array in arrays.items()}


def _load_pickled(path):
    with explained(path, REFUSED):
        content = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        inner = content.values() if isinstance(content, dict) else ()
        for state in filter(lambda value: isinstance(value, dict), [content, *inner]):
            arrays = {str(name): value.array() for name, value in state.items() if isinstance(value, _Tensor)}
            # that two names share their numbers is usual
            if sum(array.nbytes for array in arrays.values()) > 4 * os.path.getsize(path):
                raise Refused("the same numbers under many names")
            if arrays:
                return arrays
        raise Refused("no tensors by their names")


def _load_safetensors(path):
    try:
        return safetensors.numpy.load_file(path)
    except Exception as e:    # AttributeError for types that NumPy lacks, among others
        reason = safe_pickle.one_line(str(e) or type(e).__name__)
        raise UserError(f"{path} cannot be read as safetensors ({reason}); fetch or export it again") from None


def _read_zip(path):
    """Returns: what the pickle of an archive holds, with its storages read"""
    storages = _Storages()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1:
            raise Refused("a zip archive without a pickle of torch.save")
        folder = names[0].rpartition("/")[0]
        if archive.getinfo(names[0]).compress_type != zipfile.ZIP_STORED:
            raise Refused("a compressed archive, which torch.save does not write")
        with archive.open(names[0]) as f:
            content = safe_pickle.read(f, _STAND_INS, storages)
        entries = {key: archive.getinfo(f"{folder}/data/{key}") for key in storages.by_key}
        # no entry grows, and none is there twice
        if sum(entry.file_size for entry in entries.values()) > os.path.getsize(path):
            raise Refused("more numbers than its size allows")
        for key, storage in storages.by_key.items():
            storage.content = archive.read(entries[key])
    for storage in storages.by_key.values():
        if len(storage.content) != storage.num_bytes:
            raise Refused(f"{storage.length} numbers in {len(storage.content)} bytes")
    return content


def _read_stream(path):
    """Returns: what the pickle of a stream holds, with its storages read"""
    storages = _Storages()
    with open(path, "rb") as f:
        if safe_pickle.read(f) != _MAGIC:
            raise Refused("no state dict of torch.save")
        safe_pickle.read(f)
        system = safe_pickle.read(f)
        if not system["little_endian"]:
            raise Refused("numbers of a big-endian machine")
        content = safe_pickle.read(f, _STAND_INS, storages)
        for key in safe_pickle.read(f):
            length = int.from_bytes(f.read(8), "little")
            storage = storages.by_key[key]
            if length != storage.length or storage.num_bytes > os.path.getsize(path):
                raise Refused(f"a storage of {length} numbers in place of {storage.length}")
            storage.content = f.read(storage.num_bytes)
            if len(storage.content) != storage.num_bytes:
                raise EOFError("it was cut short")
    return content
