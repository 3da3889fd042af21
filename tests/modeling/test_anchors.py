"""Anchors and their labels, against plain loops."""
import os
import subprocess
import sys

import common

import numpy as np
import pytest
import tensorflow as tf

from graph import run
from modeling.anchors import AnchorThresholds, cell_anchors, grid_anchors, label_anchors
from modeling.structures import GroundTruth

POSITIVE, NEGATIVE, CROWD = 0.7, 0.3, 0.7
ROOT = os.path.dirname(os.path.abspath(common.__file__))


# cells and grids ----------------------------------------------------------------------------------------------------
def test_cell_anchors_have_the_asked_areas_and_ratios():
    sizes, ratios = (16, 32, 100), (0.5, 1, 2)
    anchors = cell_anchors(sizes, ratios).reshape(3, 3, 4)
    width, height = anchors[..., 2] - anchors[..., 0], anchors[..., 3] - anchors[..., 1]
    np.testing.assert_allclose(np.sqrt(width * height), np.repeat(np.float32(sizes)[:, None], 3, axis=1), rtol=1e-6)
    np.testing.assert_allclose(height / width, np.tile(ratios, (3, 1)), rtol=1e-6)


def test_cell_anchors_are_centred_at_the_origin():
    anchors = cell_anchors((16, 32), (0.5, 1, 2))
    np.testing.assert_allclose(anchors[:, :2], -anchors[:, 2:])
    assert (anchors[:, 2:] > 0).all()


def test_rounded_anchors_are_those_of_torchvision():
    anchors = cell_anchors([32], (0.5, 1, 2), is_rounded=True)
    np.testing.assert_array_equal(anchors, [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]])


def test_the_steps_down_and_to_the_right_may_differ():
    cell = cell_anchors([8], (1,))
    anchors = run(lambda steps: grid_anchors(2, 3, steps, cell), np.int32([5, 7]))
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_array_equal(centres, [[0, 0], [7, 0], [14, 0], [0, 5], [7, 5], [14, 5]])


def test_grid_anchors_go_row_by_row_with_all_anchors_of_a_cell_together():
    height, width, stride, sizes, ratios = 3, 5, 16, (8, 24), (0.5, 1, 2)
    expected = [(x * stride - w / 2, y * stride - h / 2, x * stride + w / 2, y * stride + h / 2)
                for y in range(height) for x in range(width) for size in sizes for ratio in ratios
                for w, h in [(size / ratio ** 0.5, size * ratio ** 0.5)]]
    cell = cell_anchors(sizes, ratios)
    anchors = run(lambda h, w: grid_anchors(h, w, (stride, stride), cell), np.int32(height), np.int32(width))
    np.testing.assert_allclose(anchors, expected, atol=1e-4)


# labels -------------------------------------------------------------------------------------------------------------
def iou_of(a, b):
    inter = intersection_of(a, b)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0


def intersection_of(a, b):
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def label_by_loops(anchors, gt_boxes, gt_labels, height, width):
    """The definition, for one image, in float64."""
    anchors = np.float64(anchors)
    objects = [i for i, label in enumerate(gt_labels) if label > 0]
    crowds = [box for box, label in zip(gt_boxes, gt_labels) if label < 0]
    inside = [a for a, (x1, y1, x2, y2) in enumerate(anchors) if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height]
    ious = {a: {g: iou_of(anchors[a], gt_boxes[g]) for g in objects} for a in inside}
    labels, best = np.full(len(anchors), -1), np.full(len(anchors), -1)
    for a in inside:
        highest = max(ious[a].values(), default=0)
        if objects:
            best[a] = max(objects, key=lambda g: ious[a][g])
        is_best_of_box = any(ious[a][g] > 0 and ious[a][g] >= max(ious[b][g] for b in inside) - 1e-7 for g in objects)
        area = (anchors[a, 2] - anchors[a, 0]) * (anchors[a, 3] - anchors[a, 1])
        if highest >= POSITIVE or is_best_of_box:
            labels[a] = 1
        elif highest < NEGATIVE and all(intersection_of(anchors[a], crowd) < CROWD * area for crowd in crowds):
            labels[a] = 0
    return labels, best


def label(anchors, gt_boxes, gt_labels, sizes, exists=None, straddle=0.0):
    exists = np.ones((len(gt_labels), len(anchors)), bool) if exists is None else exists
    thresholds = AnchorThresholds(POSITIVE, NEGATIVE, CROWD, straddle)
    return run(lambda a, box, label, s: label_anchors(a, tf.constant(exists), GroundTruth(box, label), s, thresholds),
               np.float32(anchors), np.float32(gt_boxes), np.int32(gt_labels), np.int32(sizes))


