"""
The graph of inference with its weights as constants. What follows from constants is computed once, so that a fixed norm
is part of its convolution's kernel and bias, and convolutions are fused with their bias and their ReLU.
"""
import contextlib
import glob
import hashlib
import json
import os

import common

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.framework.test_util import IsMklEnabled
from tensorflow.python.grappler import tf_optimizer
from tensorpack import tfv1
from tensorpack.predict import OfflinePredictor, PredictConfig

from config import inference_settings

from .generalized_rcnn import GeneralizedRCNN
from .weights import LoadWeights

SUFFIX = ".frozen"


def freeze(cfg, weights_path, more_outputs=()):
    """
    Build a network and freeze it.

    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`
        more_outputs (list[str]): names of operations that stay as they are, besides the model's outputs

    Returns:
        GraphDef: of `GeneralizedRCNN.inference_tensor_names`, and without variables

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """
    model = GeneralizedRCNN(cfg)
    inputs, outputs = model.inference_tensor_names()
    outputs = [*outputs, *more_outputs]
    creator = common.QuietSessionCreator()
    creator.config.device_count["GPU"] = 0    # this session only holds the variables
    predictor = OfflinePredictor(PredictConfig(
        model=model, session_creator=creator, session_init=LoadWeights(weights_path),
        input_names=inputs, output_names=outputs))
    with predictor.sess as sess:
        constant = tfv1.graph_util.convert_variables_to_constants(sess, sess.graph_def, outputs)
    return _optimize(constant, outputs)


def _optimize(graph_def, outputs):
    """Returns: GraphDef that TensorFlow has rewritten, and in which the operations `outputs` stay"""
    # operations are fused for the device that they are on; where there is a GPU, the session does it
    device = None if common.visible_gpus() else "/job:localhost/replica:0/task:0/device:CPU:0"
    with tf.Graph().as_default() as graph, tf.device(device):
        tfv1.import_graph_def(graph_def, name="")
        for name in outputs:
            graph.add_to_collection("train_op", graph.get_operation_by_name(name))    # what grappler keeps
        meta_graph = tfv1.train.export_meta_graph(graph=graph)
    with common.silenced_stderr():
        return tf_optimizer.OptimizeGraph(common.QuietSessionCreator().config, meta_graph)


def freeze_cached(cfg, weights_path):
    """
    As `freeze`, but the graph is kept beside the weights, and read from there as long as it follows from the same
    weights, settings and code. Where it cannot be written, it is made each time.
    """
    path, key = weights_path + SUFFIX, _cache_key(cfg, weights_path)
    try:
        with open(path, "rb") as f:
            its_key, its_digest, content = f.readline().strip(), f.readline().strip(), f.read()
        if its_key == key and its_digest == _digest(content):
            return tfv1.GraphDef.FromString(content)
    except (OSError, DecodeError):
        pass
    graph_def = freeze(cfg, weights_path)
    content = graph_def.SerializeToString()
    partial = f"{path}.{os.getpid()}.tmp"
    try:
        with open(partial, "wb") as f:
            f.write(b"\n".join([key, _digest(content), content]))
        os.replace(partial, path)
    except OSError as e:
        common.warn(f"cannot keep the frozen network as {path} ({e.strerror})")
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)
    return graph_def


def _digest(content):
    return hashlib.sha256(content).hexdigest().encode()


def _cache_key(cfg, weights_path):
    """Returns: bytes, one line of json"""
    code = [common.digest(path) for path in sorted(glob.glob(os.path.join(os.path.dirname(__file__), "*.py")))]
    return json.dumps([common.digest(weights_path), inference_settings(cfg), code, tf.__version__,
                       common.visible_gpus(), IsMklEnabled()]).encode()
