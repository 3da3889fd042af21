"""The box head: its layers, its losses and its detections."""

import numpy as np
import pytest
import tensorflow as tf

from graph import gradients, run, tower, variable_shapes
from modeling import boxes as box_ops
from modeling.box_head import (
    DetectionLimits,
    fastrcnn_2fc_head,
    fastrcnn_4conv1fc_head,
    fastrcnn_losses,
    fastrcnn_outputs,
    fastrcnn_predictions,
)
from modeling.layers import HeadNorm
from modeling.losses import BoxLoss, iou_loss
from modeling.structures import RoIs

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
MAX_LOG_SCALE = 4.0
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def ops(golden):
    return np.load(f"{golden}/ops.npz")


# layers -------------------------------------------------------------------------------------------------------------
def test_the_variables_have_the_names_and_shapes_of_the_zoo():
    with tf.Graph().as_default(), tower(training=True):
        fastrcnn_outputs(fastrcnn_2fc_head(tf.zeros([3, 7, 7, 16]), 32), 5)
        assert variable_shapes() == {
            "fc6/W": [784, 32], "fc6/b": [32], "fc7/W": [32, 32], "fc7/b": [32],
            "class/W": [32, 5], "class/b": [5], "box/W": [32, 20], "box/b": [20]}


@pytest.mark.parametrize("norm", ["None", "GN"])
def test_the_head_with_convolutions_has_the_variables_of_the_zoo(norm):
    with tf.Graph().as_default(), tower(training=True):
        assert fastrcnn_4conv1fc_head(tf.zeros([3, 7, 7, 16]), 8, 32, HeadNorm(norm)).shape.as_list() == [3, 32]
        expected = {"fc/W": [7 * 7 * 8, 32], "fc/b": [32]}
        for i, channels in enumerate([16, 8, 8, 8]):
            expected.update({f"conv{i}/W": [3, 3, channels, 8], f"conv{i}/b": [8]})
            expected.update({f"gn{i}/{name}": [8] for name in ("gamma", "beta")} if norm == "GN" else {})
        assert variable_shapes() == expected


def test_one_box_for_all_classes_has_four_deltas():
    with tf.Graph().as_default(), tower(training=True):
        logits, deltas = fastrcnn_outputs(tf.zeros([3, 8]), 5, class_agnostic=True)
        assert (logits.shape.as_list(), deltas.shape.as_list()) == ([3, 5], [3, 1, 4])


def test_the_head_reads_the_features_channel_first():
    features = RNG.random((2, 3, 4, 5)).astype(np.float32)    # R, h, w, C

    def head(x):
        with tower(training=False):
            return fastrcnn_2fc_head(x, 60)

    identity = np.eye(60, dtype=np.float32)
    variables = {"fc6/W": identity, "fc7/W": identity}
    # dense layers need a known shape
    out = run(lambda x: head(tf.ensure_shape(x, [None, 3, 4, 5])), features, variables=variables)
    np.testing.assert_allclose(out, features.transpose(0, 3, 1, 2).reshape(2, 60), rtol=1e-6)


def test_the_deltas_of_a_class_stand_together():
    def outputs(x):
        with tower(training=False):
            return fastrcnn_outputs(x, 3)

    _, deltas = run(outputs, np.zeros((2, 8), np.float32),
                    variables={"box/b": np.arange(12, dtype=np.float32)})
    np.testing.assert_array_equal(deltas, np.tile(np.arange(12).reshape(3, 4), (2, 1, 1)))


# losses -------------------------------------------------------------------------------------------------------------
ROIS = np.float32([(0, 0, 40, 40), (10, 20, 50, 80), (5, 5, 25, 35), (60, 60, 90, 90)])
TARGETS = np.float32([(2, 3, 44, 41), (0, 0, 0, 0), (4, 4, 26, 32), (0, 0, 0, 0)])    # nonsense for background
LABELS = np.int32([2, 0, 1, 0])


SHARES = np.full(4, 0.25, np.float32)


