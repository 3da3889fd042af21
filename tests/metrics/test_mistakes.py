"""Kinds of mistakes, each planted in known number, and what they cost."""
import numpy as np
import pytest

import planted
from metrics.matching import match_results
from metrics.mistakes import (
    BACKGROUND,
    BOTH,
    BOX,
    CLASS,
    DUPLICATE,
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    KINDS,
    MISSED,
    find_mistakes,
)

BOX_OF = (100, 100, 80, 80)
NEAR, HALF, FAR = (102, 100, 80, 80), (140, 100, 80, 80), (300, 300, 40, 40)    # IoU 0.95, 0.33 and 0
# an image with one object, found or not, and what else is found in it
PLANTED = {CLASS: [(2, NEAR, 0.7)], BOX: [(1, HALF, 0.7)], BOTH: [(1, BOX_OF, 0.9), (2, HALF, 0.7)],
           DUPLICATE: [(1, BOX_OF, 0.9), (1, NEAR, 0.7)], BACKGROUND: [(1, BOX_OF, 0.9), (3, FAR, 0.7)], MISSED: []}


def find(images):
    """Returns: Mistakes of images with a circle each, in which some labels, boxes and scores are found"""
    dataset = planted.make_dataset([[(1, BOX_OF)] for _ in images])
    results = [planted.result(i, *found) for i, each in enumerate(images, 1) for found in each]
    return find_mistakes(match_results(results, dataset))


def test_each_kind_is_counted_as_often_as_it_is_planted():
    wanted = dict(zip(KINDS, (3, 1, 4, 5, 2, 6)))
    found = find([PLANTED[kind] for kind, number in wanted.items() for _ in range(number)])
    assert {kind: found.count(kind) for kind in KINDS} == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_costs_is_gained_by_mending_it_and_no_other(kind):
    # the mistake comes first, so it costs; and something else is found
    first = [(label, box, score + 0.25 if score == 0.7 else score) for label, box, score in PLANTED[kind]]
    found = find([first, [(1, BOX_OF, 0.5)], [(1, BOX_OF, 0.4)]])
    assert found.gains[kind][0] == pytest.approx(1 - found.base[0])
    assert all(found.gains[other][0] == pytest.approx(0) for other in KINDS if other != kind)


def test_wrong_detections_among_right_ones_cost_their_class():
    images = [[(1, BOX_OF, 0.9), (1, FAR, 0.95)], [(1, BOX_OF, 0.8)]]
    found = find(images)
    assert found.base[0] == pytest.approx(2 / 3) and found.gains[BACKGROUND][0] == pytest.approx(1 / 3)
    assert found.gains[FALSE_POSITIVES][0] == pytest.approx(1 / 3) and found.gains[FALSE_NEGATIVES][0] == 0


def test_what_is_wrong_in_class_and_box_costs_the_class_that_it_has():
    dataset = planted.make_dataset([[(1, BOX_OF)], [(2, BOX_OF)]])
    results = [planted.result(1, 1, BOX_OF, 0.5), planted.result(2, 2, BOX_OF, 0.5), planted.result(1, 2, HALF, 0.9)]
    found = find_mistakes(match_results(results, dataset))
    np.testing.assert_allclose(found.base[:2], [1, 0.5])
    np.testing.assert_allclose(found.gains[BOTH][:2], [0, 0.5])
    assert found.gain(BOTH) == pytest.approx(0.25)


def test_an_object_that_a_mended_detection_finds_is_not_missed():
    found = find([PLANTED[BOX], PLANTED[MISSED]])
    assert found.is_missed.tolist() == [False, True]
    assert found.gains[BOX][0] > 0.4 and found.gains[FALSE_NEGATIVES][0] == pytest.approx(1)


def test_of_several_detections_of_a_wrong_class_one_is_mended_and_the_others_go():
    found = find([[(2, NEAR, 0.9), (3, NEAR, 0.8)]])
    assert found.count(CLASS) == 2 and found.gains[CLASS][0] == pytest.approx(1)


def test_detections_of_crowds_and_difficult_objects_are_no_mistakes():
    objects = [(1, BOX_OF, "is_crowd"), (2, FAR, "is_difficult"), (3, (10, 10, 50, 50), "")]
    results = [planted.result(1, 1, (110, 110, 10, 10), 0.9), planted.result(1, 2, FAR, 0.9)]
    found = find_mistakes(match_results(results, planted.make_dataset([objects])))
    assert (found.kinds == -1).all() and found.count(MISSED) == 1


def test_classes_without_objects_do_not_count():
    found = find([[(1, BOX_OF, 0.9)]])
    assert np.isnan(found.base[1:]).all() and found.gain(BACKGROUND) == 0
    assert np.isnan(find_mistakes(match_results([], planted.make_dataset([[]]))).gain(MISSED))
