import common  # noqa: F401

import numpy as np

from data.batch import Batch, pad_batch, specs


def test_the_specs_are_those_of_the_batchs_fields():
    assert [spec.name for spec in specs(14)] == list(Batch._fields)
    assert [spec.name for spec in specs()] == list(Batch._fields[:-1])
    assert specs(14)[-1] == ("gt_masks", np.uint8, (None, None, 14, 14))


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