def losses(logits, deltas, rois=ROIS, labels=LABELS, targets=TARGETS, shares=SHARES, loss_type="smooth_l1",
           weight=1.0):
    return run(lambda *t: losses_of(*t, loss_type=loss_type, weight=weight),
               np.float32(logits), np.float32(deltas), rois, labels, targets, shares)


def losses_of(logits, deltas, rois, labels, targets, shares, weights=WEIGHTS, loss_type="smooth_l1", weight=1.0):
    rois = RoIs(*map(tf.convert_to_tensor, (rois, np.zeros(0, np.int32), labels)))
    loss = BoxLoss(loss_type, box_ops.BoxCoder(weights, MAX_LOG_SCALE), beta=0.0, weight=weight)
    return fastrcnn_losses(logits, deltas, rois, targets, shares, loss)


def perfect_deltas(num_classes=3):
    """Perfect for the class of each foreground RoI, nonsense elsewhere."""
    deltas = RNG.normal(0, 100, (len(ROIS), num_classes, 4)).astype(np.float32)
    encoded = run(lambda b, a: box_ops.BoxCoder(WEIGHTS).encode(b, a), TARGETS[[0, 2]], ROIS[[0, 2]])
    deltas[0, 2], deltas[2, 1] = encoded
    return deltas


def test_perfect_deltas_of_the_true_classes_have_no_box_loss():
    assert losses(np.zeros((4, 3)), perfect_deltas())[1] == pytest.approx(0, abs=1e-6)


def test_the_box_loss_is_l1_over_the_foreground_divided_by_all_rois():
    deltas = perfect_deltas()
    deltas[0, 2] += [0.1, -0.2, 0.3, 0]
    deltas[2, 1, 3] -= 2
    assert losses(np.zeros((4, 3)), deltas)[1] == pytest.approx((0.6 + 2) / 4, rel=1e-4)


def test_the_weight_is_of_the_box_loss_alone():
    deltas = perfect_deltas() + 1.0
    once, thrice = losses(np.zeros((4, 3)), deltas), losses(np.zeros((4, 3)), deltas, weight=3.0)
    np.testing.assert_allclose(np.array(thrice) / once, [1, 3], rtol=1e-5)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
def test_an_iou_loss_is_of_the_boxes_that_the_deltas_stand_for(kind):
    assert losses(np.zeros((4, 3)), perfect_deltas(), loss_type=kind)[1] == pytest.approx(0, abs=1e-5)
    # the RoIs as they are
    zero = np.zeros((4, 3, 4))
    expected = run(lambda b, t: tf.reduce_sum(iou_loss(b, t, kind)) / 4, ROIS[[0, 2]], TARGETS[[0, 2]])
    assert losses(np.zeros((4, 3)), zero, loss_type=kind)[1] == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_an_iou_loss_passes_through_the_weights_and_the_clamp_of_the_coder():
    deltas = np.zeros((4, 3, 4), np.float32)
    deltas[2, 1, 2] = 100.0    # far beyond the clamp

    def slopes(weights):
        return gradients(lambda d: losses_of(np.zeros((4, 3), np.float32), d, ROIS, LABELS, TARGETS, SHARES, weights,
                                             "giou")[1], deltas)[0]

    found = slopes(WEIGHTS)
    assert found[2, 1, 2] == 0 and np.abs(found[0, 2]).min() > 0
    np.testing.assert_allclose(slopes([2 * w for w in WEIGHTS])[0, 2], found[0, 2] / 2, rtol=1e-4)


def test_one_box_for_all_classes_is_held_against_the_box_of_any_class():
    perfect = perfect_deltas()
    agnostic = perfect[np.arange(len(ROIS)), LABELS][:, None]
    assert losses(np.zeros((4, 3)), agnostic)[1] == pytest.approx(0, abs=1e-6)
    agnostic[2, 0, 1] += 2
    assert losses(np.zeros((4, 3)), agnostic)[1] == pytest.approx(2 / 4, rel=1e-4)


