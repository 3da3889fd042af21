import itertools
import os
import re
import signal
import threading

from common import UserError

import cv2
import numpy as np
import pytest
from tensorpack.dataflow import DataFlow

import data
from coco_folder import HEIGHT, SQUARE, WIDTH, make_annotation, make_content
from data import augment, dataflow
from data.augment import Policy
from data.batch import unpack_masks
from data.mapper import TrainMapper
from data.segmentation import box_frame_mask
from streams import assert_equal_batches, error_that_ends, image_ids, start, take, write_to
from voc_folder import make_object, make_xml, write_voc

M = 14


# one batch --------------------------------------------------------------------------------------------------------
def test_a_batch_has_the_documented_layout(cfg):
    cfg.TRAIN.IMS_PER_GPU = 3
    content = make_content(3)
    content["annotations"].append(make_annotation(999, 1))
    (batch,) = take(start(cfg, content), 1)
    images, image_sizes, ids, seeds, gt_boxes, gt_labels, gt_masks = batch
    assert seeds.dtype == np.int64 and len(set(seeds.tolist())) == 3
    height, width = image_sizes.max(axis=0)
    assert [a.dtype for a in batch] == [np.uint8, np.int32, np.int64, np.int64, np.float32, np.int32, np.uint8]
    assert [a.shape for a in batch] == [(3, height, width, 3), (3, 2), (3,), (3,), (3, 2, 4), (3, 2), (3, 2, 25)]


def test_a_batch_has_no_masks_without_mode_mask(cfg):
    cfg.MODE_MASK = False
    (batch,) = take(start(cfg, make_content(1)), 1)
    assert len(batch) == 6


def keypoint_content(count):
    """Objects with one labelled keypoint of two each"""
    content = make_content(count)
    for category in content["categories"]:
        category["keypoints"] = ["left", "right"]
    for annotation in content["annotations"]:
        annotation["keypoints"] = [14, 20, 2, 0, 0, 0]
    return content


def test_a_batch_has_keypoints_with_mode_keypoint_and_zeros_for_padding_and_crowds(cfg):
    cfg.MODE_MASK, cfg.MODE_KEYPOINT, cfg.TRAIN.IMS_PER_GPU = False, True, 3
    cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE, cfg.PREPROC.FLIP = (HEIGHT, HEIGHT), 0.0
    content = keypoint_content(3)
    content["annotations"].append({**content["annotations"][0], "id": 999, "iscrowd": 1})
    gt_labels, gt_keypoints = take(start(cfg, content), 1)[0][5:]
    assert gt_keypoints.dtype == np.float32 and gt_keypoints.shape == (3, 2, 2, 3)
    for labels, keypoints in zip(gt_labels, gt_keypoints):
        assert labels[0] > 0 and keypoints[0].tolist() == [[14.5, 20.5, 2], [0, 0, 0]] and not keypoints[1].any()


def test_keypoints_do_not_travel_without_mode_keypoint(cfg):
    (batch,) = take(start(cfg, keypoint_content(1)), 1)
    assert len(batch) == 7


@pytest.mark.parametrize("filter_empty", [False, True])
def test_images_without_labelled_keypoints_are_left_out_like_empty_ones(cfg, filter_empty):
    cfg.MODE_KEYPOINT, cfg.DATA.FILTER_EMPTY = True, filter_empty
    content = keypoint_content(4)
    content["annotations"][0]["keypoints"] = [0] * 6
    del content["annotations"][1]["keypoints"]
    content["annotations"][2]["iscrowd"] = 1
    ids = {content["annotations"][3]["image_id"]} if filter_empty else {i["id"] for i in content["images"]}
    assert {*image_ids(take(start(cfg, content), 12))} == ids


def test_a_data_set_without_keypoints_cannot_train_them(cfg):
    cfg.MODE_KEYPOINT = True
    with pytest.raises(UserError, match="train.json: no category has keypoints, .* set MODE_KEYPOINT=False"):
        start(cfg, make_content(2))


def test_images_without_any_labelled_keypoint_cannot_train_them(cfg):
    cfg.MODE_KEYPOINT = True
    content = keypoint_content(2)
    for annotation in content["annotations"]:
        annotation["keypoints"] = [0] * 6
    with pytest.raises(UserError, match="no image to train on; annotate keypoints, or set DATA.FILTER_EMPTY=False"):
        start(cfg, content)


