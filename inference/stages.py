"""What the network thinks on its way to the detections: its proposals, and their classes before NMS."""
import dataclasses

import common  # noqa: F401  (prepares the environment)

import numpy as np

from data.batch import pad_batch
from inference.detect import detect_batch, resize
from inference.detections import Detections
from inference.predictor import load_predictor
from modeling.generalized_rcnn import GeneralizedRCNN

# names in the graph, of an image alone: boxes (R, 4), logits (1, R) and padding, boxes and scores of each class
INNER_OUTPUTS = ("proposal_boxes", "proposals/scores", "fastrcnn_all_boxes", "fastrcnn_all_scores")


@dataclasses.dataclass
class Stages:
    """
    The R proposals of an image by falling objectness, and what became of them. Boxes are in the image's own pixels.

    Attributes:
        proposals: float32 (R, 4), boxes of the region proposal network
        objectness: float32 (R,), its scores, in 0..1
        boxes: float32 (R, 4), what the box head makes of each proposal, for the class in `labels`
        class_scores: float32 (R, 1 + N), the probabilities of the background and of the classes 1..N
        detections: what is left of them behind NMS, as `Detector` gives it
    """

    proposals: np.ndarray
    objectness: np.ndarray
    boxes: np.ndarray
    class_scores: np.ndarray
    detections: Detections

    @property
    def labels(self) -> np.ndarray:
        """int (R,), in 1..N, the likeliest class of each proposal but the background"""
        return best_labels(self.class_scores)

    @property
    def scores(self) -> np.ndarray:
        """float32 (R,), the probability of that class"""
        return self.class_scores[:, 1:].max(axis=1)


def best_labels(class_scores):
    return class_scores[:, 1:].argmax(axis=1) + 1


class StageNetwork:
    """
    A network with its weights that shows its stages; it takes one image at a time.

    Args:
        cfg (AttrDict): a finalized config
        weights_path (str): see `weights.read_weights`

    Raises:
        UserError: the weights cannot be read, or are of another architecture
    """

    def __init__(self, cfg, weights_path):
        self.cfg = cfg
        self._predict = load_predictor(cfg, weights_path, INNER_OUTPUTS)
        sess = self._predict.sess
        fetches, feeds = ([sess.graph.get_tensor_by_name(f"{name}:0") for name in names]
                          for names in (INNER_OUTPUTS, GeneralizedRCNN.input_names))
        self._run = sess.make_callable(fetches, feeds)

    def __call__(self, image):
        """
        Args:
            image: uint8 (h, w, 3), BGR

        Returns:
            Stages
        """
        resized, (height, width) = resize(image, self.cfg), image.shape[:2]
        proposals, logits, boxes, class_scores = self._run(*pad_batch([resized]))
        # once more, by whatever way detections are made
        detections, = detect_batch(self._predict, [image], self.cfg)
        best = np.minimum(best_labels(class_scores), boxes.shape[1] - 1)    # a cascade has one box for all classes
        scale = np.array([width / resized.shape[1], height / resized.shape[0]] * 2, dtype=np.float32)
        boxes = boxes[np.arange(len(best)), best]
        return Stages(proposals * scale, _sigmoid(logits[0, :len(proposals)]), boxes * scale, class_scores, detections)


def _sigmoid(logits):
    return 0.5 + 0.5 * np.tanh(0.5 * logits)
