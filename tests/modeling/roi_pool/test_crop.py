"""RoICrop, against loops."""

import numpy as np
import pytest

import pooling_reference as reference
from graph import run
from modeling.roi_pool.crop import RoICrop

KINDS = [RoICrop(2), RoICrop(1)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_the_maximum_of_samples_from_end_to_end_as_by_loops(kind):
    arrays = reference.example(channels=3, count=40)
    expected = reference.of_each_box(lambda image, box: reference.roi_crop(image, box, 3, *kind), *arrays)
    np.testing.assert_allclose(run(reference.pooled_by(kind), *arrays), expected, atol=1e-4)


def test_it_is_zero_at_the_end_of_an_image_and_fades_before_it():
    ones = np.ones((2, 10, 14, 1), np.float32)
    pooled = run(reference.pooled_by(RoICrop(1)), ones, np.float32([[8, 2, 10, 6], [12, 2, 14, 6]]), np.int32([1, 0]))
    np.testing.assert_allclose(pooled[:, :, :, 0], np.tile([1, 1, 0], (2, 3, 1)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_gradient_is_that_of_finite_differences(kind):
    gradient, differences = reference.gradient_and_finite_differences(kind, step=1e-3)
    np.testing.assert_allclose(gradient, differences, atol=2e-2)
