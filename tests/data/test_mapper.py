"""Training images as the network gets them: each augmentation alone, all together, and none."""
import dataclasses
import hashlib

from common import UserError

import cv2
import numpy as np
import pycocotools.mask as mask_utils
import pytest

import data
from coco_folder import HEIGHT, WIDTH, make_annotation, make_content, write
from config import new_config
from data import mapper
from data.augment import CROWD_LABEL, ColourRange, Policy
from data.batch import unpack_masks
from data.mapper import TrainMapper
from data.records import Skeleton
from slow_masks import random_record

M = 28
SIZES = {"short_edge_range": (40, 70), "max_size": 120}
POLICIES = {
    "nothing": {}, "short edges": {"short_edges": (40, 50)}, "flips": {"flip": 0.5, "flip_up_down": 0.5},
    "aspect": {"aspect_limits": (0.9, 1.1)}, "crop in pixels": {"crop_sides": (8, 30)},
    "crop": {"crop_sides": (0.3, 1.0)}, "jitter": {"jitter_size": 64},
    "colours": {"colours": ColourRange(0.3, 0.3, 0.3, 36, 0.2)}, "copy-paste": {"copy_paste": 1.0}}
POLICIES["all"] = {name: value for policy in POLICIES.values() for name, value in policy.items()}
# of the stream before there was any augmentation but size and mirror
DIGEST = "e8095304daa607545141102732501229d2d3cc80a15cf05c2633cce2b23f533c"


def make_mapper(policy, records, resolution=M):
    skeleton = Skeleton(("nose", "left_eye", "right_eye"), ())
    return TrainMapper(records, Policy(**{**SIZES, **policy}), resolution, skeleton)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        path = str(folder / f"{seed}.png")
        cv2.imwrite(path, rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8))
        found.append(random_record(rng, file_name=path))
    return found


@pytest.fixture(scope="module", params=POLICIES)
def samples(request, records):
    """100 samples of a policy."""
    make_sample = make_mapper(POLICIES[request.param], records).make_sample
    return [make_sample(records[seed % len(records)], seed) for seed in range(100)]


def test_every_object_has_a_pixel(samples):
    for sample in samples:
        assert sample.masks[sample.labels != CROWD_LABEL].any(axis=1).all()


def test_every_box_lies_in_its_image(samples):
    for sample in samples:
        height, width = sample.image.shape[:2]
        assert (sample.boxes[:, :2] < sample.boxes[:, 2:]).all()
        assert (sample.boxes > -1e-3).all() and (sample.boxes < np.float32([width, height] * 2) + 1e-3).all()


def test_every_keypoint_lies_in_its_image_or_is_zero(samples):
    for sample in samples:
        height, width = sample.image.shape[:2]
        points, visibility = sample.keypoints[..., :2], sample.keypoints[..., 2]
        assert set(np.unique(visibility)) <= {0, 1, 2} and not points[visibility == 0].any()
        assert (points > -1e-3).all() and (points < np.float32([width, height]) + 1e-3).all()


