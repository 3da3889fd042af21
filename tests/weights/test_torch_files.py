"""Files of torch.save and of safetensors, the golden ones written by PyTorch 2.14, which are read without it."""
import json
import os
import pickle
import shutil
import zipfile

import common  # noqa: F401
from common import UserError

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from weights import torch_files


@pytest.fixture
def folder(golden):
    return os.path.join(golden, "torchvision")


def message_of(path):
    with pytest.raises(UserError) as error:
        torch_files.load(str(path))
    message = str(error.value)
    assert message.isprintable() and str(path) in message and len(message) < 600
    return message


def write_zip(path, content, storages=(), **kwargs):
    """An archive as torch.save writes it, of a pickle and of storages 0, 1, ..."""
    with zipfile.ZipFile(path, "w", **kwargs) as archive:
        archive.writestr("a/data.pkl", content)
        for key, storage in enumerate(storages):
            archive.writestr(f"a/data/{key}", storage)
    return path


class Global:
    """What is pickled as a dotted name of another program."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Made:
    """What is pickled as the call of a Global."""

    def __init__(self, module, name, *args):
        self.call = Global(module, name), args


class Storage:
    """What is pickled as a reference to a storage."""

    def __init__(self, *pid):
        self.pid = pid


class Pickler(pickle._Pickler):
    """Writes Globals, Mades and Storages, as another program's objects."""

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None

    def save(self, obj, *args, **kwargs):
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Made):
            self.save(obj.call[0])
            self.save(obj.call[1])
            self.write(pickle.REDUCE)
        else:
            super().save(obj, *args, **kwargs)


def dumps(obj, path):
    with open(path, "wb") as f:
        Pickler(f, protocol=2).dump(obj)
    return path.read_bytes()


def floats(key, length):
    return Storage("storage", Global("torch", "FloatStorage"), key, "cpu", length)


def tensor(storage, offset, shape, strides):
    return Made("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, {})


# what is read -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["kinds.pth", "kinds_stream.pth"])
def test_tensors_of_all_kinds_come_as_arrays(folder, name):
    expected = np.load(f"{folder}/kinds.npz")
    arrays = torch_files.load(f"{folder}/{name}")
    assert sorted(arrays) == sorted(expected.files)
    for key, array in arrays.items():
        assert array.shape == expected[key].shape
        np.testing.assert_array_equal(array, expected[key], key)
    assert (arrays["h"].dtype, arrays["b"].dtype, arrays["o"].dtype) == (np.float16, np.float32, np.int64)


@pytest.mark.parametrize("name", ["tiny.pth", "tiny_checkpoint.pth"])
def test_a_state_dict_is_found_also_in_the_dict_of_a_checkpoint(folder, name):
    expected = np.load(f"{folder}/tiny.npz")
    arrays = torch_files.load(f"{folder}/{name}")
    assert sorted(arrays) == sorted(expected.files)
    for key in expected.files:
        np.testing.assert_array_equal(arrays[key], expected[key])


def test_safetensors_come_as_arrays(tmp_path):
    path = str(tmp_path / "w.safetensors")
    ones = np.ones((2, 3), np.float32)
    safetensors.numpy.save_file({"a": ones, "b": ones.astype(tf.bfloat16.as_numpy_dtype)}, path)
    arrays = torch_files.load(path)
    assert arrays["a"].dtype == arrays["b"].dtype == np.float32
    np.testing.assert_array_equal(arrays["a"], ones)
    np.testing.assert_array_equal(arrays["b"], ones)


# what is refused ----------------------------------------------------------------------------------------------------
def test_a_whole_model_is_refused_with_the_remedy(folder):
    message = message_of(f"{folder}/model.pth")
    assert "holds torch.nn.modules.container.Sequential" in message and "save the model's state_dict()" in message


def test_nothing_that_a_file_names_is_run(tmp_path):
    victim = tmp_path / "victim"
    evil = {"a": Made("os", "system", f"touch {victim}"), "b": Made("builtins", "eval", "1")}
    path = write_zip(tmp_path / "w.pth", dumps(evil, tmp_path / "p"))
    assert "holds os.system" in message_of(path)
    assert not victim.exists()


@pytest.mark.parametrize("view", [
    (0, (5,), (1,)), (1, (4,), (1,)), (0, (2, 2), (3, 1)), (0, (-1,), (1,)), (0, (2,), (-1,)), (-1, (2,), (1,)),
    (0, (2,), (1, 1)), (0, (2 ** 62,), (0,)), (0, (2.0,), (1,)), (0, (100,), (0,))], ids=str)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, view):
    path = write_zip(tmp_path / "w.pth", dumps({"w": tensor(floats("0", 4), *view)}, tmp_path / "p"), [bytes(16)])
    assert "holds a tensor" in message_of(path)


