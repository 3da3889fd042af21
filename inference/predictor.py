"""The network as a function from images to detections."""
import contextlib
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
from modeling.structures import Detections

INPUTS = GeneralizedRCNN.input_names
BOX_FIELDS = Detections._fields    # the first of NetworkOutput's


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
    network = GeneralizedRCNN(cfg)
    return Predictor(graph_def, network.output_names(), num_devices, network.given_names())


class Predictor:
    """
    A frozen network on each GPU, or on the CPU; see `as_predict_function` for what it is called with and returns. One
    that gives candidates is called by `find` and `describe` instead, see `TwoCalls`. As many threads as there are
    devices may call it at once.

    Attributes:
        num_devices (int)
        sess (tf.Session): on the graphs of all devices, of which the first has the names of the graph it was made of
    """

    def __init__(self, graph_def, outputs, num_devices=1, given=()):
        """
        Args:
            graph_def (GraphDef): of `frozen.freeze`
            outputs (list[str]): of `GeneralizedRCNN.output_names`
            num_devices (int): how often the network is there
            given (list[str]): of `GeneralizedRCNN.given_names`
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
            def make_callable(inputs, outputs, scope=f"device{i}/" if i else ""):
                feeds, fetches = ([graph.get_tensor_by_name(f"{scope}{name}:0") for name in names]
                                  for names in (inputs, outputs))
                return self.sess.make_callable(fetches, feeds)
            self._free.put(make_predict_function(make_callable, outputs, given))

    def __call__(self, images, image_sizes):
        with self._one_device() as predict:
            return predict(images, image_sizes)

    def find(self, images, image_sizes):
        with self._one_device() as predict:
            return predict.find(images, image_sizes)

    def describe(self, images, image_sizes, features, detections):
        with self._one_device() as predict:
            return predict.describe(images, image_sizes, features, detections)

    @contextlib.contextmanager
    def _one_device(self):
        """A context with the predict function of a device that no other thread has meanwhile"""
        predict = self._free.get()
        try:
            yield predict
        finally:
            self._free.put(predict)


def make_predict_function(make_callable, outputs, given=()):
    """
    Args:
        make_callable (callable): from the names of inputs and of outputs to a function from values of the former to a
            list of those of the latter
        outputs, given (list[str]): of `GeneralizedRCNN.output_names` and `given_names`

    Returns:
        callable, see `as_predict_function`; with anything `given`, TwoCalls
    """
    if given:
        return TwoCalls(make_callable, outputs, given)
    return as_predict_function(make_callable(INPUTS, outputs), outputs)


def as_predict_function(predictor, outputs):
    """
    Args:
        predictor (callable): a tensorpack predictor of these outputs
        outputs (list[str]): of `GeneralizedRCNN.output_names`

    Returns:
        callable from images uint8 (B, H, W, 3) and image_sizes int32 (B, 2) to NetworkOutput
    """
    names = [_own_name(name) for name in outputs]

    def predict(images, image_sizes):
        return NetworkOutput(**dict(zip(names, predictor(images, image_sizes))))
    return predict


class TwoCalls:
    """
    A network that is called for candidates, and then for masks and keypoints of boxes that were made of them. Its
    feature maps travel from the first call to the second, as copying them is faster than making them again.

    Args:
        make_callable, outputs, given: as of `make_predict_function`
    """

    def __init__(self, make_callable, outputs, given):
        boxes, self._described = outputs[:len(BOX_FIELDS)], outputs[len(BOX_FIELDS):]
        features = given[:-len(BOX_FIELDS)] if self._described else []
        self._find = make_callable(INPUTS, [*boxes, *features])
        self._describe = make_callable([*INPUTS, *given], self._described) if self._described else None

    def find(self, images, image_sizes):
        """
        Returns:
            NetworkOutput, what there is before NMS, in no order and without masks and keypoints; and list of the
            feature maps
        """
        found = self._find(images, image_sizes)
        return NetworkOutput(*found[:len(BOX_FIELDS)]), found[len(BOX_FIELDS):]

    def describe(self, images, image_sizes, features, detections):
        """
        Args:
            images, image_sizes, features: of `find`
            detections (NetworkOutput): boxes, scores, labels and image_index of any D boxes

        Returns:
            NetworkOutput, the same with the masks and keypoints that the model has
        """
        if not self._described:
            return detections
        outputs = self._describe(images, image_sizes, *features, *detections[:len(BOX_FIELDS)])
        return detections._replace(**dict(zip(map(_own_name, self._described), outputs)))


def _own_name(name):
    """Returns: str, the name of an output without its scope in the graph"""
    return name.rpartition("/")[2]
