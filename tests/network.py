"""A built network on a session, and batches for it."""
from common import QuietSessionCreator

import cv2
import numpy as np
import tensorflow as tf
from tensorpack import tfv1

from data.batch import pack_masks, pad_batch
from graph import tower
from sessions import take_graphs_as_they_are
from training.model import TrainingModel
from weights.fit import network_variables

SIZES = np.int32([(64, 96), (30, 60)])    # the second of a smaller region than the batch


class Network:
    """
    A built network with a session, on placeholders of the names and types of its inputs.

    Args:
        cfg (AttrDict): a finalized config
        training (bool): with gradients and an update, or inference
        weights (callable): array of a variable's name and shape, instead of initial values
        run (bool): make a session
        rewrite (bool): let TensorFlow's optimizers rewrite the graph first, which takes long for a large one
    """

    def __init__(self, cfg, training, weights=None, run=True, rewrite=True):
        self.model, self.graph = TrainingModel(cfg), tf.Graph()
        with self.graph.as_default():
            tfv1.set_random_seed(0)
            inputs = [tfv1.placeholder(spec.dtype, spec.shape, spec.name) for spec in self.model.inputs()]
            self.input_names = {spec.name for spec in self.model.inputs()}
            with tower(training):
                cost = self.model.build_graph(*inputs)
            if training:
                self.gradients = self.model.get_optimizer().compute_gradients(cost)
                self.train = self.model.get_optimizer().apply_gradients(self.gradients)
            if run:
                config = QuietSessionCreator().config
                self.sess = tfv1.Session(config=config if rewrite else take_graphs_as_they_are(config))
                # an initializer that is fed another value sets it
                feed = {v.initializer.inputs[1]: weights(name, v.shape.as_list())
                        for name, v in network_variables().items()} if weights else {}
                self.sess.run([tfv1.global_variables_initializer(), tfv1.local_variables_initializer()], feed)

    def run(self, fetches, **batch):
        """Args: batch: fields of a Batch, also such as the network does not take"""
        return self.sess.run(fetches, {f"{name}:0": batch[name] for name in self.input_names & batch.keys()})

    def losses(self, feed):
        """Returns: dict of name to value"""
        names = self.model.loss_names()
        return dict(zip(names, self.run([f"{name}:0" for name in names], **feed)))

    def variables(self):
        """Returns: dict of name to array, of the network's variables"""
        with self.graph.as_default():
            return self.sess.run(network_variables())

    def detect(self, images):
        """Returns: dict of output name to array, for images of any sizes"""
        batch, sizes = pad_batch(images)
        names = self.model.network.output_names()
        return dict(zip((n.split("/")[1] for n in names),
                        self.run([f"{n}:0" for n in names], images=batch, image_sizes=sizes)))


def batch_of(*images):
    """
    A batch of two images of noise, of SIZES. Of the keypoints of an object the first is hidden, in its middle, the
    second visible, in its first corner, and the third is not labelled.

    Args:
        images: of each image, a list of (label, box)
    """
    rng = np.random.default_rng(0)
    pixels = np.zeros((2, 64, 96, 3), np.uint8)
    for image, (height, width) in zip(pixels, SIZES):
        image[:height, :width] = cv2.resize(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8), (int(width), int(height)))
    longest = max(1, *map(len, images))
    padded = [objects + [(0, (0, 0, 0, 0))] * (longest - len(objects)) for objects in images]
    labels = np.int32([[label for label, _ in objects] for objects in padded])
    masks = np.zeros((2, longest, 56, 56), np.uint8)
    masks[labels > 0, 5:50, 10:] = 1
    boxes = np.float32([[box for _, box in objects] for objects in padded])
    keypoints = np.zeros((2, longest, 3, 3), np.float32)
    keypoints[..., 0, :2], keypoints[..., 0, 2] = (boxes[..., :2] + boxes[..., 2:]) / 2, 1
    keypoints[..., 1, :2], keypoints[..., 1, 2] = boxes[..., :2] + 1, 2
    keypoints[labels <= 0] = 0
    return dict(images=pixels, image_sizes=SIZES, image_ids=np.int64([1, 2]), seeds=np.int64([3, 4]),
                gt_boxes=boxes, gt_labels=labels, gt_masks=pack_masks(masks), gt_keypoints=keypoints)
