"""Box arithmetic, against torchvision's recorded results and by its laws."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from graph import build, run
from modeling import boxes as box_ops

FLOATS = st.floats(0, 1, width=32)
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
CODER, LOOSE_CODER = box_ops.BoxCoder(WEIGHTS), box_ops.BoxCoder(WEIGHTS, max_log_scale=10.0)


@pytest.fixture(scope="module")
def ops(golden):
    return np.load(f"{golden}/ops.npz")


def to_boxes(unit):
    """Boxes of 2 to 400 pixels somewhere in -100..1000, from numbers in 0..1."""
    corner, size = unit[:, :2] * 1100 - 100, 2 + unit[:, 2:] ** 2 * 398
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def there_and_back():
    example = np.zeros((1, 4), np.float32)
    return build(lambda b, a: LOOSE_CODER.decode(LOOSE_CODER.encode(b, a), a),
                 example, example)


@pytest.fixture(scope="module")
def back_and_there():
    example = np.zeros((1, 4), np.float32)
    return build(lambda d, a: CODER.encode(CODER.decode(d, a), a), example, example)


# area, intersection, iou --------------------------------------------------------------------------------------------
def test_the_area_of_a_box_is_width_times_height():
    assert run(box_ops.area, np.float32([[1, 2, 4, 9]])) == 21


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 5, 9, 5), (5, 5, 5, 5), (9, 5, 5, 9), (9, 9, 5, 5)])
def test_a_box_without_extent_or_with_swapped_corners_has_no_area(box):
    assert run(box_ops.area, np.float32([box])) == 0


@pytest.mark.parametrize("box, other, expected", [
    ((0, 0, 10, 10), (5, 6, 20, 20), 20),
    ((0, 0, 10, 10), (2, 3, 4, 6), 6),
    ((0, 0, 10, 10), (10, 0, 20, 10), 0),
    ((0, 0, 10, 10), (11, 11, 20, 20), 0),
    ((0, 0, 10, 10), (5, 5, 5, 9), 0),
])
def test_the_intersection_is_the_area_of_overlap(box, other, expected):
    assert run(box_ops.intersection, np.float32([box]), np.float32([other])) == expected
    assert run(box_ops.intersection, np.float32([other]), np.float32([box])) == expected


def test_iou_is_that_of_torchvision(ops):
    np.testing.assert_allclose(run(box_ops.iou, ops["boxes"], ops["targets"]), ops["iou"], atol=1e-5)


def test_iou_of_broadcast_boxes_is_pairwise(ops):
    a, b = ops["boxes"][:5], ops["targets"][:7]
    pairwise = run(lambda a, b: box_ops.iou(a[:, None], b[None]), a, b)
    assert pairwise.shape == (5, 7)
    for i in range(5):
        np.testing.assert_allclose(pairwise[i], run(box_ops.iou, np.tile(a[i], (7, 1)), b), atol=1e-6)


def test_iou_of_two_boxes_without_extent_is_zero():
    point = np.float32([[3, 3, 3, 3]])
    assert run(box_ops.iou, point, point) == 0


# clip ---------------------------------------------------------------------------------------------------------------
def test_boxes_are_clipped_to_the_size_of_their_own_image():
    boxes = np.float32([[[-5, -6, 300, 400], [10, 20, 30, 40]]] * 2)
    sizes = np.int32([[100, 200], [50, 25]])    # height, width
    clipped = run(lambda b, s: box_ops.clip(b, s[:, None]), boxes, sizes)
    np.testing.assert_array_equal(clipped, [[[0, 0, 200, 100], [10, 20, 30, 40]], [[0, 0, 25, 50], [10, 20, 25, 40]]])


def test_a_box_beyond_the_image_is_clipped_to_nothing():
    clipped = run(box_ops.clip, np.float32([[120, 10, 140, 30], [-40, -40, -10, -10]]),
                  np.int32([[100, 100], [100, 100]]))
    np.testing.assert_array_equal(run(box_ops.area, clipped), [0, 0])


# encode, decode -----------------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (6, 4), elements=FLOATS), arrays(np.float32, (6, 4), elements=FLOATS))
def test_decode_is_the_inverse_of_encode(there_and_back, boxes, anchors):
    boxes, anchors = to_boxes(boxes), to_boxes(anchors)
    np.testing.assert_allclose(there_and_back(boxes, anchors), boxes, atol=0.02)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (6, 4), elements=st.floats(-3, 3, width=32)))
def test_encode_is_the_inverse_of_decode(back_and_there, deltas):
    anchors = np.tile(np.float32([10, 20, 50, 40]), (6, 1))
    np.testing.assert_allclose(back_and_there(deltas, anchors), deltas, atol=1e-3)


def test_encode_follows_the_formula_of_the_paper():
    box, anchor = np.float32([[10, 20, 50, 40]]), np.float32([[0, 0, 20, 40]])
    expected = [[10 * (30 - 10) / 20, 10 * (30 - 20) / 40, 5 * np.log(40 / 20), 5 * np.log(20 / 40)]]
    np.testing.assert_allclose(run(CODER.encode, box, anchor), expected, rtol=1e-6)


def test_deltas_of_zero_decode_to_the_anchor():
    anchors = np.float32([[1, 2, 30, 40]])
    decoded = run(box_ops.BoxCoder().decode, np.zeros((1, 4), np.float32), anchors)
    np.testing.assert_allclose(decoded, anchors, atol=1e-5)


def test_huge_deltas_decode_to_a_box_of_limited_size():
    anchors = np.float32([[0, 0, 16, 16]])
    box = run(lambda d, a: box_ops.BoxCoder().decode(d, a), np.float32([[0, 0, 500, 500]]),
              anchors)
    np.testing.assert_allclose(box[0, 2:] - box[0, :2], 1000, rtol=1e-4)


def test_deltas_of_each_class_decode_from_the_same_anchor():
    deltas = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    anchors = to_boxes(np.random.default_rng(1).random((3, 4)))
    decoded = run(lambda d, a: box_ops.BoxCoder().decode(d, a[:, None]), deltas, anchors)
    np.testing.assert_allclose(decoded[:, 2], run(box_ops.BoxCoder().decode, deltas[:, 2], anchors), rtol=1e-6)


# nms ----------------------------------------------------------------------------------------------------------------
def nms(boxes, scores, threshold, max_outputs):
    """Returns: list of arrays, the kept indices of each group, and the raw results"""
    keep, kept = run(lambda b, s: box_ops.nms(b, s, threshold, max_outputs), np.float32(boxes), np.float32(scores))
    return [k[:n] for k, n in zip(keep, kept.sum(axis=1))], keep, kept


def apart(n):
    """n boxes in a row that do not touch"""
    x = np.arange(n) * 20
    return np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_nms_keeps_what_torchvision_keeps(ops, threshold):
    (kept,), *_ = nms(ops["boxes"][None], ops["nms_scores"][None], threshold, 1996)
    np.testing.assert_array_equal(kept, ops[f"nms_keep_{threshold}"])


def test_nms_treats_every_group_by_itself(ops):
    boxes, scores = ops["boxes"][:600], ops["nms_scores"][:600]
    other = np.random.default_rng(0).permutation(600)
    together, *_ = nms([boxes, boxes[other]], [scores, scores], 0.5, 600)
    for group, (b, s) in enumerate([(boxes, scores), (boxes[other], scores)]):
        (alone,), *_ = nms(b[None], s[None], 0.5, 600)
        np.testing.assert_array_equal(together[group], alone)


def test_nms_keeps_the_best_of_more_than_it_may(ops):
    (kept,), *_ = nms(ops["boxes"][None], ops["nms_scores"][None], 0.5, 100)
    np.testing.assert_array_equal(kept, ops["nms_keep_0.5"][:100])


def test_nms_keeps_no_box_of_score_minus_infinity():
    kept, *_ = nms([apart(4), apart(4)], [[1, -np.inf, 2, -np.inf], [-np.inf] * 4], 0.5, 4)
    assert [k.tolist() for k in kept] == [[2, 0], []]


def test_nms_keeps_boxes_of_negative_scores():
    (kept,), *_ = nms([apart(3)], [[-5, -1000, -3]], 0.5, 3)
    assert kept.tolist() == [2, 0, 1]


def test_a_box_of_score_minus_infinity_suppresses_no_other():
    (kept,), *_ = nms([np.tile([0, 0, 10, 10], (2, 1))], [[-np.inf, 1]], 0.5, 2)
    assert kept.tolist() == [1]


def test_nms_flags_what_is_padding():
    _, keep, kept = nms([apart(2), apart(2)], [[1, 2], [1, -np.inf]], 0.5, 3)
    assert keep.shape == (2, 3)
    assert kept.tolist() == [[True, True, False], [True, False, False]]


def test_padding_of_nms_is_a_valid_index():
    _, keep, kept = nms([apart(2), apart(2)], [[1, 2], [1, -np.inf]], 0.5, 3)
    assert (keep[~kept] == 0).all()


def test_an_overlap_of_exactly_the_threshold_does_not_suppress():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]
    (kept,), *_ = nms([boxes], [[2, 1]], 0.5, 2)
    assert kept.tolist() == [0, 1]


def test_nms_of_no_boxes_keeps_none():
    kept, keep, _ = nms(np.zeros((2, 0, 4)), np.zeros((2, 0)), 0.5, 5)
    assert keep.shape == (2, 5)
    assert [len(k) for k in kept] == [0, 0]
