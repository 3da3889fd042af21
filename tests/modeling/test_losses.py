"""Losses on plain tensors."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st
from tensorpack import tfv1

from graph import build, gradients, run
from modeling.losses import IOU_KINDS, image_shares, iou_loss, mean_over, smooth_l1

# smooth L1 ----------------------------------------------------------------------------------------------------------
X = np.float32([-3, -1.5, -0.5, -0.01, 0, 0.01, 0.5, 1.5, 3])


def smooth_l1_of(x, beta):
    return run(lambda p: smooth_l1(p, np.zeros_like(X), beta), np.float32(x))


@pytest.mark.parametrize("beta", [1.0, 1.0 / 9, 0.25])
def test_smooth_l1_is_quadratic_below_beta_and_linear_beyond(beta):
    expected = [0.5 * x * x / beta if abs(x) < beta else abs(x) - 0.5 * beta for x in X]
    np.testing.assert_allclose(smooth_l1_of(X, beta), expected, rtol=1e-5)


def test_smooth_l1_with_beta_zero_is_the_distance():
    np.testing.assert_allclose(smooth_l1_of(X, 0.0), np.abs(X), rtol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 1.0 / 9])
def test_smooth_l1_and_its_slope_are_continuous_at_beta(beta):
    around = np.float32([beta * (1 - 1e-4), beta * (1 + 1e-4)])
    def loss(x):
        return smooth_l1(x, np.zeros(2, np.float32), beta)
    value, slope = run(loss, around), gradients(loss, around)[0]
    assert abs(value[1] - value[0]) < 3e-4 * beta
    np.testing.assert_allclose(slope, 1, atol=2e-4)


def test_the_slope_of_smooth_l1_is_at_most_one():
    slope, = gradients(lambda x: smooth_l1(x, np.zeros_like(X), 0.25), X)
    assert np.abs(slope).max() <= 1 + 1e-6
    np.testing.assert_array_equal(np.sign(slope), np.sign(X))


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_smooth_l1_of_equal_values_has_a_finite_gradient(beta):
    slope, = gradients(lambda x: smooth_l1(x, np.ones((2, 4), np.float32), beta), np.ones((2, 4), np.float32))
    np.testing.assert_array_equal(slope, 0)


# IoU losses ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def ops(golden):
    return np.load(f"{golden}/ops.npz")


def loss_and_gradient(kind):
    """Returns: a function of boxes (N, 4) and targets (N, 4) that gives the losses (N,) and their gradients (N, 4)"""
    def both(boxes, targets):
        loss = iou_loss(boxes, targets, kind)
        return loss, tfv1.gradients(loss, boxes)[0]

    return build(both, np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32))


@pytest.fixture(scope="module")
def losses():
    """By kind, a function like `loss_and_gradient`."""
    return {kind: loss_and_gradient(kind) for kind in IOU_KINDS}


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_losses_and_gradients_are_those_of_torchvision(losses, ops, kind):
    loss, gradient = losses[kind](ops["boxes"], ops["targets"])
    np.testing.assert_allclose(loss, ops[f"{kind}_loss"], atol=1e-5)
    largest = np.abs(ops[f"{kind}_grad"]).max(axis=1)
    assert (np.abs(gradient - ops[f"{kind}_grad"]).max(axis=1) <= 1e-4 * largest).all()


def test_the_iou_loss_is_one_minus_the_iou(losses, ops):
    np.testing.assert_allclose(losses["iou"](ops["boxes"], ops["targets"])[0], 1 - ops["iou"], atol=1e-5)


def random_boxes(rng, count, extent=100.0):
    corners = rng.uniform(0, extent, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1)


def by_loops(box, target, kind, alpha=None):
    """
    The definitions, in float64, of one pair.

    Args:
        alpha (float): weight of CIoU's last term, which its gradient takes for a constant; by default what it is
    """
    (x1, y1, x2, y2), (u1, v1, u2, v2) = box, target
    inter = max(min(x2, u2) - max(x1, u1), 0) * max(min(y2, v2) - max(y1, v1), 0)
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter
    width, height = max(x2, u2) - min(x1, u1), max(y2, v2) - min(y1, v1)
    loss = 1 - inter / union
    if kind == "giou":
        return loss + (width * height - union) / (width * height)
    if kind in ("diou", "ciou"):
        distance = (x1 + x2 - u1 - u2) ** 2 / 4 + (y1 + y2 - v1 - v2) ** 2 / 4
        v = 4 / np.pi ** 2 * (np.arctan((u2 - u1) / (v2 - v1)) - np.arctan((x2 - x1) / (y2 - y1))) ** 2
        alpha = v / (loss + v) if alpha is None else alpha
        loss += distance / (width ** 2 + height ** 2)
        return loss + alpha * v if kind == "ciou" else loss
    return loss


def alpha_of(box, target):
    ious = by_loops(box, target, "iou")
    v = (by_loops(box, target, "ciou", alpha=1) - by_loops(box, target, "diou"))
    return v / (ious + v)


@pytest.mark.parametrize("kind", IOU_KINDS)
def test_losses_and_gradients_are_those_of_the_definition(kind):
    rng = np.random.default_rng(0)
    boxes, targets = random_boxes(rng, 200), random_boxes(rng, 200)
    with tf.Graph().as_default(), tfv1.Session() as sess:
        b, t = tf.constant(boxes), tf.constant(targets)    # float64
        loss = iou_loss(b, t, kind)
        loss, gradient = sess.run([loss, tfv1.gradients(loss, b)[0]])
    step = 1e-6
    for i, (box, target) in enumerate(zip(boxes, targets)):
        assert loss[i] == pytest.approx(by_loops(box, target, kind), abs=1e-12)
        alpha = alpha_of(box, target)
        slopes = [(by_loops(box + step * e, target, kind, alpha) - by_loops(box - step * e, target, kind, alpha))
                  / (2 * step) for e in np.eye(4)]
        np.testing.assert_allclose(gradient[i], slopes, rtol=1e-4, atol=1e-8)


FAR = 1e6
UNUSUAL = {
    "equal": ((10, 10, 20, 30), (10, 10, 20, 30)), "touching": ((0, 0, 10, 10), (10, 0, 20, 10)),
    "touching at a corner": ((0, 0, 10, 10), (10, 10, 20, 20)), "disjoint": ((0, 0, 10, 10), (30, 50, 60, 70)),
    "nested": ((20, 20, 30, 30), (0, 0, 100, 100)), "no width": ((10, 10, 10, 30), (0, 0, 20, 20)),
    "a point": ((10, 10, 10, 10), (0, 0, 20, 20)), "both the same point": ((10, 10, 10, 10), (10, 10, 10, 10)),
    "two points": ((10, 10, 10, 10), (20, 20, 20, 20)), "a target without height": ((0, 0, 20, 20), (5, 5, 15, 5)),
    "swapped corners": ((20, 30, 10, 10), (10, 10, 20, 30)), "swapped in x": ((20, 10, 10, 30), (0, 0, 30, 30)),
    "far apart": ((0, 0, 10, 10), (FAR, FAR, FAR + 10, FAR + 10)), "tiny": ((0, 0, 1e-20, 1e-20), (0, 0, 1e-19, 1e-20)),
    "huge": ((0, 0, 1e8, 1e8), (1e8, 0, 2e8, 1e8)), "flat": ((0, 0, 1e6, 1e-6), (0, 0, 1e-6, 1e6))}


@pytest.mark.parametrize("kind", IOU_KINDS)
@pytest.mark.parametrize("name", UNUSUAL)
def test_losses_and_gradients_of_unusual_boxes_are_finite(losses, kind, name):
    box, target = (np.float32([b]) for b in UNUSUAL[name])
    for loss, gradient in (losses[kind](box, target), losses[kind](target, box)):
        assert np.isfinite(loss).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", IOU_KINDS)
def test_no_boxes_have_no_losses(losses, kind):
    loss, gradient = losses[kind](np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
    assert loss.shape == (0,) and gradient.shape == (0, 4)


@pytest.mark.parametrize("kind", IOU_KINDS)
def test_a_box_on_its_target_has_no_loss_whatever_the_order_of_its_corners(losses, kind):
    boxes, target = np.float32([(10, 10, 20, 30), (20, 30, 10, 10)]), np.float32([(10, 10, 20, 30)] * 2)
    np.testing.assert_allclose(losses[kind](boxes, target)[0], 0, atol=1e-6)


coordinate = st.floats(0, 1000, width=32)
box = st.tuples(coordinate, coordinate, st.floats(1, 1000, width=32), st.floats(1, 1000, width=32)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
pairs = st.lists(st.tuples(box, box), min_size=1, max_size=20)
RANGES = {"iou": 1, "giou": 2, "diou": 2, "ciou": 3}


@pytest.mark.parametrize("kind", IOU_KINDS)
@settings(deadline=None, max_examples=50)
@given(pairs=pairs)
def test_losses_stay_in_their_range(losses, kind, pairs):
    boxes, targets = np.float32(pairs).transpose(1, 0, 2)
    loss, _ = losses[kind](boxes, targets)
    assert loss.min() >= -1e-5 and loss.max() <= RANGES[kind] + 1e-5


@pytest.mark.parametrize("kind", IOU_KINDS)
@settings(deadline=None, max_examples=50)
@given(pairs=pairs, shift=st.tuples(st.integers(-512, 512), st.integers(-512, 512)), exponent=st.integers(-4, 4))
def test_shifting_and_scaling_both_changes_nothing(losses, kind, pairs, shift, exponent):
    # on a grid of quarter pixels nothing is rounded
    boxes, targets = np.round(np.float32(pairs).transpose(1, 0, 2) * 4) / 4
    loss, gradient = losses[kind](boxes, targets)
    scale = 2.0 ** exponent

    def moved(boxes):
        return ((boxes + np.float32(shift + shift)) * scale).astype(np.float32)

    moved_loss, moved_gradient = losses[kind](moved(boxes), moved(targets))
    np.testing.assert_allclose(moved_loss, loss, atol=1e-5)
    np.testing.assert_allclose(moved_gradient * scale, gradient, atol=1e-5)


@pytest.mark.parametrize("kind", IOU_KINDS)
def test_a_loss_of_giou_or_its_kin_is_at_least_that_of_iou(losses, ops, kind):
    pair = ops["boxes"], ops["targets"]
    assert (losses[kind](*pair)[0] >= losses["iou"](*pair)[0] - 1e-5).all()


# means --------------------------------------------------------------------------------------------------------------
def test_mean_over_divides_the_sum_by_the_count():
    assert run(lambda x: mean_over(x, 4), np.float32([[1, 2], [3, 6]])) == 3


def test_mean_over_nothing_is_zero():
    assert run(lambda x: mean_over(x, 0), np.zeros((0, 4), np.float32)) == 0


def test_mean_over_nothing_has_a_finite_gradient():
    slope, = gradients(lambda x: mean_over(x, 0), np.float32([1, 2]))
    np.testing.assert_array_equal(slope, 0)


def test_shares_make_a_sum_over_rois_the_mean_of_the_means_of_images():
    values, images = np.float32([1, 2, 3, 10, 4]), np.int32([0, 2, 0, 2, 0])    # the second image has none
    total = run(lambda v, i: tf.reduce_sum(v * image_shares(i, 3)), values, images)
    assert total == pytest.approx((8 / 3 + 0 + 12 / 2) / 3)


def test_no_rois_have_no_shares():
    assert run(lambda i: image_shares(i, 2), np.zeros(0, np.int32)).shape == (0,)
