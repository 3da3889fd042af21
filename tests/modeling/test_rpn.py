"""The region proposal network: its head, its losses and its proposals."""

import numpy as np
import pytest
import tensorflow as tf
from tensorpack import tfv1

from graph import gradients, run, tower, variable_shapes
from modeling.anchors import AnchorLabels
from modeling.boxes import BoxCoder
from modeling.losses import BoxLoss
from modeling.rpn import Level, ProposalLimits, generate_proposals, rpn_head, rpn_losses
from modeling.sampling import Sampling
from modeling.structures import GroundTruth

CLIP = np.log(1333 / 16)
CODER = BoxCoder(max_log_scale=CLIP)
BETA = 1 / 9


# head ---------------------------------------------------------------------------------------------------------------
def test_the_head_answers_in_the_order_of_the_anchors():
    batch, height, width, num_anchors = 2, 3, 4, 3
    cell = np.arange(batch * height * width, dtype=np.float32).reshape(batch, height, width, 1)
    identity = np.zeros((3, 3, 1, 1), np.float32)
    identity[1, 1] = 1
    variables = {
        "rpn/conv0/W": identity, "rpn/class/W": np.full((1, 1, 1, 3), 10, np.float32),
        "rpn/class/b": np.float32([0, 1, 2]),
        "rpn/box/W": np.full((1, 1, 1, 12), 100, np.float32), "rpn/box/b": np.arange(12, dtype=np.float32)}

    def head(x):
        with tower(training=False):
            return rpn_head(x, 1, num_anchors)

    logits, deltas = run(head, cell, variables=variables)
    cells = cell.reshape(batch, height * width, 1)
    np.testing.assert_array_equal(logits, (cells * 10 + np.arange(3)).reshape(batch, -1))
    np.testing.assert_array_equal(deltas, (cells * 100 + np.arange(12)).reshape(batch, -1, 4))


def test_all_levels_share_one_head():
    with tf.Graph().as_default(), tower(training=True):
        for size in (8, 4):
            rpn_head(tf.zeros([1, size, size, 16]), 16, 3)
        assert sorted(variable_shapes()) == [f"rpn/{layer}/{v}" for layer in ("box", "class", "conv0") for v in "Wb"]


def test_each_hidden_layer_sees_nothing_beyond_the_images():
    cells = []

    def zero(x):
        cells.append(x)
        return x * [[[0.0], [1.0], [1.0]]]

    def head(x):
        with tower(training=False):
            return rpn_head(x, 1, 1, num_convs=2, zero=zero)[0]

    ones = {"rpn/conv0/W": np.ones((3, 3, 1, 1), np.float32), "rpn/conv1/W": np.ones((3, 3, 1, 1), np.float32),
            "rpn/class/W": np.ones((1, 1, 1, 1), np.float32)}
    # of a row of three pixels, the first of which is padding
    logits = run(head, np.ones((1, 1, 3, 1), np.float32), variables=ones)
    np.testing.assert_array_equal(logits, [[2, 4, 4]])
    assert len(cells) == 2


# losses -------------------------------------------------------------------------------------------------------------
def encode(boxes, anchors):
    """The regression targets of eq. 2 of the paper, in float64."""
    boxes, anchors = np.float64(boxes), np.float64(anchors)
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2
    return np.concatenate([shift / anchor_size, np.log(size / anchor_size)], axis=1)


def make_anchors(n, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(10, 60, (n, 2))], axis=1).astype(np.float32)


ANCHORS = make_anchors(6)
# the second image has one positive anchor, which belongs to its second box
LABELS = np.int32([[1, 0, -1, 1, 0, -1], [-1, 0, 0, 0, 1, 0]])
BEST = np.int32([[1, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0]])
GT_BOXES = make_anchors(4, seed=1).reshape(2, 2, 4)