def test_a_tensor_inside_of_its_storage_is_read(tmp_path):
    content = dumps({"w": tensor(floats("0", 4), 1, (3,), (1,))}, tmp_path / "p")
    path = write_zip(tmp_path / "w.pth", content, [np.arange(4, dtype=np.float32).tobytes()])
    np.testing.assert_array_equal(torch_files.load(str(path))["w"], [1, 2, 3])


def test_a_storage_that_grows_when_it_is_read_is_refused(tmp_path):
    content = dumps({"w": tensor(floats("0", 2 ** 24), 0, (2 ** 24,), (1,))}, tmp_path / "p")
    path = write_zip(tmp_path / "w.pth", content, [bytes(2 ** 26)], compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2 ** 20
    assert "compressed archive" in message_of(path)
    shutil.move(path, tmp_path / "other.pth")
    with zipfile.ZipFile(path, "w") as archive:    # the pickle as it is, the numbers compressed
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/data/0", bytes(2 ** 26), zipfile.ZIP_DEFLATED)
    assert "more numbers than its size allows" in message_of(path)


def test_a_storage_of_another_length_is_refused(tmp_path):
    content = dumps({"w": tensor(floats("0", 4), 0, (4,), (1,))}, tmp_path / "p")
    assert "4 numbers in 12 bytes" in message_of(write_zip(tmp_path / "w.pth", content, [bytes(12)]))


def test_a_missing_storage_is_refused(tmp_path):
    content = dumps({"w": tensor(floats("../../etc/passwd", 4), 0, (4,), (1,))}, tmp_path / "p")
    assert "cannot be read as a pickle" in message_of(write_zip(tmp_path / "w.pth", content, [bytes(16)]))


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"a": {"b": [1]}}, "text"], ids=str)
def test_a_file_without_tensors_is_refused(tmp_path, content):
    assert "no tensors by their names" in message_of(write_zip(tmp_path / "w.pth", dumps(content, tmp_path / "p")))


def test_another_zip_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "a zip archive without a pickle of torch.save" in message_of(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["tiny.pth", "kinds_stream.pth"])
def test_a_file_that_was_cut_anywhere_is_named(folder, tmp_path, name):
    with open(f"{folder}/{name}", "rb") as f:
        content = f.read()
    for length in range(0, len(content), 61):
        (tmp_path / "w.pth").write_bytes(content[:length])
        message_of(tmp_path / "w.pth")


# torch.save: what a zip archive can lie about -------------------------------------------------------------------------
@pytest.fixture
def archive(tmp_path):
    """A function that writes an archive of one tensor, changed in its bytes."""
    def archive(folder="a", change=bytes):
        content = dumps({"w": tensor(floats("0", 4), 0, (4,), (1,))}, tmp_path / "p")
        with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
            archive.writestr(f"{folder}/data.pkl", content)
            archive.writestr(f"{folder}/data/0", bytes(16))
        (tmp_path / "w.pth").write_bytes(change(bytearray((tmp_path / "w.pth").read_bytes())))
        return tmp_path / "w.pth"
    return archive


def in_directory(offset, value, entry=-1):
    """A change of an entry of an archive's directory, by default of the last."""
    def change(content):
        starts = [i for i in range(len(content)) if content[i:i + 4] == b"PK\x01\x02"]
        content[starts[entry] + offset:starts[entry] + offset + len(value)] = value
        return content
    return change


@pytest.mark.parametrize("folder", ["../../climbed", "/climbed", "a/../../climbed"])
def test_nothing_is_written_wherever_the_names_in_an_archive_lead(archive, tmp_path, folder):
    path = archive(folder)
    before = sorted(tmp_path.rglob("*"))
    assert torch_files.load(str(path)).keys() == {"w"}
    assert sorted(tmp_path.rglob("*")) == before and not os.path.exists("/climbed")


@pytest.mark.parametrize("change, reason", [
    (in_directory(24, b"\0\0\0\x80"), "more numbers than its size allows"),
    (in_directory(24, b"\xff\xff\xff\xff"), "more numbers than its size allows"),
    (in_directory(24, b"\5\0\0\0"), "Bad CRC-32"), (in_directory(20, b"\5\0\0\0"), "Bad CRC-32"),
    (in_directory(42, b"\0\0\0\x80"), "Truncated file header"), (in_directory(42, b"\0\0\0\0"), "differ"),
    (in_directory(8, b"\1", entry=0), "is encrypted"), (in_directory(24, b"\5\0\0\0", entry=0), "Bad CRC-32")],
    ids=["large", "zip64", "small", "small in the archive", "beyond the end", "another entry", "encrypted", "pickle"])