def test_fields_have_their_types_and_one_entry_an_object(samples):
    for sample in samples:
        fields = sample.image, sample.boxes, sample.labels, sample.masks, sample.keypoints
        assert [field.dtype for field in fields] == [np.uint8, np.float32, np.int32, np.uint8, np.float32]
        n = len(sample.boxes)
        assert [field.shape for field in fields[1:]] == [(n, 4), (n,), (n, M * M // 8), (n, 3, 3)]


@pytest.mark.parametrize("name", POLICIES)
def test_a_sample_is_a_function_of_its_seed(records, name):
    first, again, other = (make_mapper(POLICIES[name], records).make_sample(records[0], seed) for seed in (3, 3, 4))
    for field in ("image", "boxes", "labels", "masks", "keypoints"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


@pytest.mark.parametrize("name", ["crop", "crop in pixels"])
def test_a_random_crop_keeps_an_object(records, name):
    make_sample = make_mapper(POLICIES[name], records).make_sample
    for seed in range(200):
        assert (make_sample(records[seed % len(records)], seed).labels != CROWD_LABEL).any()


def test_crops_of_an_object_without_an_inside_keep_some_of_it(records):
    rim = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.rectangle(rim, (2, 2), (WIDTH - 3, HEIGHT - 3), 1, 2)
    record = random_record(np.random.default_rng(0), 1, file_name=records[0].file_name, has_crowd=False)
    record.segmentations[0] = mask_utils.encode(np.asfortranarray(rim))
    record.bboxes[0] = [1, 1, WIDTH - 2, HEIGHT - 2]
    make_sample = make_mapper({"crop_sides": (10, 20)}, [record]).make_sample
    assert all(make_sample(record, seed).masks.any(axis=1).tolist() == [True] for seed in range(50))


def test_a_keypoint_that_leaves_the_crop_is_not_labelled(records):
    make_sample = make_mapper({"crop_sides": (0.3, 0.5), "flip": 0.0}, records).make_sample
    before = sum((record.keypoints[~record.is_crowd, :, 2] > 0).sum() for record in records)
    after = sum((make_sample(record, 0).keypoints[..., 2] > 0).sum() for record in records)
    assert 0 < after < 0.6 * before


def test_pasted_objects_bring_their_keypoints(records):
    sources = [dataclasses.replace(record, keypoints=None) for record in records[1:]]
    make_sample = make_mapper({"copy_paste": 1.0}, [records[0]] * 8).make_sample
    labelled = [(make_sample(record, 0).keypoints[..., 2] > 0).any(axis=1) for record in sources]
    assert all(own.any() and not own[0] for own in labelled)    # of what is pasted alone


def test_crowds_have_no_keypoint(records):
    sample = make_mapper({}, records).make_sample(records[0], 0)
    is_crowd = sample.labels == CROWD_LABEL
    assert is_crowd.any() and not sample.keypoints[is_crowd].any() and sample.keypoints[~is_crowd].any()


def test_a_dot_is_found_where_its_keypoint_is(records, monkeypatch):
    rng = np.random.default_rng(0)
    num_found = 0
    for seed in range(200):
        record = random_record(rng, 1, file_name="x", has_crowd=False)
        x, y = rng.integers((3, 3), (WIDTH - 3, HEIGHT - 3))
        record.keypoints[0] = [[x + 0.5, y + 0.5, 2], [0, 0, 0], [0, 0, 0]]
        image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.circle(image, (int(x), int(y)), 2, (255, 255, 255), -1)
        monkeypatch.setattr(mapper, "load_image", lambda path, size, image=image: image)
        policy = {**POLICIES["all"], "copy_paste": 0.0, "colours": ColourRange(), "jitter_scale": (0.5, 2.0),
                  "crop_sides": (0.5, 1.0)}
        sample = make_mapper(policy, [record]).make_sample(record, seed)
        if len(sample.keypoints) and sample.keypoints[0, 0, 2]:
            column, row = np.floor(sample.keypoints[0, 0, :2]).astype(int)
            height, width = sample.image.shape[:2]
            assert sample.image[min(row, height - 1), min(column, width - 1), 0] > 100
            num_found += 1
    assert num_found > 60


def test_colours_change_and_objects_stay(records):
    coloured, plain = (make_mapper(policy, records).make_sample(records[0], 0) for policy in (POLICIES["colours"], {}))
    assert (coloured.image != plain.image).any()
    np.testing.assert_array_equal(coloured.boxes, plain.boxes)


def test_pasted_objects_come_from_another_record(records):
    make_sample = make_mapper({"copy_paste": 1.0, "copy_paste_scale": (0.5, 1.0)}, records).make_sample
    more = [len(make_sample(record, seed).labels) > len(record.labels)
            for seed in range(5) for record in records]
    assert np.mean(more) > 0.5


def test_a_bad_file_to_paste_from_leaves_the_image_as_it_is(records, monkeypatch):
    def load(path, size):
        if path != records[0].file_name:
            raise UserError(f"{path}: is bad")
        return load_image(path, size)

    load_image = mapper.load_image
    monkeypatch.setattr(mapper, "load_image", load)
    pasting, plain = (make_mapper({"copy_paste": p}, records) for p in (1.0, 0.0))
    same = 0
    for seed in range(20):
        sample, expected = (m.make_sample(records[0], seed) for m in (pasting, plain))
        same += len(sample.labels) == len(expected.labels) and (sample.image == expected.image).all()
    assert same >= 12    # the others were pasted from the image itself
    with pytest.raises(UserError, match="is bad"):
        pasting.make_sample(records[1], 0)


# nothing on -------------------------------------------------------------------------------------------------------
def varied_records(folder):
    """12 images with polygons, RLE and crowds, as the reader of COCO's format has them"""
    content = make_content(12)
    for i, image in enumerate(content["images"]):
        image["file_name"] = f"{i}.png"
        x, y = 3 * i, 2 * i + 1
        annotation = make_annotation(200 + i, i + 1)
        triangle = [x, y, x + 30.5, y + 4.25, x + 7.75, y + 24.5]
        rle = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * (x + 2) + y, 20, 40, 21, HEIGHT * (WIDTH - x - 2) - y - 81]}
        content["annotations"] += [
            {**annotation, "bbox": [x, y, 30.5, 24.5], "segmentation": [triangle]},
            {**annotation, "id": 300 + i, "bbox": [x + 2, y, 2, 21], "category_id": 3, "segmentation": rle}]
        if i % 3 == 0:
            content["annotations"].append({**annotation, "id": 400 + i, "iscrowd": 1, "segmentation": rle})
    write(folder, content)
    cfg = new_config()
    cfg.DATA.BASEDIR = str(folder)
    return data.load_datasets(cfg, ("train",))[0].records


def digest_of(samples):
    """Returns: hexadecimal digits of all bytes of images, boxes, labels and masks"""
    digest = hashlib.sha256()
    for sample in samples:
        for field in (sample.image, sample.boxes, sample.labels, unpack_masks(sample.masks, 56)):
            digest.update(f"{field.dtype} {field.shape}".encode())
            digest.update(np.ascontiguousarray(field).tobytes())
    return digest.hexdigest()


def test_with_nothing_on_every_byte_is_as_it_was_without_these_augmentations(tmp_path):
    records = varied_records(tmp_path)
    make_sample = TrainMapper(records, Policy(**SIZES), 56).make_sample
    assert digest_of(make_sample(record, seed) for seed, record in enumerate([*records] * 4)) == DIGEST