def test_padding_is_zero(cfg):
    cfg.TRAIN.IMS_PER_GPU = 4
    content = make_content(4)
    content["annotations"].append(make_annotation(999, 2))
    images, image_sizes, ids, seeds, gt_boxes, gt_labels, gt_masks = take(start(cfg, content), 1)[0]
    assert len(set(image_sizes[:, 0])) > 1
    for image, (h, w) in zip(images, image_sizes):
        assert not image[h:].any() and not image[:, w:].any() and image[h - 1, :w].any()
    for i in np.flatnonzero(ids != 2):
        assert gt_labels[i].tolist() == [2, 0]
        assert not gt_boxes[i, 1].any() and not gt_masks[i, 1].any()


@pytest.mark.parametrize("use_difficult, count", [(False, 1), (True, 2)])
def test_difficult_objects_are_trained_on_when_asked_for(cfg, tmp_path, use_difficult, count):
    cfg.MODE_MASK, cfg.DATA.USE_DIFFICULT = False, use_difficult
    difficult = make_object(difficult=1)
    write_voc(tmp_path, {"1": make_xml(make_object(), difficult), "2": make_xml(difficult)})
    flow = data.get_train_dataflow(cfg, data.load_datasets(cfg, [f"{tmp_path}/train"]))
    flow.reset_state()
    batches = take(flow, 2)
    assert {len(batch[4][0]) for batch in batches if batch[2] == 1} == {count}
    # an image without other objects has none to train on
    assert {*image_ids(batches)} == ({1, 2} if use_difficult else {1})


def test_crowds_have_label_minus_one_and_an_empty_mask(cfg):
    content = make_content(1)
    content["annotations"].append({**make_annotation(999, 1), "iscrowd": 1})
    gt_labels, gt_masks = take(start(cfg, content), 1)[0][5:]
    assert gt_labels.tolist() == [[2, -1]]
    square, crowd = unpack_masks(gt_masks[0], M)
    assert square.all() and not crowd.any()


def test_an_image_without_objects_gives_one_row_of_padding(cfg):
    cfg.DATA.FILTER_EMPTY = False
    gt_boxes, gt_labels, gt_masks = take(start(cfg, {**make_content(1), "annotations": []}), 1)[0][4:]
    assert gt_boxes.tolist() == [[[0, 0, 0, 0]]] and gt_labels.tolist() == [[0]] and gt_masks.shape == (1, 1, 25)


# augmentation -----------------------------------------------------------------------------------------------------
def seeds_with_flip(wanted):
    """Seeds of `TrainMapper` whose image is flipped, or is not."""
    def flips(seed):
        rng = np.random.default_rng(seed)
        rng.integers(0, 1, endpoint=True)
        return rng.random() < 0.5
    return [seed for seed in range(20) if flips(seed) == wanted]


def test_sizes_are_drawn_from_the_range_and_limited(cfg):
    cfg.PREPROC.MAX_SIZE = 80
    sizes = np.concatenate([batch[1] for batch in take(start(cfg, make_content(10)), 100)])
    assert 40 <= sizes[:, 0].min() < 45 and sizes[:, 1].max() == 80
    assert np.abs(sizes[:, 1] / sizes[:, 0] - WIDTH / HEIGHT).max() < 0.03


def test_about_half_of_the_images_are_flipped(cfg):
    cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE = (HEIGHT, HEIGHT)
    lefts = [batch[4][0, 0, 0] for batch in take(start(cfg, make_content(10)), 200)]
    assert set(lefts) == {10, WIDTH - 30} and 70 < lefts.count(10) < 130


