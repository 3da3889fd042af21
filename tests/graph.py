"""Running pieces of a TensorFlow graph on NumPy arrays."""
import numpy as np
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.tfutils.tower import TowerContext


def build(function, *examples, variables=None, seed=None):
    """
    Build a function of tensors in a graph of its own, on inputs of which only the last dimension is known.

    Args:
        function (callable): from tensors to a tensor or a nest of tensors
        examples: arrays of the dtypes, ranks and last dimensions of its arguments
        variables (dict or callable): arrays by name, or from name and shape, that variables are set to
        seed (int): of the graph

    Returns:
        callable: the same function of arrays
    """
    graph = tf.Graph()
    with graph.as_default():
        tfv1.set_random_seed(seed)
        inputs = [_placeholder(np.asarray(example)) for example in examples]
        outputs = function(*inputs)
        assert outputs is not None
        sess = tfv1.Session()
        sess.run(tfv1.global_variables_initializer())
        set_variables(sess, variables or {})
    return lambda *arrays: sess.run(outputs, dict(zip(inputs, arrays)))


def run(function, *arrays, **kwargs):
    """What `function` gives for arrays; see `build`."""
    return build(function, *arrays, **kwargs)(*arrays)


def gradients(function, *arrays, **kwargs):
    """
    Gradients of the sum of what `function` gives.

    Returns:
        list of arrays, one for each of `arrays`; None where the function does not depend on it
    """
    def grads(*tensors):
        return [tf.constant(np.nan) if g is None else tf.convert_to_tensor(g)
                for g in tfv1.gradients(function(*tensors), tensors)]

    found = run(grads, *arrays, **kwargs)
    return [g if g.shape == np.shape(a) else None for g, a in zip(found, arrays)]


def set_variables(sess, values):
    """Set variables of the default graph; see `build`."""
    if callable(values):
        values = {v.op.name: values(v.op.name, v.shape.as_list()) for v in tfv1.global_variables()}
    given = [v for v in tfv1.global_variables() if v.op.name in values]
    # an initializer that is fed another value sets it
    sess.run([v.initializer for v in given], {v.initializer.inputs[1]: values[v.op.name] for v in given})


def tower(training):
    """The context that layers of tensorpack are built in."""
    return TowerContext("", is_training=training)


def variable_shapes(graph=None):
    """Returns: dict of name to shape (list), of the variables that a checkpoint would have"""
    with (graph or tfv1.get_default_graph()).as_default():
        return {v.op.name: v.shape.as_list() for v in tfv1.global_variables()}


def _placeholder(example):
    dtype = np.float32 if example.dtype == np.float64 else example.dtype
    return tfv1.placeholder(dtype, [None] * (example.ndim - 1) + list(example.shape[-1:]))
