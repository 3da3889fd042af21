"""Pickles of NumPy arrays, numbers, strings and containers, read without running anything that they name."""
import math
import pickle
import pickletools
import re

from common import UserError

import numpy as np

REFUSED = ("only NumPy arrays, numbers, strings and containers are read from a pickle, and nothing in it is run; "
           "save the weights as a dict of NumPy arrays")
NUMERIC = re.compile(r"[biufc]\d{1,2}")


class _Array(np.ndarray):
    """An array that takes its content from a pickle after a check that its shape, type and bytes belong together."""

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, data = state
        dtype, data = dtype.dtype, _as_bytes(data)
        if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"an array of shape {shape} and type {dtype} holds {len(data)} bytes")
        super().__setstate__((1, tuple(shape), dtype, bool(is_fortran), data))


class _Dtype:
    """The type of an array's numbers, as NumPy pickles it: numpy.dtype("f4", False, True), then its byte order."""

    def __init__(self, code, *_):
        if not NUMERIC.fullmatch(code):
            raise _Refused(f"an array of type {code}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Dict(dict):
    """What stands for an OrderedDict."""

    def __setstate__(self, state):
        """Attributes, which PyTorch adds to the dict of a model, are dropped."""


class _Call:
    """A function that a pickle can call but not change."""

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a function has no state")


class _Refused(Exception):
    """The pickle holds what is not read. The message says what."""


def _as_bytes(data):
    return data.encode("latin1") if isinstance(data, str) else bytes(data)    # str in a pickle of Python 2


def _array(shape, dtype, is_fortran, data):
    array = np.ndarray.__new__(_Array, 0, np.uint8)
    array.__setstate__((1, shape, dtype, is_fortran, data))
    return array


def _encode(text, encoding):
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unknown encoding {encoding!r}")
    return text.encode("latin1")


# What the names in a pickle stand for. None of NumPy's own functions is called with what the pickle gives them.
STAND_INS = {
    "ndarray": _Call(None),    # a mere argument of _reconstruct
    "dtype": _Dtype,
    "_reconstruct": _Call(lambda *_: np.ndarray.__new__(_Array, 0, np.uint8)),
    "_frombuffer": _Call(lambda data, dtype, shape, order: _array(shape, dtype, order == "F", data)),
    "scalar": _Call(lambda dtype, data: _array((), dtype, False, data)[()]),
    "OrderedDict": _Dict,
    "encode": _Call(_encode),
    # how Python 3 writes empty bytes and sets for Python 2
    "bytes": _Call(lambda: b""),
    "set": _Call(set)}

ALLOWED = {
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"), "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",), "numpy._core.numeric": ("_frombuffer",),
    "collections": ("OrderedDict",),
    "_codecs": ("encode",),
    "__builtin__": ("bytes", "set"), "builtins": ("bytes", "set")}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name in ALLOWED.get(module, ()):
            return STAND_INS[name]
        raise _Refused(f"{module}.{name}")


def _one_line(text):
    return ascii(text)[1:-1][:160]


def _check_memo(f):
    """A pickle numbers its objects; a huge number would make Python fill the memory with an empty table."""
    count = 0
    while True:
        try:
            for opcode, argument, _ in pickletools.genops(f):
                count += 1
                if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= argument <= count:
                    raise pickle.UnpicklingError(f"object {count} has the number {argument}")
            break
        except UnicodeDecodeError:    # it takes strings of Python 2 for ASCII; go on behind this one
            pass
    f.seek(0)


def load(path):
    """
    Args:
        path (str): a file written by `pickle` of Python 2 or 3; strings of Python 2 are read as latin1

    Returns:
        what it holds: dict, list, tuple, set, str, bytes, int, float, bool, None, NumPy scalars and arrays of numbers

    Raises:
        UserError: it holds anything else, such as a class, a function or a PyTorch tensor, or is no whole pickle
    """
    try:
        with open(path, "rb") as f:
            if f.read(4) == b"PK\x03\x04":
                raise _Refused("a zip archive, as torch.save writes it")
            f.seek(0)
            _check_memo(f)
            return _Unpickler(f, encoding="latin1").load()
    except _Refused as e:
        raise UserError(f"{path} holds {_one_line(str(e))}: {REFUSED}") from None
    except Exception as e:    # what a damaged pickle raises depends on where it is damaged
        reason = _one_line(str(e) or type(e).__name__)
        raise UserError(f"{path} cannot be read as a pickle ({reason}); fetch or export it again") from None
