"""The random choice of what is trained on."""

import numpy as np
import pytest
import tensorflow as tf

from graph import build, run
from modeling.sampling import Sampling, flatten_drawn, random_subset, sample_fg_bg, sample_rois
from modeling.structures import GroundTruth, Proposals

# 7, 2 and 0 of 10
CANDIDATES = np.array([[1, 0, 1, 1, 0, 1, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0, 0, 0, 1, 0], [0] * 10], bool)


def seeds(rows, draw=0):
    """Different seeds for each row and draw."""
    return np.int64([(1000 * draw + i, 7) for i in range(len(rows))])


# random_subset ------------------------------------------------------------------------------------------------------
def subset_of(candidates, size, draws=20):
    """Draws, each as a list of the drawn indices of each row."""
    draw = build(lambda s: random_subset(tf.constant(candidates), size, s), seeds(candidates))
    for i in range(draws):
        indices, drawn = draw(seeds(candidates, i))
        yield [row[flags].tolist() for row, flags in zip(indices, drawn)]


def test_a_subset_has_the_asked_size_or_all_candidates_where_they_are_fewer():
    for rows in subset_of(CANDIDATES, 4):
        assert [len(row) for row in rows] == [4, 2, 0]


def test_only_candidates_are_drawn_and_none_twice():
    for rows in subset_of(CANDIDATES, 6):
        for row, candidates in zip(rows, CANDIDATES):
            assert candidates[row].all()
            assert len(set(row)) == len(row)


def test_a_subset_larger_than_the_row_is_all_candidates():
    for rows in subset_of(CANDIDATES, 100, draws=1):
        assert [sorted(row) for row in rows] == [np.flatnonzero(c).tolist() for c in CANDIDATES]


def test_the_drawn_come_first():
    _, drawn = run(lambda: random_subset(tf.constant(CANDIDATES), 8, tf.constant(seeds(CANDIDATES))))
    assert (np.diff(drawn.astype(int), axis=1) <= 0).all()


def test_every_candidate_is_drawn_equally_often():
    count = np.zeros(10)
    for rows in subset_of(CANDIDATES[:1], 2, draws=1400):
        count[rows[0]] += 1
    expected = 1400 * 2 / 7
    # 5 standard deviations of a binomial
    assert np.abs(count[CANDIDATES[0]] - expected).max() < 5 * np.sqrt(expected * 5 / 7)


def test_rows_are_drawn_independently():
    candidates = np.ones((2, 10), bool)
    assert any(rows[0] != rows[1] for rows in subset_of(candidates, 5))


def test_a_row_is_drawn_by_its_seed_alone():
    candidates = np.ones((3, 30), bool)
    draw = build(lambda s: random_subset(tf.constant(candidates), 5, s), seeds(candidates))
    first, again, other = (draw(np.int64(s))[0].tolist() for s in (
        [(1, 0), (2, 0), (3, 0)], [(3, 0), (1, 0), (2, 0)], [(1, 1), (2, 1), (3, 1)]))
    assert again == [first[2], first[0], first[1]]
    assert all(row != before for row, before in zip(other, first))


# sample_fg_bg -------------------------------------------------------------------------------------------------------
def sample_fg_bg_of(foreground, background, size, fg_ratio):
    return run(lambda: sample_fg_bg(tf.constant(foreground), tf.constant(background), Sampling(size, fg_ratio),
                                    tf.constant(seeds(foreground))))


def fg_bg_counts(num_fg, num_bg, size, fg_ratio):
    foreground = np.arange(num_fg + num_bg)[None] < num_fg
    (_, fg), (_, bg) = sample_fg_bg_of(foreground, ~foreground, size, fg_ratio)
    return fg.sum(), bg.sum()