def losses(logits, deltas, labels=LABELS, best=BEST, gt_boxes=GT_BOXES, batch_per_im=8, fg_ratio=0.5,
           loss_type="smooth_l1", weight=1.0):
    sampling = Sampling(batch_per_im, fg_ratio)
    return run(lambda *t: rpn_losses_of(*t, labels, best, gt_boxes, sampling, loss_type, weight),
               np.float32(logits), np.float32(deltas))


def rpn_losses_of(logits, deltas, labels, best, gt_boxes, sampling, loss_type, weight=1.0):
    """Returns: the label loss and the box loss, tensors"""
    level, gt = Level(tf.constant(ANCHORS), None, logits, deltas), GroundTruth(tf.constant(gt_boxes, tf.float32), None)
    seeds = tf.constant([(1, 2)] * len(labels), tf.int64)
    found = rpn_losses(level, AnchorLabels(tf.constant(labels), tf.constant(best)), gt, seeds, sampling,
                       BoxLoss(loss_type, CODER, BETA, weight))
    return found["rpn_label_loss"], found["rpn_box_loss"]


def perfect_deltas():
    return np.stack([encode(GT_BOXES[b][BEST[b]], ANCHORS) for b in range(2)])


def test_the_label_loss_is_cross_entropy_over_the_sampled_anchors():
    logits = np.random.default_rng(0).normal(size=(2, 6))
    label_loss, _ = losses(logits, np.zeros((2, 6, 4)))
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(LABELS == 1, probability, 1 - probability))[LABELS >= 0].sum() / (8 * 2)
    np.testing.assert_allclose(label_loss, expected, rtol=1e-5)


def test_perfect_deltas_have_no_box_loss():
    assert losses(np.zeros((2, 6)), perfect_deltas())[1] < 1e-6


def test_the_box_loss_is_smooth_l1_over_the_positive_anchors():
    deltas = perfect_deltas() + 1.0
    num_positive = (LABELS == 1).sum()
    np.testing.assert_allclose(losses(np.zeros((2, 6)), deltas)[1], num_positive * 4 * (1 - BETA / 2) / 16,
                               rtol=1e-4)


def test_an_iou_loss_is_of_the_boxes_that_the_deltas_stand_for():
    assert losses(np.zeros((2, 6)), perfect_deltas(), loss_type="giou")[1] == pytest.approx(0, abs=1e-5)
    # anchors where they are: what they lack of their boxes, over 3 positive ones of 16
    positive = zip(*np.nonzero(LABELS == 1))
    expected = sum(1 - iou_of(ANCHORS[a], GT_BOXES[b, BEST[b, a]][None])[0] for b, a in positive) / 16
    assert losses(np.zeros((2, 6)), np.zeros((2, 6, 4)), loss_type="iou")[1] == pytest.approx(expected, rel=1e-5)


def test_the_weight_is_of_the_box_loss_alone():
    logits, deltas = np.full((2, 6), 0.3), perfect_deltas() + 1.0
    once, thrice = losses(logits, deltas), losses(logits, deltas, weight=3.0)
    np.testing.assert_allclose(np.array(thrice) / once, [1, 3], rtol=1e-5)


def test_both_losses_are_divided_by_the_anchors_that_were_asked_for():
    logits, deltas = np.full((2, 6), 0.3), perfect_deltas() + 1.0
    once, twice = losses(logits, deltas, batch_per_im=8), losses(logits, deltas, batch_per_im=16)
    np.testing.assert_allclose(np.array(once) / twice, 2, rtol=1e-5)


def test_a_batch_of_the_same_image_twice_has_the_losses_of_the_image():
    logits, deltas = np.random.default_rng(1).normal(size=(1, 6)), perfect_deltas()[:1] + 0.3
    alone = losses(logits, deltas, LABELS[:1], BEST[:1], GT_BOXES[:1])
    twice = losses(*(np.tile(x[:1], (2,) + (1,) * (x.ndim - 1)) for x in (logits, deltas, LABELS, BEST, GT_BOXES)))
    np.testing.assert_allclose(twice, alone, rtol=1e-5)


