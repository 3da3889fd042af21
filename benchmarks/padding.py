"""
How much of a batch is padding, on images of the shapes that COCO's have: `python -m benchmarks.padding`.

The images are as many as in train2017, each of the shape of one of the first 79 in COCO's instances_val2017.json. Rare
shapes are missing among these.
"""
import itertools

import common  # noqa: F401

import numpy as np
from tabulate import tabulate

from data.grouping import Order, aspect_ratios
from data.images import resize_shape

NUM_IMAGES = 118_287
SHORT_EDGE, MAX_SIZE = 800, 1333
# height, width, and how many of the 79
SHAPES = (
    (480, 640, 21), (427, 640, 10), (640, 480, 4), (500, 375, 4), (426, 640, 3), (640, 478, 3), (375, 500, 3),
    (428, 640, 2), (500, 333, 1), (612, 612, 1), (358, 640, 1), (640, 457, 1), (333, 500, 1), (423, 640, 1),
    (457, 640, 1), (640, 424, 1), (640, 428, 1), (640, 474, 1), (640, 470, 1), (334, 500, 1), (640, 427, 1),
    (304, 640, 1), (464, 640, 1), (424, 640, 1), (559, 640, 1), (414, 640, 1), (640, 383, 1), (406, 640, 1),
    (313, 640, 1), (408, 640, 1), (374, 500, 1), (640, 358, 1), (461, 640, 1), (400, 500, 1), (484, 640, 1),
    (640, 426, 1), (476, 640, 1))


def draw_sizes(num_images=NUM_IMAGES, seed=0):
    """Returns: int (num_images, 2), heights and widths as COCO's are"""
    shapes = np.array(SHAPES)
    return np.random.default_rng(seed).choice(shapes[:, :2], num_images, p=shapes[:, 2] / shapes[:, 2].sum())


def padding(batch_size, sizes, grouped=True):
    """
    Args:
        batch_size (int): images
        sizes: int (n, 2), height and width of the images of a pass
        grouped (bool): into batches of like shapes, as training has them; or else as they come

    Returns:
        float, the share of the pixels of a pass that are padding, with a short edge of 800 and a long one of 1,333
    """
    order = Order(aspect_ratios(sizes) if grouped else np.ones(len(sizes)), 0, batch_size, 0, 1)
    order.reset_state()
    num_batches = len(sizes) // batch_size
    numbers = np.array([number for _, number, _ in itertools.islice(order, num_batches * batch_size)])
    resized = np.array([resize_shape(height, width, SHORT_EDGE, MAX_SIZE) for height, width in sizes[numbers]])
    batches = resized.reshape(num_batches, batch_size, 2)
    return 1 - batches.prod(axis=2).sum() / (batch_size * batches.max(axis=1).prod(axis=1)).sum()


def main():
    sizes = draw_sizes()
    rows = [(batch_size, *(f"{padding(batch_size, images, grouped):.1%}"
                           for images in (sizes, sizes[:500]) for grouped in (True, False)))
            for batch_size in (2, 4, 8)]
    print(tabulate(rows, ["images a batch", f"{len(sizes)} images", "not grouped", "500 images", "not grouped"]))


if __name__ == "__main__":
    main()
