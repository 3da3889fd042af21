"""
The graph of inference with its weights as constants. What follows from constants is computed once, so that a fixed norm
is part of its convolution's kernel and bias, and on a CPU convolutions are fused with their bias and their ReLU.
"""
import common

import tensorflow as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.grappler import tf_optimizer
from tensorpack import tfv1
from tensorpack.tfutils.tower import PredictTowerContext
from tensorpack.tfutils.varreplace import custom_getter_scope

from modeling.generalized_rcnn import GeneralizedRCNN
from modeling.precision import layer_dtype
from weights.files import read_weights
from weights.fit import check_fit


def freeze(cfg, weights_path, more_outputs=()):
    """
    Build a network and freeze it.

    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`
        more_outputs (list[str]): names of operations that stay as they are, besides the model's outputs

    Returns:
        GraphDef: of `GeneralizedRCNN.output_names` and `given_names`, and without variables

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """
    network, constants = GeneralizedRCNN(cfg), _Constants(read_weights(weights_path))
    with tf.Graph().as_default():
        images = tfv1.placeholder(tf.uint8, (None, None, None, 3), "images")
        image_sizes = tfv1.placeholder(tf.int32, (None, 2), "image_sizes")
        with custom_getter_scope(constants.get), PredictTowerContext(""):
            network.detect(images, image_sizes)
        check_fit(weights_path, constants.weights, constants.shapes)
        is_float32 = layer_dtype(cfg.TEST.PRECISION, "TEST.PRECISION") == "float32"
        return _optimize([*network.output_names(), *network.given_names(), *more_outputs], fuse=is_float32)


def is_fused(graph_def):
    """Args: graph_def (GraphDef): of `freeze`. Returns: bool, whether operations were fused already"""
    return any(node.op.startswith("_Fused") for node in graph_def.node)


class _Constants:
    """
    Stands in for the variables of a network.

    Attributes:
        weights (dict): of name to array
        shapes (dict): of name to an object with a `shape`, as `check_fit` takes them; of all that was asked for
    """

    def __init__(self, weights):
        self.weights, self.shapes = weights, {}

    def get(self, getter, name, shape=None, **kwargs):
        """A variable getter. For what is missing or of another shape there is a zero, until `check_fit` refuses it."""
        if name not in self.shapes:
            value = self.weights.get(name)
            with tf.control_dependencies(None):    # also where it is first asked for in a condition
                self.shapes[name] = tf.constant(value, tf.float32, name=name) \
                    if value is not None and value.shape == tuple(shape) else tf.zeros(shape, name=name)
        return self.shapes[name]


def _optimize(outputs, fuse):
    """Returns: GraphDef, the default graph as TensorFlow rewrites it, in which the operations `outputs` stay"""
    meta_graph = tfv1.MetaGraphDef(graph_def=tf.compat.v1.get_default_graph().as_graph_def())
    meta_graph.collection_def["train_op"].node_list.value.extend(outputs)    # what grappler keeps
    # operations are fused for the device that they are on; where there is a GPU, the session does it
    if not common.visible_gpus():
        for node in meta_graph.graph_def.node:
            node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    config = common.QuietSessionCreator().config
    if not fuse:
        # in other types than float32 only oneDNN has fused operations, which the session's optimizers put in
        config.graph_options.rewrite_options.remapping = RewriterConfig.OFF
    with common.silenced_native(show_on_error=True):
        return tf_optimizer.OptimizeGraph(config, meta_graph)
