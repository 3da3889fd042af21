from common import UserError

import numpy as np
import pytest

import data
from data import records
from data.records import records_with_masks

SQUARE = np.array([10.0, 10, 30, 10, 30, 30, 10, 30])


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def make_dataset(num_objects, without_mask=(), is_crowd=False):
    """A data set of one image, whose objects are squares; some have no mask, and these may be crowds."""
    segmentations = [None if i in without_mask else [SQUARE] for i in range(num_objects)]
    record = data.Record("a.jpg", 7, 60, 80, np.tile([10.0, 10, 20, 20], (num_objects, 1)), np.full(num_objects, 400.0),
                         np.arange(1, num_objects + 1, dtype=np.int32),
                         np.array([s is None and is_crowd for s in segmentations]), segmentations)
    return data.Dataset("train", ("a",), (1,), "train.json", [record])


def test_objects_without_a_mask_are_left_out_where_masks_are_needed(warnings):
    dataset = make_dataset(20, without_mask=[1])
    (record,) = records_with_masks(dataset)
    assert record.labels.tolist() == [1, *range(3, 21)]
    assert len(record.bboxes) == len(record.areas) == len(record.is_crowd) == len(record.segmentations) == 19
    assert len(warnings) == 1 and "object 2 of image 7" in warnings[0]
    assert len(dataset.records[0].labels) == 20, "the data set itself stays as it is"


def test_crowds_need_no_mask():
    (record,) = records_with_masks(make_dataset(2, without_mask=[1], is_crowd=True))
    assert len(record.labels) == 2


def test_a_data_set_of_boxes_alone_cannot_train_masks():
    with pytest.raises(UserError, match="train.json: 5 of 5 objects .* set MODE_MASK=False"):
        records_with_masks(make_dataset(5, without_mask=range(5)))


# what is skipped ----------------------------------------------------------------------------------------------------
def test_what_is_skipped_can_be_collected_and_is_then_neither_printed_nor_too_much(warnings):
    with records.collecting_problems() as problems:
        records_with_masks(make_dataset(5, without_mask=range(5)))
    assert [problem.item for problem in problems] == [f"object {i} of image 7" for i in range(1, 6)]
    assert problems[0] == records.Problem("no-mask", "train.json", "object 1 of image 7",
                                          "it has no segmentation, which MODE_MASK=True needs", 7, [10, 10, 20, 20])
    assert warnings == [] and not records.are_problems_collected()