def label_one(anchors, gt_boxes=(), gt_labels=(), size=(100, 100)):
    """Labels of the anchors of one image, and the boxes they belong to."""
    gt_boxes, gt_labels = list(gt_boxes) or [(0, 0, 0, 0)], list(gt_labels) or [0] * max(len(gt_boxes), 1)
    labels, best = label(anchors, [gt_boxes], [gt_labels], [size])
    return labels[0].tolist(), best[0].tolist()


def random_scene(rng, batch=4, num_boxes=6):
    """Anchors of two levels, of which some leave the images, and boxes near some of them, padding and crowds."""
    grids = [(8, 10, 16, (16, 32)), (4, 5, 32, (64,))]
    anchors = np.concatenate([
        run(lambda h, w, s=stride, e=edges: grid_anchors(h, w, (s, s), cell_anchors(e, (0.5, 1, 2))),
            np.int32(rows), np.int32(columns))
        for rows, columns, stride, edges in grids])
    sizes = np.int32([(128, 160), (100, 160), (128, 90), (97, 131)])[:batch]
    gt_boxes, gt_labels = np.zeros((batch, num_boxes, 4), np.float32), np.zeros((batch, num_boxes), np.int32)
    for b, count in enumerate([num_boxes, 3, 0, 1][:batch]):
        near = anchors[rng.integers(len(anchors), size=count)] + rng.normal(0, 3, (count, 4))
        low = np.clip(near[:, :2], 0, sizes[b, ::-1] - 8)
        gt_boxes[b, :count] = np.concatenate([low, np.clip(near[:, 2:], low + 5, sizes[b, ::-1])], axis=1)
        gt_labels[b, :count] = rng.integers(1, 80, count)
    return anchors, gt_boxes, gt_labels, sizes


