import pathlib

from common import UserError

import numpy as np
import pytest

from coco_folder import HEIGHT, WIDTH, make_content, write_image
from data.batch import Sample
from data.replacement import Failure, Prepared, Replacing
from streams import assert_equal_batches, break_files, error_that_ends, image_ids, start, take, write_to


class Files:
    """Stands for the reading of images; those with the numbers `bad` cannot be read."""

    def __init__(self, bad=()):
        self.bad = bad

    def __call__(self, number, seed):
        if number in self.bad:
            raise UserError(f"{number}.jpg: bad")
        return Sample(None, number, seed, None, None, None)


def prepare(bad, number, seed=0, ratios=(1.0,) * 10):
    """Prepare one image, whose record is its number. Returns: the `Prepared`"""
    index, prepared = Replacing(Files(bad), range(len(ratios)), np.array(ratios))([5, number, seed])
    assert index == 5
    return prepared


# one image --------------------------------------------------------------------------------------------------------
def test_a_good_image_is_used():
    assert prepare([4], 3) == Prepared(Files()(3, 0), [3], [])


def test_another_takes_the_place_of_a_bad_image_with_its_seed():
    prepared = prepare([3], 3, seed=8)
    assert prepared.sample.image_id != 3 and prepared.sample.seed == 8
    assert prepared.tried == [3, prepared.sample.image_id] and prepared.problems == ["3.jpg: bad"]


def test_what_takes_its_place_follows_from_the_seed():
    assert len({prepare([3], 3, seed=8).sample.image_id for _ in range(3)}) == 1
    assert {prepare([3], 3, seed=seed).sample.image_id for seed in range(100)} == set(range(10)) - {3}


def test_what_takes_its_place_has_a_like_shape():
    ratios = np.tile([0.5, 1.0, 2.0], 200)
    found = {prepare([4], 4, seed, ratios).sample.image_id for seed in range(50)}
    assert len(found) > 20 and {ratios[number] for number in found} == {1.0}


def test_all_images_nearby_are_tried_before_it_is_given_up():
    assert prepare(set(range(10)) - {6}, 3).sample.image_id == 6
    prepared = prepare(range(10), 3)
    assert prepared.sample is None and sorted(prepared.tried) == list(range(10)) and len(prepared.problems) == 10


def test_an_only_image_has_none_to_take_its_place():
    assert prepare([0], 0, ratios=[1.0]) == Prepared(None, [0], ["0.jpg: bad"])


def test_an_error_of_the_program_is_handed_on():
    index, failure = Replacing(lambda record, seed: 1 // 0, [0], np.ones(1))([2, 0, 0])
    assert index == 2 and isinstance(failure, Failure) and "ZeroDivisionError" in failure.traceback


# in the stream ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_file_is_named_in_one_line_and_replaced_in_its_place(cfg, warnings, num_workers):
    write_to(cfg, make_content(20))
    expected = image_ids(take(start(cfg), 60))
    break_files(cfg, [7])
    cfg.DATA.NUM_WORKERS = num_workers
    found = image_ids(take(start(cfg), 60))
    assert [i for i, e in zip(found, expected) if e != 7] == [e for e in expected if e != 7] and 7 not in found
    assert len(warnings) == 1 and "train/7.jpg: not a whole image file" in warnings[0]


def test_an_image_of_another_size_than_annotated_is_replaced(cfg, warnings):
    write_to(cfg, make_content(20))
    write_image(pathlib.Path(cfg.DATA.BASEDIR) / "train" / "7.jpg", WIDTH, HEIGHT)
    assert 7 not in image_ids(take(start(cfg), 40))
    assert "60 pixels wide and 80 high, but annotated as 80 wide and 60 high" in warnings[0]


@pytest.fixture
def with_bad_files(cfg):
    content = make_content(21)
    for image in content["images"][8:]:
        image["height"], image["width"] = WIDTH, HEIGHT
    write_to(cfg, content)
    break_files(cfg, [3, 15])
    return cfg


def test_with_bad_files_the_stream_can_be_entered_at_any_batch(with_bad_files, warnings):
    with_bad_files.TRAIN.IMS_PER_GPU = 2
    unbroken = take(start(with_bad_files), 30)
    for first in (1, 10, 17):
        assert_equal_batches(take(start(with_bad_files, first_batch=first), 30 - first), unbroken[first:])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_with_bad_files_processes_take_turns_in_one_stream(with_bad_files, warnings, num_workers):
    with_bad_files.TRAIN.IMS_PER_GPU = 2
    whole = take(start(with_bad_files), 24)
    with_bad_files.DATA.NUM_WORKERS = num_workers
    for rank in range(2):
        assert_equal_batches(take(start(with_bad_files, rank=rank, num_ranks=2), 12), whole[rank::2])


def test_with_bad_files_a_run_goes_on_behind_batches_of_another_size(with_bad_files, warnings):
    def seeds(batch_size, num_batches, **kwargs):
        with_bad_files.TRAIN.IMS_PER_GPU = batch_size
        batches = take(start(with_bad_files, **kwargs), num_batches)
        return [seed for batch in batches for seed in batch[3].tolist()]

    three_passes = seeds(1, 63)
    taken = seeds(2, 11) + seeds(3, 20, earlier_batches=[(2, 11)])
    assert len(set(taken)) == len(taken) and set(three_passes) < set(taken)


# too many ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("num_workers", [0, 2])
def test_more_than_a_tenth_of_broken_files_ends_the_stream(cfg, warnings, num_workers):
    cfg.DATA.NUM_WORKERS = num_workers
    write_to(cfg, make_content(20))
    break_files(cfg, [3, 8, 12])
    flow = start(cfg)
    assert flow.error is None
    error = error_that_ends(flow, 100)
    assert isinstance(error, UserError) and "\n" not in str(error)
    assert "training images cannot be used, more than 10%" in str(error)


def test_a_tenth_of_broken_files_goes_on(cfg, warnings):
    write_to(cfg, make_content(20))
    break_files(cfg, [3, 8])
    assert len(take(start(cfg), 180)) == 180 and len(warnings) == 2


def test_the_share_counts_only_after_a_whole_pass_or_20_bad_files(cfg, warnings):
    write_to(cfg, make_content(100))
    break_files(cfg, range(1, 51))
    assert str(error_that_ends(start(cfg), 100)).startswith("20 of the first")


def test_a_folder_without_any_good_file_ends_the_stream_with_its_first_image(cfg, warnings):
    write_to(cfg, make_content(50))
    break_files(cfg, range(1, 51))
    assert str(error_that_ends(start(cfg), 1)).startswith("21 of the first 21 training images cannot be used")


def test_where_no_image_of_like_shape_is_good_the_stream_ends(cfg, warnings, monkeypatch):
    monkeypatch.setattr("data.dataflow.MAX_BAD_SHARE", 1.0)
    write_to(cfg, make_content(3))
    break_files(cfg, range(1, 4))
    assert "3 training images of like shape cannot be used" in str(error_that_ends(start(cfg), 1))