def test_the_label_loss_is_the_mean_cross_entropy_of_all_rois():
    logits = RNG.normal(0, 2, (4, 3))
    expected = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, LABELS)])
    assert losses(logits, perfect_deltas())[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss_type", ["smooth_l1", "giou"])
def test_without_foreground_the_box_loss_is_zero_and_its_gradients_too(loss_type):
    arrays = np.zeros((4, 3), np.float32), np.ones((4, 3, 4), np.float32)
    background = np.zeros(4, np.int32)
    assert losses(*arrays, labels=background, loss_type=loss_type)[1] == 0
    grads = gradients(lambda *t: sum(losses_of(*t, ROIS, background, TARGETS, SHARES, loss_type=loss_type)),
                      *arrays)
    assert np.isfinite(grads[0]).all()
    np.testing.assert_array_equal(grads[1], 0)


@pytest.mark.parametrize("loss_type", ["smooth_l1", "giou"])
def test_without_rois_both_losses_are_zero_and_the_gradients_finite(loss_type):
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    arrays = np.zeros((0, 3), np.float32), np.zeros((0, 3, 4), np.float32)
    assert losses(*arrays, *none, loss_type=loss_type) == (0, 0)
    grads = gradients(lambda *t: sum(losses_of(*t, *none, loss_type=loss_type)), *arrays)
    assert all(np.isfinite(grad).all() for grad in grads)


# detections ---------------------------------------------------------------------------------------------------------
def predict(boxes, scores, image_index, batch=1, score_thresh=0.05, nms_thresh=0.5, max_detections=100):
    limits = DetectionLimits(score_thresh, nms_thresh, max_detections)
    return run(lambda b, s, i, n: fastrcnn_predictions(b, s, i, n, limits),
               np.float32(boxes), np.float32(scores), np.int32(image_index), np.int32(batch))


def one_hot_scores(labels, scores, num_classes):
    out = np.zeros((len(labels), num_classes), np.float32)
    out[np.arange(len(labels)), labels] = scores
    return out


def same_box_of_every_class(boxes, num_classes):
    return np.repeat(np.float32(boxes)[:, None], num_classes, axis=1)


def test_nms_of_classes_keeps_what_torchvision_keeps(ops):
    boxes, scores, classes = ops["boxes"], ops["nms_scores"], ops["nms_classes"] + 1
    # detections are clipped to their image, so shift the recorded boxes into one
    boxes = boxes - boxes.min()
    num_classes = classes.max() + 1
    found_boxes, found_scores, labels, image_index = predict(
        same_box_of_every_class(boxes, num_classes), one_hot_scores(classes, scores, num_classes),
        np.zeros(len(boxes)), score_thresh=0.0, max_detections=5000)
    keep = ops["batched_nms_keep_0.5"]
    np.testing.assert_array_equal(found_scores, scores[keep])
    np.testing.assert_array_equal(labels, classes[keep])
    np.testing.assert_allclose(found_boxes, boxes[keep], rtol=1e-6)
    assert (image_index == 0).all()


BOX = [(10, 10, 50, 50)]


def test_the_same_box_of_two_classes_is_two_detections():
    boxes, scores, labels, _ = predict(same_box_of_every_class(BOX, 3), [[0.1, 0.3, 0.6]], [0])
    assert labels.tolist() == [2, 1]
    np.testing.assert_allclose(scores, [0.6, 0.3])
    np.testing.assert_array_equal(boxes, BOX * 2)


def test_each_class_has_a_box_of_its_own():
    boxes, _, labels, _ = predict([[(0, 0, 1, 1), (10, 10, 20, 20), (30, 30, 60, 60)]], [[0, 0.4, 0.6]], [0])
    assert labels.tolist() == [2, 1]
    np.testing.assert_array_equal(boxes, [(30, 30, 60, 60), (10, 10, 20, 20)])


def test_boxes_of_one_class_suppress_each_other():
    _, scores, _, _ = predict(same_box_of_every_class(BOX * 2, 2), [[0.2, 0.8], [0.3, 0.7]], [0, 0])
    np.testing.assert_allclose(scores, [0.8])


def test_nms_is_as_exact_for_the_last_of_many_classes_as_for_the_first():
    # their IoU is 0.495, and would be 0.5 if coordinates were rounded to a quarter of a pixel
    boxes, num_classes = [(0, 0, 10, 10), (0, 0, 10, 4.95), (1300, 1300, 1333, 1333)], 1601
    for label in (1, 1600):
        _, scores, labels, _ = predict(same_box_of_every_class(boxes, num_classes),
                                       one_hot_scores([label] * 3, [0.9, 0.8, 0.7], num_classes), [0] * 3,
                                       nms_thresh=0.497)
        assert labels.tolist() == [label] * 3 and scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_boxes_of_two_images_do_not_suppress_each_other():
    boxes, scores, labels, image_index = predict(
        same_box_of_every_class(BOX * 4, 2), [[0, 0.6], [0, 0.8], [0, 0.9], [0, 0.7]], [1, 0, 1, 0], batch=2)
    assert image_index.tolist() == [0, 1]
    np.testing.assert_allclose(scores, [0.8, 0.9])


def test_an_image_gives_the_same_detections_alone_and_among_others():
    count = 120
    corner = RNG.uniform(0, 200, (count, 4, 2))
    boxes = np.concatenate([corner, corner + RNG.uniform(20, 80, (count, 4, 2))], axis=2).astype(np.float32)
    scores = RNG.dirichlet([1] * 4, count).astype(np.float32)
    image_index = RNG.integers(0, 3, count)
    together = predict(boxes, scores, image_index, batch=3)
    for image in range(3):
        alone = predict(boxes[image_index == image], scores[image_index == image],
                        np.zeros((image_index == image).sum()))
        for ours, theirs in zip(together[:3], alone[:3]):
            np.testing.assert_array_equal(ours[together[3] == image], theirs)


def test_the_background_is_never_detected():
    assert [len(x) for x in predict(same_box_of_every_class(BOX, 2), [[0.99, 0.01]], [0])] == [0, 0, 0, 0]


def test_a_score_of_exactly_the_threshold_is_no_detection():
    scores = [[0, 0.25], [0, 0.2501]]
    found = predict(same_box_of_every_class([(0, 0, 9, 9), (20, 20, 29, 29)], 2), scores, [0, 0], score_thresh=0.25)
    np.testing.assert_allclose(found[1], [0.2501])


def row_of_boxes(n):
    x = np.arange(n)[:, None] * 20.0
    return np.concatenate([x, x * 0, x + 10, x * 0 + 10], axis=1)


def test_each_image_has_at_most_the_asked_number_of_detections_the_best():
    scores = np.linspace(0.1, 0.9, 10)
    _, found, _, image_index = predict(same_box_of_every_class(np.tile(row_of_boxes(10), (2, 1)), 2),
                                       one_hot_scores([1] * 20, np.concatenate([scores, scores / 2]), 2),
                                       [0] * 10 + [1] * 10, batch=2, max_detections=3)
    assert image_index.tolist() == [0] * 3 + [1] * 3
    np.testing.assert_allclose(found, np.concatenate([scores[:-4:-1], scores[:-4:-1] / 2]), rtol=1e-6)


def test_detections_of_an_image_come_by_falling_score_over_all_classes():
    labels = RNG.integers(1, 4, 30)
    _, found, found_labels, _ = predict(same_box_of_every_class(row_of_boxes(30), 4),
                                        one_hot_scores(labels, RNG.permutation(np.linspace(0.1, 0.9, 30)), 4), [0] * 30)
    assert len(found) == 30 and len(set(found_labels)) == 3
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("scores", [np.full((2, 3), 0.01), np.zeros((0, 3))], ids=["low scores", "no RoIs"])
def test_no_detections_are_empty_lists(scores):
    boxes, found, labels, image_index = predict(same_box_of_every_class(row_of_boxes(len(scores)), 3), scores,
                                                [0] * len(scores), batch=2)
    assert boxes.shape == (0, 4)
    assert found.shape == labels.shape == image_index.shape == (0,)


def test_an_image_without_detections_is_skipped():
    _, _, _, image_index = predict(same_box_of_every_class(row_of_boxes(2), 2), [[0, 0.9], [0, 0.8]], [2, 0], batch=3)
    assert image_index.tolist() == [0, 2]
