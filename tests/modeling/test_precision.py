"""In which type layers compute."""
import common

import pytest

from modeling import precision
from modeling.precision import layer_dtype


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    """A CPU with instructions for bfloat16, whose kernels TensorFlow has; `change` takes any of that away."""
    def change(flags=("avx2", "avx512_bf16"), onednn=True, gpus=0):
        monkeypatch.setattr(precision, "_cpu_flags", lambda: set(flags))
        monkeypatch.setattr(precision, "IsMklEnabled", lambda: onednn)
        monkeypatch.setattr(common, "visible_gpus", lambda: gpus)

    change()
    precision._warn_once.cache_clear()
    return change


@pytest.mark.parametrize("flags, onednn, expected", [
    (["avx512_bf16"], True, "bfloat16"), (["amx_bf16"], True, "bfloat16"), (["avx512_bf16"], False, "float32"),
    (["avx2", "avx512f"], True, "float32"), ([], True, "float32")])
def test_bfloat16_is_taken_where_the_cpu_and_its_kernels_have_it(cpu, flags, onednn, expected):
    cpu(flags, onednn)
    assert layer_dtype("bfloat16", "TEST.PRECISION") == expected


def test_no_cpu_takes_float16():
    assert layer_dtype("float16", "TEST.PRECISION") == "float32"


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "float16"])
def test_a_gpu_takes_what_is_wanted(cpu, wanted):
    cpu(flags=(), onednn=False, gpus=1)
    assert layer_dtype(wanted, "TEST.PRECISION") == wanted


def test_one_line_says_that_float32_takes_its_place(capsys):
    for _ in range(2):
        layer_dtype("float16", "TRAIN.PRECISION")
    line, = capsys.readouterr().err.splitlines()
    assert "TRAIN.PRECISION=float16" in line and "float32" in line
    layer_dtype("bfloat16", "TRAIN.PRECISION")
    assert capsys.readouterr().err == ""


def test_a_system_that_lists_no_flags_has_none(monkeypatch):
    monkeypatch.undo()
    assert isinstance(precision._cpu_flags(), set)
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: (_ for _ in ()).throw(FileNotFoundError()))
    assert precision._cpu_flags() == set()
