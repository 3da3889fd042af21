"""
Segmentations of many objects in a few flat arrays: polygons and run lengths one behind the other.

A polygon whose coordinates have two digits behind the point, as COCO's have, is kept in whole hundredths, in a quarter
of its size. What comes out is what went in: k / 100 is the float64 that a json file's digits stand for.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

# how a part is kept: the first three are polygons, from small to large, the others an RLE's counts
HUNDREDTHS, WIDE_HUNDREDTHS, FLOATS, COUNTS, TEXT = range(5)
TYPES = tuple(map(np.dtype, (np.uint16, np.int32, np.float64, np.uint32, np.uint8)))
ITEM_SIZES = np.array([dtype.itemsize for dtype in TYPES])


class Parts(NamedTuple):
    """
    P polygons and RLEs, as bytes.

    Attributes:
        content: uint8 (bytes of all,)
        offsets: int64 (P + 1,), where each part begins and the last one ends in `content`
        kinds: uint8 (P,), HUNDREDTHS to TEXT
    """

    content: np.ndarray
    offsets: np.ndarray
    kinds: np.ndarray

    def segmentation(self, first: int, count: int, size: Sequence[int]) -> list | dict | None:
        """
        Returns: what an object has whose parts are `count` from number `first` on, as `Record.segmentations` has it

        Args:
            size: height and width of the image
        """
        if not count:
            return None
        if self.kinds[first] < COUNTS:
            return [self._polygon(part) for part in range(first, first + count)]
        values = self._values(first)
        is_text = self.kinds[first] == TEXT
        return {"size": list(size), "counts": values.tobytes().decode("ascii") if is_text else values.tolist()}

    def _polygon(self, part):
        values = self._values(part)
        return values.copy() if self.kinds[part] == FLOATS else values / 100

    def _values(self, part):
        return self.content[self.offsets[part]:self.offsets[part + 1]].view(TYPES[self.kinds[part]])

    @classmethod
    def join(cls, several: Sequence[Parts]) -> Parts:
        """Returns: the parts of all, in their order"""
        starts = np.cumsum([0, *(len(parts.content) for parts in several)])
        offsets = [parts.offsets[:-1] + start for parts, start in zip(several, starts)]
        return cls(np.concatenate([parts.content for parts in several]), np.concatenate([*offsets, starts[-1:]]),
                   np.concatenate([parts.kinds for parts in several]))


class PartsBuilder:
    """Collects parts, block by block."""

    def __init__(self):
        self._content, self._sizes, self._kinds = bytearray(), [], []
        self._count = 0

    def add_polygons(self, values: np.ndarray, lengths: np.ndarray) -> int:
        """
        Args:
            values: float64 (sum of lengths,), coordinates of P polygons
            lengths: int (P,), how many of them each has, at least 1

        Returns:
            number of the first part; the others follow
        """
        starts = np.concatenate([[0], np.cumsum(lengths)])
        with np.errstate(over="ignore", invalid="ignore"):
            hundredths = np.rint(values * 100)
        kinds = np.maximum.reduceat(_smallest_kinds(values, hundredths), starts[:-1]) if len(lengths) else np.zeros(0)
        # neighbours of one kind at once, as nearly all are
        changes = np.flatnonzero(np.diff(kinds)) + 1
        for begin, end in zip([0, *changes], [*changes, len(kinds)]):
            if begin < end:
                kind = int(kinds[begin])
                source = values if kind == FLOATS else hundredths
                self._content += source[starts[begin]:starts[end]].astype(TYPES[kind]).tobytes()
        kinds = kinds.astype(np.uint8)
        return self._append(lengths * ITEM_SIZES[kinds], kinds)

    def add(self, segmentations: Iterable[list | dict | None]) -> tuple[np.ndarray, np.ndarray]:
        """
        Args:
            segmentations: M, as `Record.segmentations` has them

        Returns:
            int64 (M,) and int32 (M,): number of the first part of each, and how many it has
        """
        segmentations = list(segmentations)
        counts = np.array([1 if isinstance(s, dict) else len(s or ()) for s in segmentations], dtype=np.int32)
        firsts = np.zeros(len(segmentations), dtype=np.int64)
        is_rle = np.array([isinstance(s, dict) for s in segmentations], dtype=bool)
        polygons = [np.asarray(polygon, dtype=np.float64).ravel()
                    for s in segmentations if not isinstance(s, dict) for polygon in s or ()]
        lengths = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
        first = self.add_polygons(np.concatenate(polygons) if polygons else np.zeros(0), lengths)
        firsts[~is_rle] = first + np.cumsum(counts[~is_rle]) - counts[~is_rle]
        firsts[is_rle] = [self._add_rle(s["counts"]) for s in segmentations if isinstance(s, dict)]
        return firsts, counts

    def _add_rle(self, counts):
        if isinstance(counts, (bytes, str)):
            content, kind = counts if isinstance(counts, bytes) else counts.encode("ascii"), TEXT
        else:
            content, kind = np.array(counts, dtype=TYPES[COUNTS]).tobytes(), COUNTS
        self._content += content
        return self._append(np.array([len(content)]), np.array([kind], dtype=np.uint8))

    def _append(self, sizes, kinds):
        first = self._count
        self._sizes.append(sizes)
        self._kinds.append(kinds)
        self._count += len(kinds)
        return first

    def finish(self) -> Parts:
        sizes = np.concatenate([np.zeros(1, dtype=np.int64), *self._sizes])
        return Parts(np.frombuffer(self._content, dtype=np.uint8), np.cumsum(sizes),
                     np.concatenate([np.zeros(0, dtype=np.uint8), *self._kinds]))


@np.errstate(invalid="ignore")
def _smallest_kinds(values, hundredths):
    """Returns: uint8, for each coordinate the first kind that keeps all of it"""
    is_whole = hundredths / 100 == values
    fits = is_whole & (hundredths >= 0) & (hundredths < 2**16)
    fits_wide = is_whole & (np.abs(hundredths) < 2**31)
    return np.where(fits, np.uint8(HUNDREDTHS), np.where(fits_wide, np.uint8(WIDE_HUNDREDTHS), np.uint8(FLOATS)))