@pytest.mark.parametrize("num_fg, num_bg, expected", [
    (50, 50, (4, 12)),     # the share of foreground is limited
    (3, 50, (3, 13)),      # background fills up what foreground lacks
    (50, 5, (4, 5)),       # foreground does not fill up what background lacks
    (0, 50, (0, 16)),
    (50, 0, (4, 0)),
    (0, 0, (0, 0)),
])
def test_the_sample_is_foreground_up_to_its_share_and_then_background(num_fg, num_bg, expected):
    assert fg_bg_counts(num_fg, num_bg, 16, 0.25) == expected


def test_every_row_gets_a_sample_of_its_own():
    foreground = np.arange(40)[None] < np.array([[20], [1], [0]])
    (_, fg), (_, bg) = sample_fg_bg_of(foreground, ~foreground, 16, 0.5)
    assert fg.sum(axis=1).tolist() == [8, 1, 0]
    assert bg.sum(axis=1).tolist() == [8, 15, 16]


def test_flat_indices_point_into_the_list_of_all_rows():
    flat = run(lambda i, d: flatten_drawn(i, d, 10), np.int32([[3, 5], [7, 0], [2, 9]]),
               np.bool_([[1, 1], [1, 0], [0, 1]]))
    assert flat.tolist() == [3, 5, 17, 29]


# sample_rois --------------------------------------------------------------------------------------------------------
def shifted(box, *shifts):
    return [(x1 + d, y1, x2 + d, y2) for d in shifts for x1, y1, x2, y2 in [box]]


BOX, OTHER = (10, 10, 50, 50), (100, 100, 140, 140)
# three near BOX, three near OTHER, far ones, and two of padding, which lie on a box
PROPOSALS = [*shifted(BOX, 1, 3, 5), *shifted(OTHER, 1, 3, 5), *shifted((0, 200, 30, 230), *range(0, 300, 30)),
             BOX, OTHER]
VALID = np.arange(len(PROPOSALS)) < len(PROPOSALS) - 2


def proposals_of(valid, batch):
    return Proposals(tf.constant([PROPOSALS] * batch, tf.float32),
                     tf.constant(np.float32([np.where(valid, 0, -np.inf)] * batch)))


def sample(gt_boxes, gt_labels, size=16, fg_ratio=0.5, draws=1, valid=VALID):
    """One dict of arrays per draw, from a batch in which every image has PROPOSALS."""
    gt_boxes, gt_labels = np.float32(gt_boxes), np.int32(gt_labels)
    draw = build(lambda s: sample_rois(
        proposals_of(valid, len(gt_boxes)), GroundTruth(*map(tf.constant, (gt_boxes, gt_labels))),
        Sampling(size, fg_ratio), 0.5, s), seeds(gt_boxes))
    return [dict(zip(("rois", "image_index", "labels", "gt_index"), draw(seeds(gt_boxes, i)))) for i in range(draws)]


def sample_two(draws=1, **kwargs):
    """Samples of two images: the first has BOX (label 7), padding and OTHER (label 9), the second BOX (label 3)."""
    pad = (0, 0, 0, 0)
    return sample([[BOX, pad, OTHER], [BOX, pad, pad]], [[7, 0, 9], [3, 0, 0]], draws=draws, **kwargs)


def test_the_sample_of_each_image_has_the_asked_size():
    for drawn in sample_two(size=12, draws=3):
        assert np.bincount(drawn["image_index"]).tolist() == [12, 12]


def test_the_foreground_comes_first_and_is_limited_to_its_share():
    for drawn in sample_two(size=8, fg_ratio=0.5, draws=10):
        foreground = drawn["labels"] > 0
        assert foreground.tolist() == [True] * 8 + [False] * 8
        assert np.bincount(drawn["image_index"][foreground]).tolist() == [4, 4]


def test_every_foreground_roi_overlaps_the_box_that_it_is_given():
    gt_boxes = np.float32([BOX, (0, 0, 0, 0), OTHER, BOX, (0, 0, 0, 0), (0, 0, 0, 0)])
    for drawn in sample_two(draws=10):
        foreground = drawn["labels"] > 0
        for roi, box in zip(drawn["rois"][foreground], gt_boxes[drawn["gt_index"][foreground]]):
            assert abs(roi[0] - box[0]) <= 5 and abs(roi[1] - box[1]) == 0


