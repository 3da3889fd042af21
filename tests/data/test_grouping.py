import common  # noqa: F401

import numpy as np
import pytest
from hypothesis import given, strategies as st

from coco_folder import HEIGHT, WIDTH, make_content
from data.grouping import WINDOW, Order, like_shapes
from streams import start, take

RATIOS = st.lists(st.sampled_from([0.5, 0.75, 1.0, 4 / 3, 1.5, 3.0]), max_size=40)
SIZES = st.integers(1, 5)


@given(RATIOS, SIZES)
def test_every_image_is_there_once(ratios, size):
    assert sorted(like_shapes(np.array(ratios), size)) == list(range(len(ratios)))


@given(RATIOS, SIZES)
def test_no_ratio_of_a_group_lies_within_another_group(ratios, size):
    num_grouped = len(ratios) // size * size
    groups = np.array(ratios)[like_shapes(np.array(ratios), size)[:num_grouped]].reshape(-1, size)
    groups = groups[np.lexsort([groups.max(axis=1), groups.min(axis=1)])]
    assert (groups[1:].min(axis=1) >= groups[:-1].max(axis=1)).all()


@given(st.integers(0, 20), SIZES)
def test_images_of_one_ratio_stay_as_they_come(number, size):
    assert like_shapes(np.full(number, 1.5), size).tolist() == list(range(number))


def test_groups_come_in_the_order_of_their_first_images():
    assert like_shapes(np.array([1.0, 2.0, 0.5, 2.0, 1.0, 0.5, 7.0]), 2).tolist() == [0, 4, 1, 3, 2, 5, 6]


@given(RATIOS, SIZES)
def test_only_what_came_last_is_in_no_group(ratios, size):
    num_left = len(ratios) % size
    assert sorted(like_shapes(np.array(ratios), size)[len(ratios) - num_left:]) \
        == list(range(len(ratios) - num_left, len(ratios)))


# in the stream ----------------------------------------------------------------------------------------------------
def numbers(ratios, size, count):
    """Numbers of the records in the first `count` groups"""
    order = Order(np.array(ratios), 0, size, 0, 1)
    order.reset_state()
    return np.array([number for _, number, _ in take(order, count * size)]).reshape(-1, size)


def test_in_a_batch_are_images_of_like_shapes(cfg):
    cfg.TRAIN.IMS_PER_GPU = 2
    cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE = (40, 40)
    content = make_content(12)
    for image in content["images"][::2]:
        image["height"], image["width"] = WIDTH, HEIGHT
    batches = take(start(cfg, content), 30)
    assert all((batch[1] == batch[1][0]).all() for batch in batches)
    assert len({tuple(batch[1][0]) for batch in batches}) == 2


@pytest.mark.parametrize("num_records", [23, WINDOW + 23])
def test_an_image_of_a_rare_shape_comes_in_every_pass(num_records):
    ratios = np.full(num_records, 1.5)
    ratios[7] = 20.0
    num_passes = 5
    for end in range(1, num_passes + 1):
        found = numbers(ratios, 4, -(-end * num_records // 4))
        assert (found == 7).sum() in (end, end + 1)


def test_no_batch_has_an_image_twice_unless_passes_are_shorter():
    found = numbers([0.5, 3.0, 1.0, 2.0, 1.4, 1.5, 1.5, 0.7], 4, 50)
    assert all(len(set(group)) == 4 for group in found.tolist())
    assert np.bincount(found.ravel()).tolist() == [25] * 8


@pytest.mark.parametrize("size", [1, 3, 8])
def test_all_images_of_one_shape_come_as_if_there_were_no_groups(size):
    np.testing.assert_array_equal(numbers(np.full(50, 4 / 3), size, 48 // size).ravel(),
                                  numbers(np.full(50, 4 / 3), 1, 48).ravel())