@pytest.mark.parametrize("is_flipped", [False, True])
def test_boxes_and_masks_stay_on_their_object(cfg, is_flipped):
    # an object that is its own picture: white where the mask is
    triangle = [8.0, 12.0, 70.0, 20.0, 30.0, 52.0]
    content = make_content(1)
    content["annotations"][0].update(bbox=[8, 12, 62, 40], segmentation=[triangle])
    write_to(cfg, content)
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    cv2.fillPoly(image, [np.array(triangle).reshape(-1, 2).astype(int)], (255, 255, 255))
    cv2.imwrite(f"{cfg.DATA.BASEDIR}/train/1.jpg", image)
    (record,) = data.load_datasets(cfg, ("train",))[0].records
    mapper = TrainMapper([record], Policy((200, 260), 400), 56)

    for seed in seeds_with_flip(is_flipped)[:3]:
        sample = mapper.make_sample(record, seed)
        x1, y1, x2, y2 = sample.boxes[0]
        centres = (np.arange(56) + 0.5) / 56
        xs, ys = (x1 + centres * (x2 - x1)).astype(int), (y1 + centres * (y2 - y1)).astype(int)
        mask, = unpack_masks(sample.masks, 56)
        seen = sample.image[ys[:, None], xs[None], 0] > 127
        mirrored = np.mean(seen[:, ::-1] != mask)
        assert np.mean(seen != mask) < 0.04 < mirrored


def test_masks_are_those_of_the_box_frame(cfg):
    content = make_content(1)
    content["annotations"][0]["bbox"] = [5, 5, 30, 30]
    write_to(cfg, content)
    (record,) = data.load_datasets(cfg, ("train",))[0].records
    mapper = TrainMapper([record], Policy((50, 50), 100), M)
    expected = box_frame_mask([SQUARE], (5, 5, 35, 35), (HEIGHT, WIDTH), M)
    plain, flipped = (mapper.make_sample(record, seeds_with_flip(f)[0]).masks for f in (False, True))
    np.testing.assert_array_equal(unpack_masks(plain, M)[0], expected)
    np.testing.assert_array_equal(unpack_masks(flipped, M)[0], expected[:, ::-1])


