"""
The sizes of objects against the anchors of a config: which share of objects no anchor overlaps well, once images are
resized for the network.
"""
from typing import NamedTuple

import numpy as np

SIZE_EDGES = (0, 8, 16, 32, 64, 128, 256, 512, np.inf)    # pixels in the network, square roots of areas
MAX_OBJECTS = 20_000     # that other anchors are tried on
WORTH_SAYING = 0.05     # share of objects that other anchors must match more


class Level(NamedTuple):
    """
    The anchors of one feature map.

    Attributes:
        stride: pixels between its cells
        sizes: square roots of the anchors' areas, in pixels
    """

    stride: int
    sizes: tuple


class Anchors(NamedTuple):
    """
    Attributes:
        levels: tuple of Level
        ratios: heights / widths
        whole_cells: whether a feature map ends with the last whole cell of its image (C4), or covers all of it (FPN)
    """

    levels: tuple
    ratios: tuple
    whole_cells: bool


def anchors_of(cfg, sizes=None, ratios=None):
    """Returns: Anchors of a config, with other sizes or ratios where they are given"""
    sizes, ratios = sizes or cfg.RPN.ANCHOR_SIZES, ratios or cfg.RPN.ANCHOR_RATIOS
    if cfg.MODE_FPN:
        return Anchors(tuple(Level(stride, (size,)) for stride, size in zip(cfg.FPN.ANCHOR_STRIDES, sizes)), ratios,
                       whole_cells=False)
    return Anchors((Level(cfg.RPN.ANCHOR_STRIDE, tuple(sizes)),), ratios, whole_cells=True)


def best_ious(boxes, image_sizes, anchors):
    """
    Of each box the largest IoU with an anchor that is inside the image.

    An anchor overlaps a box the more the closer their centres are, in x and in y by itself. So of each shape only the
    nearest place of its grid counts.

    Args:
        boxes: float (N, 4) x1, y1, x2, y2
        image_sizes: (N, 2) height and width of the image of each
        anchors (Anchors)

    Returns:
        float (N,); 0 where no anchor is inside
    """
    boxes, limits = np.asarray(boxes, dtype=np.float64), np.asarray(image_sizes)[:, ::-1]
    best = np.zeros(len(boxes))
    for level in anchors.levels:
        # the last cell's place; on a pyramid there are cells wherever an anchor is inside
        last = (limits // level.stride - 1) * level.stride if anchors.whole_cells else limits
        for size in level.sizes:
            for ratio in anchors.ratios:
                shape = np.array([size / np.sqrt(ratio), size * np.sqrt(ratio)])
                best = np.maximum(best, _nearest_iou(boxes, limits, last, level.stride, shape))
    return best


def _nearest_iou(boxes, limits, last, stride, shape):
    """Returns: float (N,), IoU with the nearest anchor of one shape (width, height); 0 where none is inside"""
    lowest = np.ceil(shape / 2 / stride)
    highest = np.floor(np.minimum(limits - shape / 2, last) / stride)
    nearest = np.clip(np.round((boxes[:, :2] + boxes[:, 2:]) / 2 / stride), lowest, highest) * stride
    overlap = np.minimum(boxes[:, 2:], nearest + shape / 2) - np.maximum(boxes[:, :2], nearest - shape / 2)
    both = np.maximum(overlap, 0).prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + shape.prod() - both
    return np.where((lowest <= highest).all(axis=1), both / union, 0)


class Fit(NamedTuple):
    """
    How objects fit anchors. Crowds do not count.

    Attributes:
        sizes: float (N,), square roots of the areas of the boxes in the network
        ious: float (N,), the best with an anchor
        threshold: from which on an anchor is foreground
        advice: list of str, what would match more
    """

    sizes: np.ndarray
    ious: np.ndarray
    threshold: float
    advice: list

    def rows(self):
        """Returns: list of (range of sizes, objects, share of all, share without an anchor, median of best IoU)"""
        rows = []
        for low, high in zip(SIZE_EDGES[:-1], SIZE_EDGES[1:]):
            ious = self.ious[(self.sizes >= low) & (self.sizes < high)]
            if len(ious):
                name = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
                rows.append((name, *self._describe(ious)))
        return [*rows, ("all", *self._describe(self.ious))] if rows else []

    def _describe(self, ious):
        return len(ious), len(ious) / len(self.ious), float((ious < self.threshold).mean()), float(np.median(ious))


def fit_anchors(splits, cfg):
    """
    Args:
        splits (list[Split])
        cfg (AttrDict): PREPROC, RPN and FPN

    Returns:
        Fit
    """
    boxes, sizes = (np.concatenate(arrays) for arrays in zip(*(_in_network(split, cfg) for split in splits)))
    ious, threshold = best_ious(boxes, sizes, anchors_of(cfg)), cfg.RPN.POSITIVE_ANCHOR_THRESH
    return Fit(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)), ious, threshold, _advise(boxes, sizes, cfg))


def _in_network(split, cfg):
    """Returns: (n, 4) boxes of the objects that are no crowd, clipped and resized, and (n, 2) sizes of their images"""
    short_edge = sum(cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE) / 2    # the middle of its range
    before = split.records.sizes
    scales = np.minimum(short_edge / before.min(axis=1), cfg.PREPROC.MAX_SIZE / before.max(axis=1))
    sizes = np.maximum(np.floor(before * scales[:, None] + 0.5).astype(np.int64), 1)
    is_object = ~split.objects.is_crowd
    images, limits = split.images[is_object], split.limits[is_object]
    factors = (sizes / before)[images, ::-1]
    return np.clip(split.corners[is_object], 0, np.tile(limits, 2)) * np.tile(factors, 2), sizes[images]


def _advise(boxes, sizes, cfg):
    """Returns: list of str, which other sizes and ratios would match more of the objects, in their order of merit"""
    if not len(boxes):
        return []
    chosen = np.random.default_rng(0).permutation(len(boxes))[:MAX_OBJECTS]
    boxes, sizes = boxes[chosen], sizes[chosen]

    def unmatched(**changes):
        return float((best_ious(boxes, sizes, anchors_of(cfg, **changes)) < cfg.RPN.POSITIVE_ANCHOR_THRESH).mean())

    now = unmatched()
    found = sorted((unmatched(**{key: value}), key, value) for key, values in _others(cfg).items() for value in values)
    best = {}
    for share, key, value in found:
        if now - share >= WORTH_SAYING:
            best.setdefault(key, f"RPN.ANCHOR_{key.upper()}={value} would leave {share:.0%} of the objects without an "
                            f"anchor in place of {now:.0%}")
    return list(best.values())


def _others(cfg):
    """Returns: dict of "sizes" and "ratios" to other values of RPN.ANCHOR_SIZES and RPN.ANCHOR_RATIOS"""
    sizes, ratios = cfg.RPN.ANCHOR_SIZES, tuple(sorted(cfg.RPN.ANCHOR_RATIOS))
    scaled = [tuple(round(size * factor) for size in sizes) for factor in (0.125, 0.25, 0.35, 0.5, 0.7, 1.4, 2, 2.8, 4)]
    if not cfg.MODE_FPN:    # where a level may have any number of them
        scaled += [(sizes[0] // 2, *sizes), (sizes[0] // 4, sizes[0] // 2, *sizes)]
    more = [tuple(sorted({*ratios, *new})) for new in ((0.33, 3.0), (0.2, 5.0), (0.1, 10.0), (0.33, 0.2), (3.0, 5.0),
                                                       (0.7, 1.4))]
    return {"sizes": [s for s in scaled if min(s) > 0 and s != sizes], "ratios": [r for r in more if r != ratios]}