def test_an_archive_whose_directory_lies_is_refused(archive, change, reason):
    assert reason in message_of(archive(change=change))


@pytest.mark.parametrize("key", [("a",), ["x"], {"a": 1}, None, "\n\x1b[31m", "a" * 10 ** 5],
                         ids=["tuple", "list", "dict", "None", "control characters", "long"])
def test_a_storage_by_another_kind_of_key_is_refused(tmp_path, key):
    content = dumps({"w": tensor(floats(key, 4), 0, (4,), (1,))}, tmp_path / "p")
    assert "cannot be read as a pickle" in message_of(write_zip(tmp_path / "w.pth", content, [bytes(16)]))


def test_a_storage_under_very_many_names_is_refused_before_it_fills_the_memory(tmp_path):
    storage = Storage("storage", Global("torch", "BFloat16Storage"), "0", "cpu", 10 ** 5)
    content = dumps({f"w{i}": tensor(storage, 0, (10 ** 5,), (1,)) for i in range(100)}, tmp_path / "p")
    path = write_zip(tmp_path / "w.pth", content, [bytes(2 * 10 ** 5)])
    assert "the same numbers under many names" in message_of(path)


def test_names_with_control_characters_are_no_names(tmp_path):
    names = {"w": tensor(floats("0", 4), 0, (4,), (1,)), "a\n\x1b[31m": tensor(floats("0", 4), 0, (4,), (1,))}
    path = write_zip(tmp_path / "w.pth", dumps(names, tmp_path / "p"), [bytes(16)])
    assert torch_files.load(str(path)).keys() == {"w"}


# safetensors --------------------------------------------------------------------------------------------------------
def entry(start, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def safetensors_bytes(header, num_bytes, header_length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if header_length is None else header_length).to_bytes(8, "little") + text + bytes(num_bytes)


def test_the_bytes_of_these_tests_are_a_file(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(safetensors_bytes({"a": entry(0, 8), "b": entry(8, 16)}, 16))
    assert torch_files.load(str(tmp_path / "w.safetensors")).keys() == {"a", "b"}


@pytest.mark.parametrize("content", {
    "empty": b"", "no header": b"{}", "header beyond the end": safetensors_bytes({"a": entry(0, 8)}, 8, 10 ** 6),
    "huge header": b"\xff" * 8 + b"{}", "too long a header": safetensors_bytes({"a": entry(0, 8)}, 8, 2 * 10 ** 8),
    "no tensors' places": safetensors_bytes({"a": 1}, 0), "a list": safetensors_bytes([1, 2], 0),
    "no text": safetensors_bytes(b'{"\xff": 1}', 0), "deep": safetensors_bytes(b'{"a":' * 10 ** 5, 0),
    "overlapping": safetensors_bytes({"a": entry(0, 8), "b": entry(4, 12)}, 12),
    "one place twice": safetensors_bytes({"a": entry(0, 8), "b": entry(0, 8)}, 8),
    "cut short": safetensors_bytes({"a": entry(0, 8)}, 4),
    "beyond the end": safetensors_bytes({"a": entry(2 ** 40, 2 ** 40 + 8)}, 8),
    "backwards": safetensors_bytes({"a": entry(8, 0)}, 8), "negative": safetensors_bytes({"a": entry(-8, 0)}, 8),
    "a hole": safetensors_bytes({"a": entry(0, 8), "b": entry(16, 24)}, 24),
    "more bytes than tensors": safetensors_bytes({"a": entry(0, 8)}, 12),
    "another shape": safetensors_bytes({"a": entry(0, 36, (8,))}, 36),
    "a huge shape": safetensors_bytes({"a": entry(0, 8, (2 ** 32, 2 ** 32))}, 8),
    "a negative shape": safetensors_bytes({"a": entry(0, 8, (-2,))}, 8),
    "many dimensions": safetensors_bytes({"a": entry(0, 4, (1,) * 200)}, 4),
    "unknown numbers": safetensors_bytes({"a": entry(0, 8, dtype="F99")}, 8),
    "numbers that NumPy lacks": safetensors_bytes({"a": entry(0, 2, dtype="F8_E4M3")}, 2)}.items(),
    ids=lambda case: case[0])
def test_evil_and_damaged_safetensors_are_named(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content[1])
    assert "cannot be read as safetensors" in message_of(tmp_path / "w.safetensors")
