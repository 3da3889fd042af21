"""Which operations of a graph TensorFlow could not run on a GPU, by its registry of kernels."""
import functools

from tensorflow.python.framework import kernels

# what has no GPU kernel, and why it needs none; TensorFlow places it on the CPU
CPU_ONLY = {
    "ScalarSummary": "writes strings for TensorBoard, once an epoch",
    "Const of string": "names of summaries",
    "VarHandleOp of int32": "the counter of accumulated steps",
    "TensorArrayV3 of int32": "collects the few indices that NMS of each group keeps",
    "TensorArrayWriteV3 of int32": "likewise",
}


@functools.cache
def gpu_kernels(op_type):
    """Of each kernel of an op for a GPU, or for any device: the types it takes, by attribute."""
    registered = kernels.get_registered_kernels_for_op(op_type).kernel
    return [{c.name: set(c.allowed_values.list.type) for c in kernel.constraint if c.allowed_values.list.type}
            for kernel in registered if kernel.device_type in ("GPU", "DEFAULT")]


def lack_of_gpu_kernel(op):
    """None, or the type of the op, with the type of its values if there is a kernel for others."""
    found = gpu_kernels(op.type)
    if any(all(op.get_attr(name).as_datatype_enum in types for name, types in kernel.items()) for kernel in found):
        return None
    attributes = sorted({name for kernel in found for name in kernel} & {"T", "dtype"})
    return f"{op.type} of {op.get_attr(attributes[0]).base_dtype.name}" if attributes else op.type


def lacks_of_gpu_kernels(graph):
    """Returns: dict of what there is no GPU kernel for, but for CPU_ONLY, to the name of an operation"""
    lacking = {lack_of_gpu_kernel(op): op.name for op in graph.get_operations()}
    return {lack: name for lack, name in lacking.items() if lack and lack not in CPU_ONLY}
