"""How objects fit the anchors of a config."""
import common

import numpy as np
import pytest

import data
from config import new_config
from data.check import anchors
from data.check.split import make_split
from modeling.anchors import cell_anchors, grid_anchors


def iou(boxes, others):
    """float (N, A)"""
    corners = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    both = np.maximum(corners, 0).prod(axis=2)
    return both / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
                   + (others[:, 2:] - others[:, :2]).prod(axis=1) - both)


def network_anchors(cfg, height, width):
    """All anchors of the network that are inside an image."""
    levels = anchors.anchors_of(cfg).levels
    with common.tf.Graph().as_default(), common.tf.compat.v1.Session() as session:
        grids = [grid_anchors(*(size // level.stride if not cfg.MODE_FPN else -(-size // level.stride)
                                for size in (height, width)),
                              2 * [level.stride], cell_anchors(level.sizes, cfg.RPN.ANCHOR_RATIOS))
                 for level in levels]
        boxes = np.concatenate(session.run(grids))
    return boxes[(boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2] <= width) & (boxes[:, 3] <= height)]


def random_boxes(number, height, width):
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, [width, height], (number, 2))
    halves = np.exp(rng.uniform(np.log(2), np.log(150), (number, 2)))
    return np.clip(np.concatenate([centres - halves, centres + halves], axis=1), 0, [width, height] * 2)


@pytest.mark.parametrize("words", [["RPN.ANCHOR_SIZES=(16,32,64,128,256)"], ["MODE_FPN=False"]])
def test_the_best_iou_is_that_with_all_anchors_of_the_network(words):
    cfg = new_config()
    cfg.update_args(words)
    boxes, size = random_boxes(200, 203, 310), (203, 310)
    expected = iou(boxes, network_anchors(cfg, *size)).max(axis=1)
    best = anchors.best_ious(boxes, np.tile(size, (200, 1)), anchors.anchors_of(cfg))
    np.testing.assert_allclose(best, expected, atol=1e-5)


def test_an_image_that_no_anchor_is_inside_gives_zero():
    best = anchors.best_ious([[0, 0, 10, 10]], [[12, 12]], anchors.anchors_of(new_config()))
    assert best.tolist() == [0]


def make_splits(bboxes, height=400, width=500, is_crowd=False):
    bboxes = np.array(bboxes, dtype=np.float64)
    record = data.Record("a.jpg", 1, height, width, bboxes, bboxes[:, 2:].prod(axis=1),
                         np.ones(len(bboxes), np.int32), np.full(len(bboxes), is_crowd), [None] * len(bboxes))
    return [make_split(data.Dataset("train", ("a",), (1,), "train.json", [record]), True)]


def test_sizes_are_those_in_the_network():
    fit = anchors.fit_anchors(make_splits([[100, 100, 32, 32]]), new_config())    # 400 becomes 800
    np.testing.assert_allclose(fit.sizes, [64])
    assert [row[0] for row in fit.rows()] == ["64 to 128", "all"]


def test_crowds_do_not_count():
    fit = anchors.fit_anchors(make_splits([[100, 100, 32, 32]], is_crowd=True), new_config())
    assert fit.rows() == [] and fit.advice == []


def test_smaller_anchors_are_advised_where_objects_are_small():
    bboxes = [[20 * i, 20 * j, 8, 8] for i in range(20) for j in range(15)]
    fit = anchors.fit_anchors(make_splits(bboxes, 800, 800), new_config())
    assert fit.rows()[-1][3] == 1
    assert fit.advice[0].startswith("RPN.ANCHOR_SIZES=(8, 16, 32, 64, 128) would leave")


def test_wider_ratios_are_advised_where_objects_are_narrow():
    bboxes = [[50 + 30 * i, 300, 20, 200] for i in range(20)]
    fit = anchors.fit_anchors(make_splits(bboxes, 800, 800), new_config())
    assert any(line.startswith("RPN.ANCHOR_RATIOS=(0.1, 0.5, 1.0, 2.0, 10.0)") for line in fit.advice)


def test_nothing_is_advised_where_objects_have_the_shape_of_anchors():
    bboxes = [[64 * i + 32, 64 * j + 32, 64, 64] for i in range(8) for j in range(8)]
    assert anchors.fit_anchors(make_splits(bboxes, 800, 800), new_config()).advice == []
