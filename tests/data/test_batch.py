import common  # noqa: F401

import numpy as np
import pytest

from data.batch import Batch, Sample, collate, num_packed, pack_masks, pad_batch, read_batch, specs, unpack_masks


def test_the_specs_are_those_of_the_batchs_fields():
    assert [spec.name for spec in specs(14, 17)] == list(Batch._fields)
    assert [spec.name for spec in specs(14)] == list(Batch._fields[:-1])
    assert [spec.name for spec in specs()] == list(Batch._fields[:-2])
    assert specs(14)[-1] == ("gt_masks", np.uint8, (None, None, 25))
    assert specs(None, 17)[-1] == ("gt_keypoints", np.float32, (None, None, 17, 3))


@pytest.mark.parametrize("has_masks", [False, True])
@pytest.mark.parametrize("has_keypoints", [False, True])
def test_what_is_sent_of_a_batch_is_read_by_name(has_masks, has_keypoints):
    sample = Sample(np.zeros((4, 6, 3), np.uint8), 7, 8, np.ones((2, 4), np.float32), np.ones(2, np.int32),
                    np.ones((2, 25), np.uint8) if has_masks else None,
                    np.ones((2, 17, 3), np.float32) if has_keypoints else None)
    batch = collate([sample])
    sent = [field for field in batch if field is not None]
    fields = specs(14 if has_masks else None, 17 if has_keypoints else None)
    assert [(array.dtype, array.ndim) for array in sent] == [(spec.dtype, len(spec.shape)) for spec in fields]
    assert all(a is b for a, b in zip(read_batch(sent, fields), batch))


def test_pad_batch_puts_each_image_at_the_top_left_of_zeros():
    images = [np.full(shape + (3,), i + 1, np.uint8) for i, shape in enumerate([(4, 6), (5, 2)])]
    batch, sizes = pad_batch(images)
    assert batch.shape == (2, 5, 6, 3) and batch.dtype == np.uint8
    assert sizes.tolist() == [[4, 6], [5, 2]] and sizes.dtype == np.int32
    for padded, image, (h, w) in zip(batch, images, sizes):
        np.testing.assert_array_equal(padded[:h, :w], image)
        assert padded.sum() == image.sum()


def test_pad_batch_of_one_image_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    batch, sizes = pad_batch([image])
    np.testing.assert_array_equal(batch, image[None])
    assert sizes.tolist() == [[3, 4]]


@pytest.mark.parametrize("resolution", [1, 14, 56])
@pytest.mark.parametrize("num_objects", [0, 3])
def test_masks_are_packed_and_unpacked(resolution, num_objects):
    masks = np.random.default_rng(0).integers(0, 2, (num_objects, resolution, resolution)).astype(np.uint8)
    packed = pack_masks(masks)
    assert packed.shape == (num_objects, num_packed(resolution)) and packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack_masks(packed, resolution), masks)
