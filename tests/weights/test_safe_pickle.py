"""Pickles that are read without running what they name."""
import collections
import os
import pickle
import struct

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest

from weights import safe_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = str(tmp_path / "w.pkl")
        with open(path, "wb") as f:
            f.write(content)
        return path
    return write


def message_of(path):
    with pytest.raises(UserError) as error:
        safe_pickle.load(path)
    message = str(error.value)
    assert message.isprintable() and path in message
    return message


# what is read -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(12)[::3], np.arange(3, dtype=">i4"), np.float16([1, 2]), np.array([True, False]), np.zeros((0, 3)),
    np.array(3.5), np.array([1 + 2j])],
    ids=["float32", "fortran", "strided", "big-endian", "float16", "bool", "empty", "0-d", "complex"])
def test_an_array_comes_back_as_it_was(write, array, protocol):
    found = safe_pickle.load(write(pickle.dumps(array, protocol)))
    assert isinstance(found, np.ndarray) and found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_strings_and_containers_come_back_as_they_were(write, protocol):
    content = {"a": [1, 2.5, True, None, 10 ** 30], "b": ("text", "ümlaut"), "c": {1, 2}, "d": b"bytes", "e": b"",
               "f": {"nested": {}}}
    assert safe_pickle.load(write(pickle.dumps(content, protocol))) == content


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scalar", [np.float32(1.5), np.int64(-3), np.bool_(True)])
def test_numpy_scalars_come_back_as_they_were(write, scalar, protocol):
    found = safe_pickle.load(write(pickle.dumps(scalar, protocol)))
    assert found == scalar and found.dtype == scalar.dtype and found.shape == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_ordered_dict_with_attributes_comes_back_as_a_dict(write, protocol):
    content = collections.OrderedDict(b=1, a=2)
    content._metadata = {"version": 1}
    found = safe_pickle.load(write(pickle.dumps(content, protocol)))
    assert list(found.items()) == [("b", 1), ("a", 2)]


def test_one_array_under_two_names_is_read(write):
    array = np.ones(2)
    found = safe_pickle.load(write(pickle.dumps({"a": array, "b": array})))
    np.testing.assert_array_equal(found["b"], array)


def python2_pickle(protocol):
    """{'w': float32 [1, -2], 's': float64 0.5} as cPickle of Python 2.7 with NumPy 1.11 writes it, bytes as str."""
    data, number = np.float32([1, -2]).tobytes(), np.float64(0.5).tobytes()
    if protocol == 2:
        def text(value):
            return b"U" + bytes([len(value)]) + value
        dtype_state = b"(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        return (b"\x80\x02}q\x00(" + text(b"w") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
                + text(b"b") + b"\x87R(K\x01K\x02\x85cnumpy\ndtype\n" + text(b"f4") + b"K\x00K\x01\x87R" + dtype_state
                + b"\x89" + text(data) + b"tb" + text(b"s") + b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n"
                + text(b"f8") + b"K\x00K\x01\x87R" + dtype_state + text(number) + b"\x86Ru.")

    def text(value):    # protocol 0 escapes as a string literal does
        return b"S'" + b"".join(b"\\x%02x" % b for b in value) + b"'\n"
    dtype_state = b"(I3\n" + text(b"<") + b"NNNI-1\nI-1\nI0\ntb"
    return (b"(dp0\n" + text(b"w") + b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + text(b"b")
            + b"tR(I1\n(I2\ntcnumpy\ndtype\n(" + text(b"f4") + b"I0\nI1\ntR" + dtype_state + b"I00\n" + text(data)
            + b"tbs" + text(b"s") + b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text(b"f8")
            + b"I0\nI1\ntR" + dtype_state + text(number) + b"tRs.")


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_pickle_of_python_2_is_read(write, protocol):
    found = safe_pickle.load(write(python2_pickle(protocol)))
    assert found["w"].dtype == np.float32 and found["w"].tolist() == [1, -2] and found["s"] == 0.5


