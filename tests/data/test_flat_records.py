from common import UserError

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import data
from data import records
from data.flat_records import FlatRecords, records_with_masks, records_with_objects

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


def make_record(image_id=1, **changes):
    """A record with one object, or as many as `is_crowd` says."""
    count = len(changes.get("is_crowd", [False]))
    fields = dict(bboxes=np.tile([10.0, 10, 20, 20], (count, 1)), areas=np.full(count, 400.0),
                  labels=np.ones(count, dtype=np.int32), is_crowd=np.zeros(count, dtype=bool),
                  segmentations=[[SQUARE]] * count)
    return data.Record("a.jpg", image_id, 60, 80, **{**fields, **changes})


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


# flat and back ------------------------------------------------------------------------------------------------------
HUNDREDTHS = st.integers(0, 2**16).map(lambda k: k / 100)
COORDINATES = HUNDREDTHS | st.integers(-2**40, 2**40).map(lambda k: k / 100) | st.floats(allow_nan=False)
POLYGON = st.lists(HUNDREDTHS, min_size=6, max_size=8) | st.lists(COORDINATES, min_size=6, max_size=8)
POLYGONS = st.lists(POLYGON.map(lambda values: np.array(values, dtype=np.float64)), min_size=1, max_size=3)
COUNTS = st.lists(st.integers(0, 2**32 - 1)) | st.text("01opQ", min_size=1)


@st.composite
def a_record(draw, num_keypoints=None):
    """A record with all kinds of segmentations."""
    size = draw(st.integers(1, 1000)), draw(st.integers(1, 1000))
    rle = st.fixed_dictionaries({"size": st.just(list(size)), "counts": COUNTS})
    segmentations = draw(st.lists(st.none() | POLYGONS | rle, max_size=3))
    count = len(segmentations)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return data.Record(
        draw(st.text(st.characters(exclude_characters="\0"), min_size=1)), draw(st.integers(-2**63, 2**63 - 1)), *size,
        rng.normal(size=(count, 4)), rng.normal(size=count), rng.integers(1, 9, count).astype(np.int32),
        rng.random(count) < 0.5, segmentations,
        None if num_keypoints is None else rng.normal(size=(count, num_keypoints, 3)), rng.random(count) < 0.5)


def assert_same(record, expected):
    for name, value in vars(expected).items():
        found = getattr(record, name)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype, name
            np.testing.assert_array_equal(found, value, name)
        elif name == "segmentations":
            assert list(map(as_lists, found)) == list(map(as_lists, value))
        else:
            assert found == value and type(found) is type(value), name


def as_lists(segmentation):
    return [polygon.tolist() for polygon in segmentation] if isinstance(segmentation, list) else segmentation


def assert_all_same(flat, expected):
    assert len(flat) == len(expected)
    for record, other in zip(flat, expected):
        assert_same(record, other)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([None, 3]).flatmap(lambda k: st.lists(a_record(k), max_size=4)))
def test_what_comes_out_of_flat_arrays_is_what_went_in(records):
    assert_all_same(FlatRecords.of(records), records)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(a_record(), max_size=3), min_size=1, max_size=3))
def test_joined_records_are_those_of_each_in_order(lists):
    assert_all_same(FlatRecords.join(list(map(FlatRecords.of, lists))), sum(lists, []))


@settings(max_examples=30, deadline=None)
@given(st.lists(a_record(2), max_size=4), st.integers(0, 99))
def test_selected_records_and_objects_are_those_of_a_plain_selection(records, seed):
    rng, flat = np.random.default_rng(seed), FlatRecords.of(records)
    images, objects = rng.random(len(records)) < 0.5, rng.random(flat.object_counts.sum()) < 0.5
    assert_all_same(flat.select_images(images), [r for r, kept in zip(records, images) if kept])
    keeps = np.split(objects, np.cumsum(flat.object_counts)[:-1])
    assert_all_same(flat.select_objects(objects), [r.select(keep) for r, keep in zip(records, keeps)])


def test_records_are_indexed_as_a_list_is():
    flat = FlatRecords.of([make_record(image_id) for image_id in range(5)])
    assert [flat[-1].image_id, *(r.image_id for r in flat[1:4:2])] == [4, 1, 3]
    with pytest.raises(IndexError):
        flat[5]


@pytest.mark.parametrize("last, num_bytes", [(655.35, 12), (655.36, 24), (-0.5, 24), (0.001, 48)])
def test_coordinates_with_two_digits_are_small_and_keep_them(last, num_bytes):
    polygon = np.array([0.01, 639.99, 312.29, 655.35, 7, last])
    flat = FlatRecords.of([make_record(segmentations=[[polygon]])])
    assert len(flat.parts.content) == num_bytes
    assert flat[0].segmentations[0][0].tolist() == polygon.tolist()


def test_a_record_is_no_way_to_change_what_the_others_are_made_of():
    with pytest.raises(ValueError, match="read-only"):
        FlatRecords.of([make_record()])[0].bboxes[0] = 0


def test_images_whose_objects_are_all_crowds_are_without_objects():
    kinds = [[], [True], [True, False], [False], []]
    flat = FlatRecords.of([make_record(i, is_crowd=np.array(kind, dtype=bool)) for i, kind in enumerate(kinds)])
    assert records_with_objects(flat).image_ids.tolist() == [2, 3]


@pytest.mark.parametrize("changes, message", [
    ({"areas": np.zeros(2)}, r"a.jpg: areas has shape \(2,\), not \(1,\)"),
    ({"segmentations": []}, "a.jpg: 0 segmentations of 1 objects"),
    ({"segmentations": [{"size": [1, 2], "counts": [2]}]}, r"a.jpg: an RLE of size \[1, 2\]")])
def test_a_record_whose_fields_do_not_fit_together_is_named(changes, message):
    with pytest.raises(UserError, match=message):
        FlatRecords.of([make_record(**changes)])


def test_data_sets_of_other_skeletons_cannot_be_joined():
    flats = [FlatRecords.of([make_record(keypoints=np.ones((1, k, 3)))]) for k in (5, 17)]
    with pytest.raises(UserError, match="records with 5 and 17 keypoints cannot be joined"):
        FlatRecords.join(flats)


def test_objects_without_keypoints_beside_others_have_none_labelled():
    flats = [FlatRecords.of([make_record(keypoints=keypoints)]) for keypoints in (None, np.ones((1, 2, 3)))]
    assert [r.keypoints.tolist() for r in FlatRecords.join(flats)] == [[[[0] * 3] * 2], [[[1] * 3] * 2]]
