"""Pickles of NumPy arrays, numbers, strings and containers, read without running anything that they name."""
import contextlib
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
            raise Refused(f"an array of type {code}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Dict(dict):
    """What stands for an OrderedDict."""

    def __setstate__(self, state):
        """Attributes, which PyTorch adds to the dict of a model, are dropped."""


class Call:
    """A function that a pickle can call but not change."""

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a function has no state")


class Refused(Exception):
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


_RECONSTRUCT = Call(lambda *_: np.ndarray.__new__(_Array, 0, np.uint8))
_SCALAR = Call(lambda dtype, data: _array((), dtype, False, data)[()])
_FROMBUFFER = Call(lambda data, dtype, shape, order: _array(shape, dtype, order == "F", data))
_NO_BYTES, _SET = Call(lambda: b""), Call(set)    # how Python 3 writes empty bytes and sets for Python 2

# What the names in a pickle stand for. None of NumPy's own functions is called with what the pickle gives them.
STAND_INS = {
    "numpy.ndarray": Call(None),    # a mere argument of _reconstruct
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT, "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.core.multiarray.scalar": _SCALAR, "numpy._core.multiarray.scalar": _SCALAR,
    "numpy.core.numeric._frombuffer": _FROMBUFFER, "numpy._core.numeric._frombuffer": _FROMBUFFER,
    "collections.OrderedDict": _Dict,
    "_codecs.encode": Call(_encode),
    "__builtin__.bytes": _NO_BYTES, "builtins.bytes": _NO_BYTES, "__builtin__.set": _SET, "builtins.set": _SET}


class _Unpickler(pickle.Unpickler):
    def __init__(self, f, stand_ins, persistent_load):
        super().__init__(f, encoding="latin1")
        self._stand_ins, self._persistent_load = stand_ins, persistent_load

    def find_class(self, module, name):
        if f"{module}.{name}" not in self._stand_ins:
            raise Refused(f"{module}.{name}")
        return self._stand_ins[f"{module}.{name}"]

    def persistent_load(self, pid):
        if self._persistent_load is None:
            raise pickle.UnpicklingError("it refers to an object elsewhere")
        return self._persistent_load(pid)


def one_line(text):
    """Returns: str, what may be long or have control characters, for a message"""
    return ascii(text)[1:-1][:160]


def _check_memo(f):
    """A pickle numbers its objects; a huge number would make Python fill the memory with an empty table."""
    start, count = f.tell(), 0
    while True:
        try:
            for opcode, argument, _ in pickletools.genops(f):
                count += 1
                if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= argument <= count:
                    raise pickle.UnpicklingError(f"object {count} has the number {argument}")
            break
        except UnicodeDecodeError:    # it takes strings of Python 2 for ASCII; go on behind this one
            pass
    f.seek(start)


def read(f, stand_ins=STAND_INS, persistent_load=None):
    """
    The next pickle of a file.

    Args:
        f (file): opened for bytes
        stand_ins (dict): what a dotted name in it stands for
        persistent_load (callable): from the id of what it has elsewhere to that; without it there is nothing such

    Raises:
        Refused: it names what does not stand for anything
        Exception: of any kind, where it is damaged
    """
    _check_memo(f)
    return _Unpickler(f, stand_ins, persistent_load).load()


@contextlib.contextmanager
def explained(path, remedy=REFUSED):
    """A context in which whatever goes wrong with the pickle at `path` is a UserError of one line."""
    try:
        yield
    except Refused as e:
        raise UserError(f"{path} holds {one_line(str(e))}: {remedy}") from None
    except Exception as e:    # what a damaged pickle raises depends on where it is damaged
        reason = one_line(str(e) or type(e).__name__)
        raise UserError(f"{path} cannot be read as a pickle ({reason}); fetch or export it again") from None


def load(path):
    """
    Args:
        path (str): a file written by `pickle` of Python 2 or 3; strings of Python 2 are read as latin1

    Returns:
        what it holds: dict, list, tuple, set, str, bytes, int, float, bool, None, NumPy scalars and arrays of numbers

    Raises:
        UserError: it holds anything else, such as a class, a function or a PyTorch tensor, or is no whole pickle
    """
    with explained(path), open(path, "rb") as f:
        if f.read(4) == b"PK\x03\x04":
            raise Refused("a zip archive, as torch.save writes it")
        f.seek(0)
        return read(f)
