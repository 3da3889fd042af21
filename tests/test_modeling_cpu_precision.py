"""Products of lower precision, made in float32 on a CPU without oneDNN."""
import common

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from graph import run
from modeling.cpu_precision import multiply_in_float32

RNG = np.random.default_rng(0)
PRODUCTS = ("Conv2D", "MatMul", "BatchMatMulV2", "Conv2DBackpropInput", "Conv2DBackpropFilter")


@pytest.fixture(autouse=True)
def cpu_without_onednn(monkeypatch):
    monkeypatch.setattr(common, "lacks_onednn", lambda: True)


def rounded(x, dtype=tf.bfloat16):
    return x.astype(dtype.as_numpy_dtype).astype(np.float32)


def in_lower_precision(function, dtype=tf.bfloat16):
    """A function of float32 tensors that computes `function` in lower precision, as `multiply_in_float32` leaves it."""
    def wrapped(*tensors):
        result = tf.cast(function(*(tf.cast(t, dtype) for t in tensors)), tf.float32)
        multiply_in_float32(result.graph)
        return result
    return wrapped


def residual_block(x, kernel, bias, shortcut):
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias) + shortcut)


def arrays_of_a_block():
    return [RNG.normal(size=size).astype(np.float32) for size in ((2, 7, 9, 64), (3, 3, 64, 8), (8,), (2, 7, 9, 8))]


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_a_product_adds_up_in_float32_and_rounds_once(dtype):
    x, y = (RNG.normal(size=size).astype(np.float32) for size in ((4, 3000), (3000, 50)))
    expected = rounded(rounded(x, dtype).astype(np.float64) @ rounded(y, dtype).astype(np.float64), dtype)
    # sums of another order may round to the other side
    assert (run(in_lower_precision(tf.matmul, dtype), x, y) == expected).mean() > 0.98


def test_what_follows_a_product_is_not_rounded_in_between():
    arrays = arrays_of_a_block()
    expected = rounded(run(residual_block, *map(rounded, arrays)))
    assert (run(in_lower_precision(residual_block), *arrays) == expected).mean() > 0.98


def test_what_does_not_follow_a_product_stays():
    with tf.Graph().as_default() as graph:
        tf.nn.relu(tf.zeros([2, 3], tf.bfloat16) + tf.ones([3], tf.bfloat16))
        tf.matmul(tf.zeros([2, 3]), tf.zeros([3, 2]))
        before = graph.as_graph_def()
        multiply_in_float32(graph)
    assert graph.as_graph_def() == before


def test_gradients_are_made_of_float32_products_too():
    arrays = arrays_of_a_block()

    def gradients(*tensors):
        block = in_lower_precision(residual_block)(*tensors)
        grads = tfv1.gradients(block, tensors)
        types = {op.outputs[0].dtype for op in block.graph.get_operations() if op.type in PRODUCTS
                 and op.outputs[0].consumers()}
        assert types == {tf.float32}
        return grads

    expected = run(lambda *tensors: tfv1.gradients(residual_block(*tensors), tensors), *map(rounded, arrays))
    for found, exact in zip(run(gradients, *arrays), expected):
        np.testing.assert_allclose(found, exact, atol=0.01 * np.abs(exact).max())


@pytest.mark.parametrize("lacks_onednn", [False, True])
def test_a_graph_with_two_towers(monkeypatch, lacks_onednn):
    """The products of the first have no part in the second's pass."""
    monkeypatch.setattr(common, "lacks_onednn", lambda: lacks_onednn)
    with tf.Graph().as_default() as graph:
        sizes = []
        for _ in range(2):
            tf.identity(tf.matmul(tf.zeros([2, 3], tf.bfloat16), tf.zeros([3, 2], tf.bfloat16)))
            before = len(graph.get_operations())
            multiply_in_float32(graph)
            sizes.append(len(graph.get_operations()) - before)
    assert sizes[0] == sizes[1] == (4 if lacks_onednn else 0)