def test_an_anchor_of_a_cell_beyond_the_feature_map_is_neither_and_leaves_its_box_to_another():
    anchors = [(0, 0, 40, 40), (0, 0, 40, 20), (60, 60, 90, 90)]
    labels = [label(anchors, [[(0, 0, 40, 40)]], [[1]], [(100, 100)], np.array([[first, True, False]]))[0].tolist()
              for first in (True, False)]
    assert labels == [[[1, -1, -1]], [[-1, 1, -1]]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("crowds", [False, True])
def test_labels_are_those_of_the_definition(seed, crowds):
    rng = np.random.default_rng(seed)
    anchors, gt_boxes, gt_labels, sizes = random_scene(rng)
    if crowds:
        gt_labels[0, 1] = gt_labels[1, 0] = gt_labels[3, 0] = -1
        gt_boxes[0, 1] = gt_boxes[1, 0] = (10, 10, 90, 95)
    labels, best = label(anchors, gt_boxes, gt_labels, sizes)
    for b, (height, width) in enumerate(sizes):
        expected_labels, expected_best = label_by_loops(anchors, gt_boxes[b], gt_labels[b], height, width)
        np.testing.assert_array_equal(labels[b], expected_labels)
        positive = labels[b] == 1
        np.testing.assert_array_equal(best[b][positive], expected_best[positive])


def test_an_anchor_that_covers_a_box_is_positive_and_names_it():
    boxes = [(10, 10, 30, 30), (50, 50, 90, 90)]
    assert label_one([(50, 50, 90, 90), (10, 10, 30, 30)], boxes, [5, 7]) == ([1, 1], [1, 0])


# IoU is height / 20
@pytest.mark.parametrize("height, expected", [(15, 1), (14, 1), (13.9, -1), (10, -1), (6, -1), (5.9, 0)])
def test_an_anchor_is_positive_from_one_threshold_on_negative_below_the_other_and_neither_between(height, expected):
    box = (0, 0, 20, 20)
    assert label_one([box, (0, 0, 20, height)], [box], [1])[0] == [1, expected]


def test_the_best_anchor_of_a_box_is_positive_however_little_it_overlaps():
    assert label_one([(0, 0, 40, 40), (50, 50, 60, 60)], [(0, 0, 8, 8)], [1])[0] == [1, 0]    # IoU 0.04


def test_all_anchors_that_share_the_best_overlap_with_a_box_are_positive():
    assert label_one([(0, 0, 20, 10), (0, 10, 20, 20)], [(0, 0, 20, 20)], [1])[0] == [1, 1]


def test_a_box_that_no_anchor_overlaps_makes_no_anchor_positive():
    assert label_one([(0, 0, 20, 20), (30, 0, 50, 20)], [(70, 70, 90, 90)], [1])[0] == [0, 0]


def test_an_image_without_boxes_has_only_negative_anchors():
    assert label_one([(0, 0, 20, 20), (30, 30, 60, 60)])[0] == [0, 0]


def test_padding_is_not_an_object():
    assert label_one([(0, 0, 20, 20)], [(0, 0, 20, 20)], [0])[0] == [0]


def test_anchors_that_leave_the_image_are_neither():
    box = (60, 60, 80, 80)
    anchors = [(60, 60, 80, 80), (60, 60, 81, 80), (60, 60, 80, 81), (-1, 0, 20, 20), (0, -1, 20, 20)]
    assert label_one(anchors, [box], [1], size=(80, 80))[0] == [1, -1, -1, -1, -1]


@pytest.mark.parametrize("straddle, expected", [(0.0, [0, -1, -1]), (5.0, [0, 0, -1]), (-1.0, [0, 0, 0])])
def test_anchors_may_leave_the_image_as_far_as_a_key_says(straddle, expected):
    anchors = [(0, 0, 20, 20), (-5, 60, 20, 85), (-6, -100, 20, 20)]
    labels, _ = label(anchors, [[(0, 0, 0, 0)]], [[0]], [(80, 80)], straddle=straddle)
    assert labels[0].tolist() == expected


def test_the_image_size_is_height_then_width():
    assert label_one([(0, 0, 40, 20), (0, 0, 20, 40)], size=(20, 40))[0] == [0, -1]


def test_a_box_whose_best_anchor_leaves_the_image_takes_the_best_inside():
    anchors = [(-2, 0, 20, 20), (0, 0, 40, 40)]
    assert label_one(anchors, [(0, 0, 20, 20)], [1])[0] == [-1, 1]


@pytest.mark.parametrize("right, expected", [(13, 0), (14, -1), (20, -1)])
def test_negative_anchors_are_ignored_when_enough_of_them_lies_in_a_crowd(right, expected):
    assert label_one([(0, 0, 20, 20)], [(0, 0, right, 60)], [-1])[0] == [expected]


def test_a_crowd_is_not_an_object():
    assert label_one([(0, 0, 20, 20)], [(0, 0, 20, 20)], [-1])[0] == [-1]


def test_an_object_inside_a_crowd_still_makes_anchors_positive():
    assert label_one([(0, 0, 20, 20)], [(0, 0, 60, 60), (0, 0, 20, 20)], [-1, 3]) == ([1], [1])


# memory -------------------------------------------------------------------------------------------------------------
MEMORY = """
import resource, sys
import common
import numpy as np, tensorflow as tf
from modeling.anchors import AnchorThresholds, cell_anchors, grid_anchors, label_anchors
from modeling.structures import GroundTruth

def label(num_boxes):
    corner = np.random.default_rng(0).uniform(0, 700, (1, num_boxes, 2))
    boxes = np.concatenate([corner, corner + 80], axis=2).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as sess:
        anchors = tf.concat([grid_anchors(-(-800 // s), -(-1344 // s), (s, s), cell_anchors([8 * s], (0.5, 1, 2)))
                             for s in (4, 8, 16, 32, 64)], 0)
        labels, _ = label_anchors(anchors, tf.fill([1, tf.shape(anchors)[0]], True),
                                  GroundTruth(tf.constant(boxes), tf.ones([1, num_boxes], tf.int32)), [[800, 1333]],
                                  AnchorThresholds(0.7, 0.3, 0.7))
        sess.run(labels)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = label(1)
print(label(int(sys.argv[1])) - before)
"""


def test_labelling_the_anchors_of_a_crowded_image_takes_less_than_200_mb():
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, "500"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.split()[-1]) < 200


def test_the_best_of_many_boxes_is_named_wherever_it_stands():
    boxes = [(x, 0, x + 10, 10) for x in range(0, 200, 10)]
    anchors = [boxes[17], boxes[3], boxes[8], (180, 0, 190, 9)]
    labels, best = label_one(anchors, boxes, [1] * len(boxes), size=(20, 300))
    assert labels == [1, 1, 1, 1] and best == [17, 3, 8, 18]
