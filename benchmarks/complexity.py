"""How large a network is and what an image costs: `python -m benchmarks.complexity @configs/NAME.cfg KEY=VALUE …`."""
from common import ArgumentParser, QuietSessionCreator, UserError, exit_on_user_error

import numpy as np
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.predict import OfflinePredictor, PredictConfig

from config import config, finalize_configs

from training.model import TrainingModel
from weights.fit import network_variables

# no proposal or detection is suppressed or dropped: both are as many as the config allows, whatever the weights
AS_MANY_BOXES_AS_ALLOWED = ("RPN.PROPOSAL_NMS_THRESH=1.0", "TEST.FRCNN_NMS_THRESH=1.0", "TEST.RESULT_SCORE_THRESH=0.0")


def count_parameters(graph):
    """
    Args:
        graph (tf.Graph): with a network

    Returns:
        int, numbers in the network's weights, biases, gammas and betas, whether trained or fixed; the norms' running
        means and variances do not count
    """
    with graph.as_default():
        return sum(v.shape.num_elements() for name, v in network_variables().items() if not name.endswith("/EMA"))


def count_flops(sess, feed):
    """
    Floating-point operations of the convolutions, transposed convolutions and matrix products of a session's graph in
    one run of inference. A multiplication and an addition count as two. All else is left out: biases, norms,
    activations, pooling, RoIAlign and NMS.

    TensorFlow's own profiler misses convolutions that were fused with what follows them.

    Args:
        sess (tf.Session)
        feed (dict): placeholders, or their names, to arrays

    Returns:
        int
    """
    with sess.graph.as_default():
        flops = [_flops(op) for op in sess.graph.get_operations()]
        return sum(map(int, sess.run([x for x in flops if x is not None], feed)))


def _flops(op):
    """Returns: int64 scalar tensor, None for an op that does not count"""
    # each of `values` is multiplied with as many weights as the product of `fan_in`
    if op.type in ("MatMul", "_FusedMatMul", "BatchMatMulV2"):
        values = op.outputs[0]
        transposed = op.get_attr("adj_y" if op.type == "BatchMatMulV2" else "transpose_b")
        fan_in = tf.shape(op.inputs[1], out_type=tf.int64)[-1 if transposed else -2]
    elif op.type in ("Conv2D", "_FusedConv2D", "Conv2DBackpropInput"):
        values = op.inputs[2] if op.type == "Conv2DBackpropInput" else op.outputs[0]
        fan_in = tf.shape(op.inputs[1], out_type=tf.int64)[:3]
    else:
        return None
    return 2 * tf.size(values, out_type=tf.int64) * tf.reduce_prod(fan_in)


def measure(cfg, height, width):
    """
    Count a network's parameters, and the operations of its inference on one image with as many proposals and detections
    as the config allows.

    Args:
        cfg (AttrDict): a finalized config, with AS_MANY_BOXES_AS_ALLOWED
        height, width (int): of the image, in pixels

    Returns:
        dict of int: parameters, flops, proposals, detections
    """
    model = TrainingModel(cfg)
    predictor = OfflinePredictor(PredictConfig(
        model=model, session_creator=QuietSessionCreator(), input_names=model.network.input_names,
        output_names=model.network.output_names()))
    sess = predictor.sess
    feed = {"images:0": np.zeros((1, height, width, 3), np.uint8), "image_sizes:0": np.int32([[height, width]])}
    proposals, detections = sess.run(["proposal_boxes:0", "output/boxes:0"], feed)
    return dict(parameters=count_parameters(sess.graph), flops=count_flops(sess, feed),
                proposals=len(proposals), detections=len(detections))


def main():
    parser = ArgumentParser(
        prog="python -m benchmarks.complexity",
        description="Print the parameters of a network, and the floating-point operations of its inference on one "
                    "image; a multiplication and an addition count as two.")
    parser.add_argument("config", nargs="*", metavar="KEY=VALUE", help="as for --config: KEY=VALUE, or @FILE")
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1067), metavar=("HEIGHT", "WIDTH"),
                        help="of the image, in pixels")
    parser.add_argument("--classes", type=int, default=80, help="without the background")
    args = parser.parse_args()
    if min(*args.size, args.classes) < 1:
        raise UserError("--size and --classes must be positive")
    config.DATA.CLASS_NAMES = tuple(map(str, range(args.classes)))
    config.DATA.CATEGORY_IDS = tuple(range(1, args.classes + 1))
    config.update_args([*args.config, *AS_MANY_BOXES_AS_ALLOWED])
    finalize_configs(config, is_training=False)
    tfv1.disable_eager_execution()
    found = measure(config, *args.size)
    print(f"{found['parameters'] / 1e6:.1f} M parameters, {found['flops'] / 1e9:.1f} GFLOP for an image of "
          f"{args.size[0]} x {args.size[1]} with {found['proposals']} proposals and {found['detections']} detections")


if __name__ == "__main__":
    exit_on_user_error(main)
