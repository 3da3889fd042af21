"""A stand-in for the network."""
import numpy as np


def fake_predict(boxes, score=0.9, label=1, mask=True):
    """A network that finds the same boxes in every image."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)

    def predict(images, image_sizes):
        batch, count = len(images), len(boxes)
        return (np.tile(boxes, (batch, 1)), np.full(batch * count, score, np.float32), np.full(batch * count, label),
                np.repeat(np.arange(batch), count), np.ones((batch * count, 28, 28), np.float32) if mask else None)
    return predict