def test_an_images_augmentation_is_a_function_of_its_seed(cfg):
    write_to(cfg, make_content(1))
    (record,) = data.load_datasets(cfg, ("train",))[0].records
    mapper = TrainMapper([record], Policy((40, 70), 120), M)
    first, again, other = (mapper.make_sample(record, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.image.shape != other.image.shape


# the stream -------------------------------------------------------------------------------------------------------
def test_every_pass_has_every_image_once_in_another_order(cfg):
    ids = image_ids(take(start(cfg, make_content(10)), 20))
    assert sorted(ids[:10]) == sorted(ids[10:]) == list(range(1, 11))
    assert ids[:10] != ids[10:]


def test_the_order_follows_the_seed(cfg):
    first = image_ids(take(start(cfg, make_content(10)), 10))
    assert image_ids(take(start(cfg), 10)) == first
    cfg.TRAIN.SEED = 1
    assert image_ids(take(start(cfg), 10)) != first


@pytest.mark.parametrize("num_workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(cfg, num_workers):
    cfg.TRAIN.IMS_PER_GPU = 2
    expected = take(start(cfg, make_content(10)), 30)
    cfg.DATA.NUM_WORKERS = num_workers
    assert_equal_batches(take(start(cfg), 30), expected)


@pytest.fixture
def both_orientations():
    content = make_content(11)
    for image in content["images"][4:]:
        image["height"], image["width"] = WIDTH, HEIGHT
    return content


@pytest.mark.parametrize("ims_per_gpu", [1, 2])
def test_the_stream_can_be_entered_at_any_batch(cfg, both_orientations, ims_per_gpu):
    cfg.TRAIN.IMS_PER_GPU = ims_per_gpu
    unbroken = take(start(cfg, both_orientations), 30)
    assert_equal_batches(take(start(cfg, first_batch=17), 13), unbroken[17:])


def test_processes_take_turns_in_one_stream(cfg, both_orientations):
    cfg.TRAIN.IMS_PER_GPU = 2
    whole = take(start(cfg, both_orientations), 30)
    for rank in range(3):
        assert_equal_batches(take(start(cfg, rank=rank, num_ranks=3), 10), whole[rank::3])
    assert_equal_batches(take(start(cfg, first_batch=4, rank=1, num_ranks=3), 6), whole[1 + 4 * 3::3])


@pytest.mark.parametrize("before, size", [([(3, 5)], 2), ([(2, 6)], 5), ([(1, 7), (4, 2)], 3)])
def test_behind_batches_of_other_sizes_no_image_comes_twice_and_none_is_left_out(cfg, both_orientations, before, size):
    def seeds(batch_size, num_batches, earlier_batches=()):
        cfg.TRAIN.IMS_PER_GPU = batch_size
        batches = take(start(cfg, both_orientations, earlier_batches=earlier_batches), num_batches)
        return [seed for batch in batches for seed in batch[3].tolist()]

    three_passes = seeds(1, 33)
    taken = []
    for i, (batch_size, num_batches) in enumerate(before):
        taken += seeds(batch_size, num_batches, before[:i])
    taken += seeds(size, -(-60 // size), before)
    assert len(set(taken)) == len(taken) and set(three_passes) < set(taken)


@pytest.mark.timeout(60)
def test_nothing_is_lost_when_images_take_little_time():
    class Numbers(DataFlow):
        def __iter__(self):
            return iter(itertools.count())

    def busy_identity(i):
        sum(range(5000))    # slower than the reader, so requests never run out
        return [i, i]

    workers = dataflow._Workers(Numbers(), 1, busy_identity, buffer_size=4)
    workers.reset_state()
    assert take(workers, 5000) == list(range(5000))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_second_iterator_goes_on_where_the_first_stopped(cfg, num_workers):
    cfg.DATA.NUM_WORKERS = num_workers
    flow = start(cfg, make_content(10))
    assert sorted(image_ids(take(flow, 4)) + image_ids(take(flow, 6))) == list(range(1, 11))


def test_data_sets_are_joined(cfg):
    write_to(cfg, make_content(2))
    datasets = data.load_datasets(cfg, ("train", "train"))
    flow = data.get_train_dataflow(cfg, datasets)
    flow.reset_state()
    assert sorted(image_ids(take(flow, 4))) == [1, 1, 2, 2]


@pytest.mark.parametrize("filter_empty, expected", [(True, {1}), (False, {1, 2, 3})])
def test_images_without_objects_are_used_unless_filtered(cfg, filter_empty, expected):
    cfg.DATA.FILTER_EMPTY = filter_empty
    content = make_content(3)
    content["annotations"][1]["iscrowd"] = 1
    content["annotations"].pop()
    assert set(image_ids(take(start(cfg, content), 9))) == expected


@pytest.mark.parametrize("mode_mask, num_objects", [(True, 1), (False, 2)])
def test_objects_without_a_mask_are_left_out_only_where_masks_are_trained(cfg, mode_mask, num_objects):
    content = make_content(10)
    content["annotations"].append({**make_annotation(999, 1), "segmentation": None})
    cfg.MODE_MASK = mode_mask
    batch = next(batch for batch in start(cfg, content) if batch[2] == [1])
    assert batch[5].shape == (1, num_objects)


def test_nothing_to_train_on_is_refused(cfg):
    with pytest.raises(UserError, match="instances_train.json: no image to train on"):
        start(cfg, {**make_content(2), "annotations": []})


# errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_error_of_the_program_reaches_the_main_process(cfg, num_workers, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("in augment")
    monkeypatch.setattr(augment, "see_objects", broken)
    cfg.DATA.NUM_WORKERS = num_workers
    flow = start(cfg, make_content(2))
    error = error_that_ends(flow, 1)
    assert isinstance(error, RuntimeError) and "ZeroDivisionError: in augment" in str(error)


def test_a_worker_that_is_killed_ends_the_stream(cfg):
    cfg.DATA.NUM_WORKERS = 2
    flow = start(cfg, make_content(4))
    workers = flow.ds.ds.ds
    os.kill(workers._procs[0].pid, signal.SIGKILL)
    error = error_that_ends(flow, 1000)
    assert isinstance(error, UserError) and re.search("ended with status -9.*DATA.NUM_WORKERS", str(error))


def test_workers_die_with_the_dataflow(cfg):
    cfg.DATA.NUM_WORKERS = 2
    flow = start(cfg, make_content(4))
    processes = flow.ds.ds.ds._procs
    take(flow, 2)
    del flow
    for process in processes:
        process.join(5)
        assert process.exitcode is not None


def test_the_stream_runs_in_another_thread_than_it_was_started_in(cfg):
    cfg.DATA.NUM_WORKERS = 2
    flow = start(cfg, make_content(4))
    batches = []
    thread = threading.Thread(target=lambda: batches.extend(take(flow, 8)))
    thread.start()
    thread.join(20)
    assert len(batches) == 8
