"""In which type layers compute."""
import functools

import common

from tensorflow.python.framework.test_util import IsMklEnabled

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}    # of /proc/cpuinfo: x86 instructions that multiply bfloat16


def layer_dtype(precision, key):
    """
    The type in which layers compute: as the config wants it, but float32 where that is faster. It is on a CPU without
    instructions for bfloat16 or without oneDNN, whose kernels use them, and on any CPU for float16: TensorFlow then
    computes in float32 all the same and converts on the way, which takes more time and memory. A line says so, once.

    Args:
        precision (str): "float32", "bfloat16" or "float16"
        key (str): of the config that wants it, for that line

    Returns:
        str, one of these
    """
    if precision == "float32" or is_fast(precision):
        return precision
    _warn_once(f"{key}={precision}: this CPU is faster in float32, which the layers take")
    return "float32"


def is_fast(precision):
    """Args: precision (str): "bfloat16" or "float16". Returns: bool, whether layers gain by it on this machine"""
    if common.visible_gpus():
        return True
    return precision == "bfloat16" and IsMklEnabled() and bool(BFLOAT16_FLAGS & _cpu_flags())


def _cpu_flags():
    """Returns: set of str, the flags of the first processor; empty where the system does not list them"""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            flags = next((line for line in f if line.startswith("flags")), "")
    except OSError:
        return set()
    return set(flags.partition(":")[2].split())


@functools.cache
def _warn_once(line):
    common.warn(line)
