"""Lower precision on a CPU."""
import common

import tensorflow as tf

PRODUCTS = ("Conv2D", "MatMul", "BatchMatMulV2")
# what follows a product, as kernels for lower precision have it fused, before they round
EPILOGUES = ("BiasAdd", "AddV2", "Relu")


def multiply_in_float32(graph):
    """
    Let convolutions and matrix products of lower precision in a graph take their inputs to float32, and round what
    comes out behind the bias, the residual and the ReLU. This is what fused kernels for such types do; TensorFlow's own
    kernels for CPUs add up in the precision of the inputs, and take longer. Gradients that are made afterwards are made
    of float32 products too. Does nothing where there is a GPU or oneDNN.

    Args:
        graph (tf.Graph): without gradients so far
    """
    if not common.lacks_onednn():
        return
    exact = {}    # of the name of a tensor to the float32 tensor that was rounded to it

    for op in graph.get_operations():
        is_epilogue = op.type in EPILOGUES and any(tensor.name in exact for tensor in op.inputs)
        if not (is_epilogue or op.type in PRODUCTS) or op.outputs[0].dtype not in (tf.bfloat16, tf.float16):
            continue
        consumers = [(consumer, i) for consumer in op.outputs[0].consumers()
                     for i, tensor in enumerate(consumer.inputs) if tensor is op.outputs[0]]
        if not consumers:    # another pass was here
            continue
        with tf.control_dependencies(None), tf.name_scope(f"{op.name}/float32/"):
            inputs = [exact[tensor.name] if is_epilogue and tensor.name in exact else tf.cast(tensor, tf.float32)
                      for tensor in op.inputs]
            attributes = {key: value for key, value in op.node_def.attr.items() if key != "T"}
            product = graph.create_op(op.type, inputs, [tf.float32], name=op.type, attrs=attributes).outputs[0]
            rounded = tf.cast(product, op.outputs[0].dtype)
        exact[rounded.name] = product
        for consumer, i in consumers:
            consumer._update_input(i, rounded)
