"""How large a network is and what an image costs: `python -m benchmarks.complexity @configs/NAME.cfg KEY=VALUE …`."""
import unittest.mock

from common import ArgumentParser, QuietSessionCreator, UserError, exit_on_user_error

import numpy as np
from tensorpack import tfv1
from tensorpack.predict import OfflinePredictor, PredictConfig

from config import finalize_configs, new_config
from inference.profile import count_flops
from modeling import grouped
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
    # no groups are computed together with zeros between them, whose products would count
    with unittest.mock.patch.object(grouped, "MIN_CHANNELS", 1):
        predictor = OfflinePredictor(PredictConfig(
            model=model, session_creator=QuietSessionCreator(), input_names=list(model.network.input_names),
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
    parser.add_argument("--keypoints", type=int, default=17, help="with MODE_KEYPOINT")
    args = parser.parse_args()
    if min(*args.size, args.classes, args.keypoints) < 1:
        raise UserError("--size, --classes and --keypoints must be positive")
    cfg = new_config()
    cfg.DATA.KEYPOINT_NAMES = tuple(map(str, range(args.keypoints)))
    cfg.DATA.CLASS_NAMES = tuple(map(str, range(args.classes)))
    cfg.DATA.CATEGORY_IDS = tuple(range(1, args.classes + 1))
    cfg.update_args([*args.config, *AS_MANY_BOXES_AS_ALLOWED])
    finalize_configs(cfg, is_training=False)
    tfv1.disable_eager_execution()
    found = measure(cfg, *args.size)
    print(f"{found['parameters'] / 1e6:.1f} M parameters, {found['flops'] / 1e9:.1f} GFLOP for an image of "
          f"{args.size[0]} x {args.size[1]} with {found['proposals']} proposals and {found['detections']} detections")


if __name__ == "__main__":
    exit_on_user_error(main)