def test_the_foreground_is_limited_to_its_share_of_the_sample():
    labels = np.int32([[1, 1, 1, 1, 1, 0]])
    # each sampled positive anchor costs log 2, and nothing else does
    logits = np.where(labels == 1, 0.0, -50.0)
    label_loss, _ = losses(logits, np.zeros((1, 6, 4)), labels, BEST[:1], GT_BOXES[:1], batch_per_im=4, fg_ratio=0.5)
    np.testing.assert_allclose(label_loss, 2 * np.log(2) / 4, rtol=1e-5)


@pytest.mark.parametrize("loss_type", ["smooth_l1", "giou"])
@pytest.mark.parametrize("labels", [np.zeros((2, 6), np.int32), np.full((2, 6), -1, np.int32)],
                         ids=["negative", "neither"])
def test_without_positive_anchors_there_is_no_box_loss_and_finite_gradients(labels, loss_type):
    padding = np.zeros((2, 1, 4), np.float32)    # what an image without ground truth has
    best = np.zeros((2, 6), np.int32)
    arrays = np.ones((2, 6), np.float32), np.ones((2, 6, 4), np.float32)
    label_loss, box_loss = losses(*arrays, labels, best, padding, loss_type=loss_type)
    assert box_loss == 0
    assert np.isfinite(label_loss)
    grads = gradients(lambda *t: sum(rpn_losses_of(*t, labels, best, padding, Sampling(8, 0.5), loss_type)), *arrays)
    assert all(np.isfinite(g).all() for g in grads)
    np.testing.assert_array_equal(grads[1], 0)


# proposals ----------------------------------------------------------------------------------------------------------
def decode(deltas, anchors):
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    center = deltas[:, :2] * anchor_size + (anchors[:, :2] + anchors[:, 2:]) / 2
    size = np.exp(np.minimum(deltas[:, 2:], CLIP)) * anchor_size
    return np.concatenate([center - size / 2, center + size / 2], axis=1)


def iou_of(box, boxes):
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    inter = size.clip(0).prod(axis=1)
    return inter / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - inter)


def nms(boxes, scores, threshold):
    """Greedy NMS, box by box. Returns: the boxes and scores that are kept, by falling score"""
    order, keep = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        order = rest[iou_of(boxes[best], boxes[rest]) <= threshold]
    return boxes[keep], scores[keep]


def propose_by_loops(levels, image, size, pre, post, threshold, min_size):
    """The definition for one image, in float64."""
    height, width = size
    kept = []
    for anchors, inside, logits, deltas in levels:
        cells = np.flatnonzero(inside[image])
        best = cells[np.argsort(-logits[image, cells], kind="stable")][:pre]
        boxes, scores = decode(np.float64(deltas[image, best]), np.float64(anchors[best])), logits[image, best]
        boxes = boxes.clip(0, [width, height, width, height])
        large = (boxes[:, 2:] - boxes[:, :2] > min_size).all(axis=1)
        boxes, scores = nms(boxes[large], scores[large], threshold)
        kept.append((boxes[:post], scores[:post]))
    boxes, scores = (np.concatenate(x) for x in zip(*kept))
    order = np.argsort(-scores, kind="stable")[:post]
    return boxes[order], scores[order]


SIZES = np.int32([(100, 160), (70, 90)])


def random_levels(seed, lengths=(60, 25, 4)):
    """Levels of which the last has few anchors, and of which the second image has not all cells."""
    rng = np.random.default_rng(seed)
    return [(make_anchors(n, seed=seed * 10 + i), np.stack([np.ones(n, bool), rng.random(n) < 0.7]),
             rng.permutation(2 * n).reshape(2, n).astype(np.float32) - n + i * 0.1,
             rng.normal(0, 0.2, (2, n, 4)).astype(np.float32)) for i, n in enumerate(lengths)]


