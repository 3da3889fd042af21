"""
Numbers for the objects of a video, which they keep from frame to frame. Tracks go on with the detections that lie where
their objects are expected (Bochinski et al. 2017), first with those of high scores, then with the others (ByteTrack,
Zhang et al. 2022), and last with what lies not far from there (buffered IoU, Yang et al. 2023).
"""
import dataclasses
from typing import Optional

import common  # noqa: F401  (prepares the environment)

import numpy as np

from inference.detections import Detections
from inference.masks import encode_mask
from inference.overlaps import box_iou, mask_iou

SMOOTHING = 0.7    # share of what a velocity and an area were before in what they become
BUFFER = 0.5       # of an object's size, by which boxes grow on all sides where nothing lies where it is expected
HIDDEN = 0.9       # of its area; an object whose box is smaller is partly hidden


@dataclasses.dataclass
class _Track:
    """
    An object that is followed.

    Attributes:
        number: from 1 on
        label: its class
        box: float64 (4,), where it is expected, or was found
        seen_at: float64 (4,), where it was found last
        mask_probs: float32 (m, m), of then, or None
        velocity: float64 (4,), pixels a frame, of both corners alike
        area: of the box, smoothed
        lost: frames since it was found
    """

    number: int
    label: int
    box: np.ndarray
    seen_at: np.ndarray
    mask_probs: Optional[np.ndarray]
    velocity: np.ndarray
    area: float
    lost: int = 0


class Tracker:
    """
    Args:
        min_iou: of a detection with where a track expects its object, for it to be that object
        max_lost: frames that an object may be out of sight
        new_score: of a detection, from which on it begins a track
    """

    def __init__(self, min_iou: float, max_lost: int, new_score: float) -> None:
        self._min_iou, self._max_lost, self._new_score = min_iou, max_lost, new_score
        self._tracks: list[_Track] = []
        self._last_number = 0

    def update(self, detections: Detections) -> Detections:
        """
        Args:
            detections: of the next frame

        Returns:
            the same with `track_ids`; 0 is for one whose score is too low to begin a track
        """
        for track in self._tracks:
            track.box = track.box + track.velocity
            track.lost += 1
        numbers = np.zeros(len(detections), int)
        is_sure = detections.scores >= self._new_score
        left = self._tracks
        for candidates, overlaps in ((is_sure, _overlaps), (~is_sure, _overlaps), (is_sure, _buffered_overlaps)):
            left = self._go_on(left, np.flatnonzero(candidates & (numbers == 0)), overlaps, detections, numbers)
        self._tracks = [track for track in self._tracks if track.lost <= self._max_lost]
        for i in np.flatnonzero(is_sure & (numbers == 0)):
            self._last_number += 1
            numbers[i] = self._last_number
            self._tracks.append(_begin(self._last_number, detections, i))
        return dataclasses.replace(detections, track_ids=numbers)

    def _go_on(self, tracks, candidates, measure, detections, numbers):
        """
        Give each of the candidates, those with the largest `measure` first, to the track that it continues, and its
        number to `numbers`.

        Returns:
            list[_Track], those that none of the candidates continues
        """
        found = detections.select(candidates)
        overlaps = measure(tracks, found)
        for j, label in enumerate(found.labels.tolist()):
            overlaps[[track.label != label for track in tracks], j] = 0
        continued = set()
        while overlaps.size and overlaps.max() >= max(self._min_iou, np.finfo(float).tiny):
            i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
            overlaps[i], overlaps[:, j] = 0, 0
            numbers[candidates[j]] = tracks[i].number
            _see(tracks[i], detections, candidates[j])
            continued.add(i)
        return [track for i, track in enumerate(tracks) if i not in continued]


def make_tracker(cfg) -> Tracker:
    """Args: cfg (AttrDict): a config; what is drawn begins a track"""
    return Tracker(cfg.TEST.TRACK_IOU, cfg.TEST.TRACK_LOST, cfg.TEST.RESULT_SCORE_THRESH_VIS)


def _begin(number, detections, i):
    box = detections.boxes[i].astype(np.float64)
    probs = None if detections.mask_probs is None else detections.mask_probs[i]
    return _Track(number, int(detections.labels[i]), box, box, probs, np.zeros(4), np.prod(box[2:] - box[:2]))


def _see(track, detections, i):
    """Bring a track to a detection of it."""
    box = detections.boxes[i].astype(np.float64)
    area = np.prod(box[2:] - box[:2])
    # what is partly hidden seems to move otherwise than it does
    if area > HIDDEN * track.area:
        moved = np.tile((box - track.seen_at).reshape(2, 2).mean(axis=0), 2) / track.lost
        track.velocity = SMOOTHING * track.velocity + (1 - SMOOTHING) * moved
    track.area = SMOOTHING * track.area + (1 - SMOOTHING) * area
    track.box, track.seen_at, track.lost = box, box, 0
    track.mask_probs = None if detections.mask_probs is None else detections.mask_probs[i]


def _overlaps(tracks, found):
    """Returns: float64 (T, N), of where each track expects its object with each detection: IoU of boxes, or where there
        are masks the mean of that of boxes and of masks"""
    overlaps = box_iou([track.box for track in tracks], found.boxes)
    if not overlaps.size or found.mask_probs is None:
        return overlaps
    expected = [encode_mask(track.mask_probs, track.box, found.height, found.width) for track in tracks]
    return (overlaps + mask_iou(expected, found.rles())) / 2


def _buffered_overlaps(tracks, found):
    """Returns: float64 (T, N), IoU of enlarged boxes"""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    return box_iou([_enlarged(track.box, track.area) for track in tracks],
                   [_enlarged(box, area) for box, area in zip(found.boxes, sides.prod(axis=1))])


def _enlarged(box, area):
    return box + BUFFER * np.sqrt(area) * np.array([-1, -1, 1, 1])
