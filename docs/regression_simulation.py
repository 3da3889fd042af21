#!/usr/bin/env python3
"""
How boxes move under each IoU loss alone, without a network: the simulation of Zheng et al. 2020, sec. 3.1, where
gradient descent to 7 targets starts from boxes of 7 sizes and 7 ratios around each of many points.

    python -m docs.regression_simulation    # writes docs/regression_simulation.png
"""

import itertools

from common import QuietSessionCreator

import numpy as np
import tensorflow as tf
from tensorpack import tfv1
from tqdm import tqdm

from modeling.boxes import iou
from modeling.losses import IOU_KINDS, iou_loss

CENTER, RADIUS = 10.0, 3.0
RATIOS = (0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0, 4.0)    # width / height
AREAS = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)
NUM_STEPS, RATE = 200, 0.1
PICTURE = "docs/regression_simulation.png"


def make_boxes(centers, areas, ratios):
    """Returns: float32 (N, 4), a box of each area and ratio around each of the centers (P, 2)"""
    area, ratio = np.array(list(itertools.product(areas, ratios))).T
    half = np.stack([np.sqrt(area * ratio), np.sqrt(area / ratio)], axis=1) / 2
    return np.concatenate([centers[:, None] - half, centers[:, None] + half], axis=2).reshape(-1, 4).astype(np.float32)


def make_cases(num_points, seed=0):
    """
    Args:
        num_points (int): where boxes start, evenly spread over a disk around the targets

    Returns:
        boxes, targets: float32 (num_points * 343, 4)
    """
    rng = np.random.default_rng(seed)
    radius, angle = RADIUS * np.sqrt(rng.random(num_points)), rng.uniform(0, 2 * np.pi, num_points)
    points = CENTER + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    targets = make_boxes(np.full((1, 2), CENTER), [1.0], RATIOS)
    boxes = make_boxes(points, AREAS, RATIOS)
    return np.repeat(boxes, len(targets), axis=0), np.tile(targets, (len(boxes), 1))


def simulate(kind, boxes, targets, num_steps=NUM_STEPS, progress=iter):
    """
    Gradient descent on the centres and sizes of boxes, each by itself. A step is longer for a box that covers its
    target badly, and steps become a tenth as long after 80 % and after 90 % of them, as in the paper.

    Args:
        kind (str): one of IOU_KINDS
        boxes, targets: float32 (N, 4)
        num_steps (int)
        progress (callable): wraps the range of steps

    Returns:
        float32 (num_steps + 1, N): the distance of each box from its target, summed over x, y, width and height, before
        each step and after the last; and the boxes in the end (N, 4)
    """
    with tf.Graph().as_default(), QuietSessionCreator().create_session() as sess:
        b, t = tfv1.placeholder(tf.float32, [None, 4]), tf.constant(targets)
        rate = tfv1.placeholder(tf.float32, [])
        center, size = (b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]
        same_boxes = _corners(center, size)
        slopes = tfv1.gradients(iou_loss(same_boxes, t, kind), [center, size])
        length = rate * (2 - iou(b, t))[:, None]
        moved = _corners(center - length * slopes[0], size - length * slopes[1])
        off = b - t
        distance = tf.reduce_sum(tf.abs(off[:, :2] + off[:, 2:]) / 2 + tf.abs(off[:, 2:] - off[:, :2]), axis=1)
        distances = []
        for step in progress(range(num_steps)):
            drops = (step >= 0.8 * num_steps) + (step >= 0.9 * num_steps)
            before, boxes = sess.run([distance, moved], {b: boxes, rate: RATE * 0.1 ** drops})
            distances.append(before)
        distances.append(sess.run(distance, {b: boxes}))
    return np.stack(distances), boxes


def _corners(center, size):
    return tf.concat([center - size / 2, center + size / 2], axis=1)


def main(num_points=500):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    boxes, targets = make_cases(num_points)
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for kind, label in zip(IOU_KINDS, ("IoU", "GIoU", "DIoU", "CIoU")):
        distances, _ = simulate(kind, boxes, targets, progress=lambda steps, label=label: tqdm(steps, label))
        axes.plot(distances.mean(axis=1), label=label)
        first, last = distances[[0, -1]].mean(axis=1)
        print(f"{label}: mean distance {first:.3f} before, {last:.3f} after {NUM_STEPS} steps")
    axes.set(xlabel="step", ylabel="distance from the target", ylim=(0, None))
    axes.legend()
    figure.savefig(PICTURE, dpi=120)
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