# what is refused ----------------------------------------------------------------------------------------------------
class Harmful:
    """Makes a folder when it is unpickled by `pickle`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_is_refused_by_name_and_not_made(write, tmp_path, protocol):
    content = pickle.dumps({"w": np.ones(2), "x": Harmful(str(tmp_path / "harm"))}, protocol)
    assert "mkdir: only NumPy arrays, numbers, strings and containers are read" in message_of(write(content))
    assert not (tmp_path / "harm").exists()
    pickle.loads(content)
    assert (tmp_path / "harm").exists()    # the pickle does harm elsewhere


class Plain:
    pass


@pytest.mark.parametrize("content", [Plain(), Plain, print, range(3), 1j, np.dtype("f4").type, bytearray(b"x"),
                                     collections.Counter("a"), collections.defaultdict(list), slice(1)],
                         ids=["object", "class", "function", "range", "complex", "type", "bytearray", "counter",
                              "defaultdict", "slice"])
def test_what_is_no_array_number_string_or_container_is_refused(write, content):
    message = message_of(write(pickle.dumps({"w": content}, 2)))
    assert " holds " in message and "save the weights as a dict of NumPy arrays" in message


@pytest.mark.parametrize("name", [
    b"builtins\neval", b"__builtin__\neval", b"builtins\ngetattr", b"os\nsystem", b"numpy\nload", b"numpy\nfromfile",
    b"numpy.core.multiarray\nfromstring", b"numpy\n_reconstruct", b"collections\nnamedtuple", b"_codecs\ndecode",
    b"copyreg\n_reconstructor", b"builtins\nbytearray", b"common\nUserError", b"weights.safe_pickle\n_Array"])
def test_names_near_the_allowed_ones_are_refused(write, name):
    named = name.decode().replace("\n", ".")
    assert f"holds {named}: only NumPy" in message_of(write(b"c" + name + b"\n."))


def test_a_dotted_name_does_not_lead_from_an_allowed_one_to_another(write):
    content = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    assert "holds collections.OrderedDict.fromkeys" in message_of(write(content))


def test_tensors_of_pytorch_are_refused_with_the_remedy(write):
    message = message_of(write(b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n."))
    assert "holds torch._utils._rebuild_tensor_v2" in message and "as a dict of NumPy arrays" in message


def test_a_file_of_torch_save_is_refused_with_the_remedy(write):
    message = message_of(write(b"PK\x03\x04" + bytes(100)))
    assert "a zip archive, as torch.save writes it" in message and "as a dict of NumPy arrays" in message


@pytest.mark.parametrize("array", [np.array([{}, None]), np.array(["text"]), np.array([b"text"]),
                                   np.zeros(2, [("x", "f4")]), np.zeros(2, "M8[s]")],
                         ids=["object", "text", "bytes", "struct", "date"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_of_anything_but_numbers_is_refused(write, array, protocol):
    assert "holds an array of type" in message_of(write(pickle.dumps(array, protocol)))


def test_a_name_with_control_characters_is_shown_as_one_line(write):
    content = b"\x80\x04\x8c\x02os\x8c\x08a\nb\x1b[31m\x93."
    assert "holds os.a\\nb\\x1b[31m" in message_of(write(content))


# hostile arguments of what is allowed -------------------------------------------------------------------------------
def reduce_pickle(module, name, *args):
    """A pickle that calls module.name(*args) ; an argument of bytes is pickle code that pushes it."""
    pushed = [a if isinstance(a, bytes) else pickle.dumps(a, 2)[2:-1] for a in args]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(pushed) + b"tR."


FLOAT32 = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4I0\nI1\ntR"


@pytest.mark.parametrize("content", [
    reduce_pickle("builtins", "bytes", 10 ** 12),
    reduce_pickle("numpy", "ndarray", (10 ** 12,)),
    reduce_pickle("numpy", "dtype", ("f4", (10 ** 6,) * 3)),
    reduce_pickle("numpy", "dtype", "f4," * 1000),
    reduce_pickle("numpy", "dtype", {"names": ["a"], "formats": ["O"]}),
    reduce_pickle("_codecs", "encode", "x", "rot13"),
    reduce_pickle("_codecs", "encode", 10 ** 12, "latin1"),
    reduce_pickle("numpy.core.multiarray", "scalar", FLOAT32, b"U\x03abc"),
    reduce_pickle("numpy.core.multiarray", "scalar", b"N", b"U\x03abc"),
    reduce_pickle("numpy.core.numeric", "_frombuffer", b"U\x04abcd", FLOAT32, (10 ** 12,), "C"),
    reduce_pickle("numpy.core.numeric", "_frombuffer", b"U\x04abcd", FLOAT32, (-1, -1), "C"),
    reduce_pickle("numpy.core.numeric", "_frombuffer", b"U\x00", FLOAT32, (0, 10 ** 30), "C"),
    reduce_pickle("numpy.core.numeric", "_frombuffer", b"U\x04abcd", FLOAT32, (1.0,), "C"),
    reduce_pickle("numpy.core.numeric", "_frombuffer", b"U\x04abcd", FLOAT32, (1,) * 200, "C"),
])
def test_hostile_arguments_are_refused_without_allocating(write, content):
    assert len(message_of(write(content))) < 500


@pytest.mark.parametrize("state", [
    (1, (10 ** 12,), FLOAT32, False, b"U\x00"), (1, (2,), FLOAT32, False, b"U\x04abcd"),
    (1, (1,), FLOAT32, False, [1.0]), (1, (1,), b"N", False, b"U\x04abcd"), (1,), 7, {"shape": (3,)}])
def test_the_state_of_an_array_must_belong_together(write, state):
    def push(value):
        if isinstance(value, bytes):
            return value
        if isinstance(value, tuple) and bytes in map(type, value):
            return b"(" + b"".join(map(push, value)) + b"t"
        return pickle.dumps(value, 2)[2:-1]

    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    message_of(write(b"\x80\x02" + array + push(state) + b"b."))


@pytest.mark.parametrize("name", [b"numpy\nndarray", b"numpy\ndtype", b"collections\nOrderedDict", b"_codecs\nencode"])
@pytest.mark.parametrize("state", [b"}U\x04nameK\x01s", b"N}U\x0c__setstate__NsU\x06dtypeK\x01s\x86"],
                         ids=["attributes", "slots"])
def test_a_pickle_cannot_change_what_it_calls(write, name, state):
    before = safe_pickle.load(write(pickle.dumps(np.ones(2))))
    message_of(write(b"\x80\x02c" + name + b"\n" + state + b"b."))
    np.testing.assert_array_equal(safe_pickle.load(write(pickle.dumps(np.ones(2)))), before)


@pytest.mark.parametrize("content", [b"Nr\xff\xff\xff\x7f.", b"Np2000000000\n.", b"Np-1\n."])
def test_a_huge_number_of_an_object_is_refused_before_it_fills_the_memory(write, content):
    assert "has the number" in message_of(write(b"\x80\x02" + content))


@pytest.mark.parametrize("opcode", [b"B" + struct.pack("<I", 2 ** 31), b"\x8e" + struct.pack("<Q", 2 ** 62),
                                    b"\x8d" + struct.pack("<Q", 2 ** 40), b"\x96" + struct.pack("<Q", 2 ** 63)])
def test_a_length_beyond_the_end_of_the_file_is_refused(write, opcode):
    assert "cannot be read as a pickle" in message_of(write(b"\x80\x05" + opcode + b"abc."))


def test_a_reference_to_an_object_elsewhere_is_refused(write):
    assert "cannot be read as a pickle" in message_of(write(b"Pname\n."))


# broken files -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", bytes(1000), b"\x80\x02.", b"\x80\x63N."],
                         ids=["empty", "text", "zeros", "no value", "unknown protocol"])
def test_what_is_no_pickle_is_named(write, content):
    assert "cannot be read as a pickle" in message_of(write(content))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_was_cut_anywhere_is_named(write, protocol):
    content = pickle.dumps({"w": np.ones(3, np.float32), "x": [1, "a"]}, protocol)
    for end in range(len(content)):
        assert "fetch or export it again" in message_of(write(content[:end]))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_which_any_byte_changed_is_read_or_refused(write, protocol):
    content = pickle.dumps({"w": np.ones(3, np.float32), "x": [1, "a"]}, protocol)
    escaped = set()
    for i in range(len(content)):
        for flip in (0x01, 0x55, 0xff):
            try:
                safe_pickle.load(write(content[:i] + bytes([content[i] ^ flip]) + content[i + 1:]))
            except UserError:
                pass
            except Exception as e:
                escaped.add(repr(e))
    assert escaped == set()


def test_a_missing_file_is_named(tmp_path):
    assert "cannot be read as a pickle" in message_of(str(tmp_path / "gone.pkl"))