def propose(levels, sizes=SIZES, pre=20, post=12, threshold=0.5, min_size=0.0):
    """Proposals of each image, without padding, and the raw results."""
    flat = [array for level in levels for array in level]

    def function(sizes, *tensors):
        grouped = [Level(*tensors[i:i + 4]) for i in range(0, len(tensors), 4)]
        return generate_proposals(grouped, sizes, ProposalLimits(pre, post, threshold, min_size), CODER)

    boxes, scores = run(function, np.int32(sizes), *flat)
    return [(b[s > -np.inf], s[s > -np.inf]) for b, s in zip(boxes, scores)], boxes, scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pre, post, threshold, min_size", [
    (20, 12, 0.5, 0.0), (1000, 1000, 0.7, 0.0), (30, 40, 0.3, 25.0), (5, 8, 0.5, 0.0)])
def test_proposals_are_those_of_the_definition(seed, pre, post, threshold, min_size):
    levels = random_levels(seed)
    proposals, *_ = propose(levels, SIZES, pre, post, threshold, min_size)
    for image in range(2):
        boxes, scores = propose_by_loops(levels, image, SIZES[image], pre, post, threshold, min_size)
        np.testing.assert_allclose(proposals[image][1], scores, rtol=1e-6)
        np.testing.assert_allclose(proposals[image][0], boxes, atol=1e-3)


def test_proposals_come_by_falling_score():
    _, _, scores = propose(random_levels(3))
    assert (scores[:, :-1] >= scores[:, 1:]).all()


def test_there_are_never_more_proposals_than_asked_for_and_the_best_ones_are_kept():
    (few, _), *_ = propose(random_levels(4), post=5)
    (many, _), *_ = propose(random_levels(4), post=50)
    assert len(few[0]) == 5
    # those of more than one level may lose some to the limit of a level, but never the very best
    np.testing.assert_array_equal(few[0][0], many[0][0])


def test_proposals_lie_inside_their_own_image():
    proposals, *_ = propose(random_levels(5), pre=100, post=100)
    for (boxes, _), (height, width) in zip(proposals, SIZES):
        assert (boxes >= 0).all() and (boxes[:, ::2] <= width).all() and (boxes[:, 1::2] <= height).all()


def test_no_proposal_comes_from_a_cell_beyond_the_image():
    anchors, inside, logits, deltas = random_levels(6, lengths=(40,))[0]
    proposals, *_ = propose([(anchors, inside, logits, deltas)], [(1000, 1000)] * 2, pre=100, post=100, threshold=1.0)
    assert set(proposals[1][1]) == set(logits[1, inside[1]])


def test_an_image_gives_the_same_proposals_alone():
    levels = random_levels(7)
    together, *_ = propose(levels)
    for image in range(2):
        one = slice(image, image + 1)
        alone, *_ = propose([(anchors, *(x[one] for x in of_images)) for anchors, *of_images in levels], SIZES[one])
        np.testing.assert_array_equal(alone[0][0], together[image][0])


def test_boxes_that_lie_wholly_beyond_the_image_are_no_proposals():
    anchors = np.float32([[10, 10, 30, 30], [200, 10, 230, 30]])
    level = anchors, np.ones((1, 2), bool), np.float32([[1, 2]]), np.zeros((1, 2, 4), np.float32)
    proposals, *_ = propose([level], SIZES[:1])
    np.testing.assert_array_equal(proposals[0][0], anchors[:1])


def test_levels_do_not_suppress_each_other():
    anchors = np.float32([[10, 10, 30, 30]])
    level = anchors, np.ones((1, 1), bool), np.float32([[1]]), np.zeros((1, 1, 4), np.float32)
    proposals, *_ = propose([level, level], SIZES[:1])
    np.testing.assert_array_equal(proposals[0][0], np.tile(anchors, (2, 1)))


def test_no_gradient_flows_into_the_proposals():
    level = random_levels(8, lengths=(10,))[0]

    def connected(logits, deltas):
        levels = [Level(level[0], level[1], logits, deltas)]
        proposals = generate_proposals(levels, tf.constant(SIZES), ProposalLimits(20, 12, 0.5, 0.0), CODER)
        return tf.constant([g is not None for p in proposals for g in tfv1.gradients(p, [logits, deltas])])

    assert not run(connected, level[2], level[3]).any()
