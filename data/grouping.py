"""Which images come in one batch: those of like shapes, so that little of it is padding."""
import numpy as np

WINDOW = 1024    # images that are put into groups at a time; more would gain little


def aspect_ratios(sizes):
    """
    Args:
        sizes: (n, 2), height and width

    Returns:
        float64 (n,), width / height, which resizing keeps
    """
    return sizes[:, 1] / sizes[:, 0]


def like_shapes(ratios, size):
    """
    Put images into groups of like ratios: sorted by ratio, each `size` of them are a group. The last `len(ratios) %
    size` images are in none, so that only what came last waits for others.

    Groups come in the order of their first images, as do the images of a group. So images of one ratio stay as they
    are.

    Args:
        ratios: float (n,), of images in the order in which they come
        size (int): images of a group

    Returns:
        int (n,), the places of the images, group behind group, and then of those in none
    """
    num_grouped = len(ratios) // size * size
    groups = np.sort(np.argsort(ratios[:num_grouped], kind="stable").reshape(-1, size), axis=1)
    in_order = groups[np.argsort(groups[:, 0])]
    return np.concatenate([in_order.ravel(), np.arange(num_grouped, len(ratios))])
