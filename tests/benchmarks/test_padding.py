"""The benchmark of padding: the figure that it prints is small, and what it is of."""
import numpy as np

from benchmarks.padding import SHAPES, draw_sizes, padding


def test_little_of_a_batch_is_padding():
    sizes = draw_sizes(2000)
    assert padding(4, sizes) < 0.02 < 0.2 < padding(4, sizes, grouped=False)


def test_the_images_have_the_shapes_of_79():
    assert sum(count for _, _, count in SHAPES) == 79
    assert {tuple(size) for size in draw_sizes(2000).tolist()} <= {(height, width) for height, width, _ in SHAPES}


def test_padding_is_the_share_that_no_image_covers():
    # 800 x 1067 and 1067 x 800 within 1067 x 1067
    assert padding(2, np.array([[480, 640], [640, 480]])) == 1 - 800 / 1067
    assert padding(2, np.array([[480, 640]] * 2)) == 0
