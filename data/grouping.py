"""The order of training images: shuffled passes, in groups of like shapes, so that little of a batch is padding."""
import collections
import itertools

import common  # noqa: F401

import numpy as np
from tensorpack.dataflow import DataFlow

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


class Order(DataFlow):
    """
    Endless [index, number of a record, seed]: each pass over the records is shuffled anew, and each image gets a new
    seed.

    They come in groups of `group_size` images of like shape. Of these groups the stream has every `step`-th, from
    number `start` on. Before them `earlier` groups were taken: a list of their sizes, and how many of each.

    A group has images of one pass, but for those few that were left over from the pass before.

    Args:
        ratios: float (n,), aspect ratio of each record
        seed (int)
        group_size, start, step (int), earlier (list of (int, int)): see above
    """

    def __init__(self, ratios, seed, group_size, start, step, earlier=()):
        self._ratios = ratios
        self._seed = seed
        self._group_size = group_size
        self._start, self._step = start, step
        self._earlier = earlier

    def reset_state(self):
        windows, waiting = self._windows(), collections.deque()
        for size, number in self._earlier:
            collections.deque(itertools.islice(self._groups(windows, waiting, size), number), maxlen=0)
        groups = itertools.islice(
            self._groups(windows, waiting, self._group_size), self._start, None, self._step)
        pairs = itertools.chain.from_iterable(groups)
        self._stream = ([index, i, seed] for index, (i, seed) in enumerate(pairs))

    def __iter__(self):
        return self._stream

    def _groups(self, windows, waiting, size):
        """
        Yields: groups of `size` of the images in `windows`, of like shapes; `waiting` has those that are in none yet
        """
        while True:
            while len(waiting) < size:
                waiting.extend(next(windows))
            images = list(waiting)
            order = like_shapes(self._ratios[[i for i, _ in images]], size)
            waiting.clear()
            waiting.extend(images[place] for place in order.tolist())
            while len(waiting) >= size:
                yield [waiting.popleft() for _ in range(size)]

    def _windows(self):
        """Yields: lists of the number of a record and a seed, of WINDOW images, fewer at the end of a pass"""
        for epoch in itertools.count():
            rng = np.random.default_rng([self._seed, epoch])
            order = rng.permutation(len(self._ratios))
            seeds = rng.integers(2**63, size=len(self._ratios))
            images = list(zip(order.tolist(), seeds.tolist()))
            yield from (images[start:start + WINDOW] for start in range(0, len(images), WINDOW))
