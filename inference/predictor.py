"""The network as a function from images to detections."""
import queue

import common

import tensorflow as tf
from tensorpack import tfv1

import distributed
from inference.frozen import freeze, is_fused
from inference.graph_cache import freeze_cached
from modeling.generalized_rcnn import GeneralizedRCNN


def load_predictor(cfg, weights_path):
    """
    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`

    Returns:
        Predictor

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """
    graph_def = (freeze_cached if cfg.TEST.CACHE_GRAPH else freeze)(cfg, weights_path)
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
            self._free.put(as_predict_function(self.sess.make_callable(fetches, feeds)))

    def __call__(self, images, image_sizes):
        predict = self._free.get()
        try:
            return predict(images, image_sizes)
        finally:
            self._free.put(predict)


def as_predict_function(predictor):
    """
    Args:
        predictor (callable): a tensorpack predictor of `GeneralizedRCNN.output_names`

    Returns:
        callable from images uint8 (B, H, W, 3) and image_sizes int32 (B, 2) to flat lists over the batch: boxes (D, 4)
        in pixels, clipped to their images; scores (D,); labels (D,) in 1..; image_index (D,); masks (D, m, m) in
        0..1, or None. The detections of an image stand together by falling score.
    """
    def predict(images, image_sizes):
        boxes, scores, labels, image_index, *masks = predictor(images, image_sizes)
        return boxes, scores, labels, image_index, masks[0] if masks else None
    return predict
