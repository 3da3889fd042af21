"""The network as a function from images to detections."""
import queue
from typing import NamedTuple, Optional

import common

import numpy as np
import tensorflow as tf
from tensorpack import tfv1

import distributed
from inference.frozen import freeze, is_fused
from inference.graph_cache import freeze_cached
from modeling.generalized_rcnn import GeneralizedRCNN


class NetworkOutput(NamedTuple):
    """
    The D detections of a batch, in flat lists; those of an image stand together by falling score.

    Attributes:
        boxes: float32 (D, 4), in pixels, clipped to their images
        scores: float32 (D,), in 0..1
        labels: int (D,), in 1..
        image_index: int (D,), of the image in the batch
        masks: float32 (D, m, m), probabilities on a grid that spans the box; None where the model has no masks
        keypoints: float32 (D, h, w, K), logits of places on such a grid; None where the model has no keypoints
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    image_index: np.ndarray
    masks: Optional[np.ndarray] = None
    keypoints: Optional[np.ndarray] = None


def load_predictor(cfg, weights_path, more_outputs=()):
    """
    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`
        more_outputs (list[str]): names of operations that its session can be asked for; such a network is not cached

    Returns:
        Predictor

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """
    if cfg.TEST.CACHE_GRAPH and not more_outputs:
        graph_def = freeze_cached(cfg, weights_path)
    else:
        graph_def = freeze(cfg, weights_path, more_outputs)
    # a rank of a job sees one GPU
    num_devices = 1 if distributed.size() > 1 else max(common.visible_gpus(), 1)
    return Predictor(graph_def, GeneralizedRCNN(cfg).output_names(), num_devices)


class Predictor:
    """
    A frozen network on each GPU, or on the CPU; see `as_predict_function` for what it is called with and returns. As
    many threads as there are devices may call it at once.

    Attributes:
        num_devices (int)
        sess (tf.Session): on the graphs of all devices, of which the first has the names of the graph it was made of
    """

    def __init__(self, graph_def, outputs, num_devices=1):
        """
        Args:
            graph_def (GraphDef): of `frozen.freeze`
            outputs (list[str]): of `GeneralizedRCNN.output_names`
            num_devices (int): how often the network is there
        """
        self.num_devices = num_devices
        has_gpus = bool(common.visible_gpus())
        creator = distributed.session_creator()
        creator.config.allow_soft_placement = True
        # a graph that is fused for a CPU is as TensorFlow's optimizers leave it
        creator.config.graph_options.rewrite_options.disable_meta_optimizer = not has_gpus and is_fused(graph_def)
        with tf.Graph().as_default() as graph:
            for i in range(num_devices):
                with tf.device(f"/device:GPU:{i}" if has_gpus else None):
                    tfv1.import_graph_def(graph_def, name=f"device{i}" if i else "")
            self.sess = creator.create_session()
        self._free = queue.Queue()
        for i in range(num_devices):
            scope = f"device{i}/" if i else ""
            fetches, feeds = ([graph.get_tensor_by_name(f"{scope}{name}:0") for name in names]
                              for names in (outputs, ("images", "image_sizes")))
            self._free.put(as_predict_function(self.sess.make_callable(fetches, feeds), outputs))

    def __call__(self, images, image_sizes):
        predict = self._free.get()
        try:
            return predict(images, image_sizes)
        finally:
            self._free.put(predict)


def as_predict_function(predictor, outputs):
    """
    Args:
        predictor (callable): a tensorpack predictor of these outputs
        outputs (list[str]): of `GeneralizedRCNN.output_names`

    Returns:
        callable from images uint8 (B, H, W, 3) and image_sizes int32 (B, 2) to NetworkOutput
    """
    names = [name.rpartition("/")[2] for name in outputs]

    def predict(images, image_sizes):
        return NetworkOutput(**dict(zip(names, predictor(images, image_sizes))))
    return predict