def test_every_foreground_roi_has_the_label_of_its_box():
    labels = np.array([7, 0, 9, 3, 0, 0])
    for drawn in sample_two(draws=10):
        foreground = drawn["labels"] > 0
        np.testing.assert_array_equal(drawn["labels"][foreground], labels[drawn["gt_index"][foreground]])


def test_every_box_index_is_of_the_same_image_as_its_roi():
    for drawn in sample_two(draws=10):
        np.testing.assert_array_equal(drawn["gt_index"] // 3, drawn["image_index"])


def test_no_background_roi_overlaps_a_box():
    for drawn in sample_two(draws=10):
        background = drawn["rois"][(drawn["labels"] == 0) & (drawn["image_index"] == 0)]
        assert (background[:, 1] == 200).all()


def test_a_proposal_near_a_box_of_another_image_is_background():
    drawn, = sample_two(size=32, fg_ratio=1.0)
    near_other = (drawn["image_index"] == 1) & (drawn["rois"][:, 1] == 100)
    assert near_other.sum() == 3
    assert (drawn["labels"][near_other] == 0).all()


def test_the_ground_truth_itself_is_among_the_foreground():
    # when no proposal is near a box, only the box itself is
    far = np.zeros(len(PROPOSALS), bool)
    far[6:12] = True
    drawn, = sample_two(valid=far)
    found = {(label, tuple(roi)) for label, roi in zip(drawn["labels"], drawn["rois"]) if label}
    assert found == {(7, BOX), (9, OTHER), (3, BOX)}


def test_every_roi_is_drawn_at_some_time():
    draws = sample([[BOX, OTHER]], [[7, 9]], size=8, draws=60)
    seen = {tuple(roi) for drawn in draws for roi in drawn["rois"].tolist()}
    assert seen == {tuple(map(float, box)) for box in PROPOSALS[:-2] + [BOX, OTHER]}


def test_padding_among_the_proposals_is_never_drawn():
    # an image without boxes, so that nothing else is at the place of the padding
    for drawn in sample([[(0, 0, 0, 0)]], [[0]], size=100):
        rois = set(map(tuple, drawn["rois"].tolist()))
        assert len(drawn["rois"]) == VALID.sum()
        assert tuple(map(float, BOX)) not in rois


def test_padding_among_the_boxes_is_never_drawn():
    for drawn in sample_two(size=100):
        assert (drawn["rois"][:, 2] > 0).all()


def test_an_image_without_objects_gives_only_background():
    drawn, = sample([[(0, 0, 0, 0)], [BOX]], [[0], [4]])
    assert (drawn["labels"][drawn["image_index"] == 0] == 0).all()
    assert (drawn["labels"][drawn["image_index"] == 1] == 4).any()


def test_a_crowd_is_neither_foreground_nor_drawn():
    drawn, = sample([[(0, 190, 400, 400)]], [[-1]], size=100)
    assert (drawn["labels"] == 0).all()
    assert len(drawn["rois"]) == VALID.sum()


def test_an_image_without_proposals_and_objects_gives_nothing():
    drawn, = sample([[(0, 0, 0, 0)]], [[0]], valid=np.zeros(len(PROPOSALS), bool))
    assert drawn["rois"].shape == (0, 4)
    assert drawn["labels"].shape == (0,)


def test_no_gradient_flows_into_the_proposals():
    def connected():
        proposals = proposals_of(VALID, 1)
        gt = GroundTruth(tf.constant([[BOX]], tf.float32), tf.constant([[1]]))
        rois = sample_rois(proposals, gt, Sampling(16, 0.5), 0.5, tf.constant(seeds([0])))
        return tf.constant(tf.compat.v1.gradients(rois.boxes, proposals.boxes)[0] is not None)

    assert not run(connected)
