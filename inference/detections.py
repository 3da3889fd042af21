"""The objects that were detected in one image."""
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from data.coco_rules import KEYPOINT_SHIFT
from data.records import Skeleton
from inference.keypoints import decode_keypoints, keypoint_scores
from inference.masks import encode_mask, paste_mask


@dataclasses.dataclass
class Detections:
    """
    The objects that were detected in one image, the highest score first.

    Attributes:
        boxes: float32 (N, 4), x1, y1, x2, y2 in the image's own pixels
        scores: float32 (N,), in 0..1
        labels: int (N,), in 1..len(class_names)
        masks: bool (N, height, width), or None where the model has no masks; made of `mask_probs` when first asked for
        keypoints: float32 (N, K, 3), x and y in pixels, and a score in 0..1; zeros for those that an object's class
            lacks; None where the model has no keypoints; made of `keypoint_logits` when first asked for
        class_names: of the labels 1..
        height, width: of the image, in pixels
        mask_probs: float32 (N, m, m), probabilities on a grid that spans the box, or None
        keypoint_logits: float32 (N, h, w, K), logits of places on such a grid, or None
        skeleton: the names of the K keypoints, which of them lines join, and which each class has; or None
        track_ids: int (N,), in a video the number that an object keeps from frame to frame, from 1 on, 0 for none; or
            None
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    height: int
    width: int
    mask_probs: Optional[np.ndarray] = None
    class_names: tuple[str, ...] = ()
    keypoint_logits: Optional[np.ndarray] = None
    skeleton: Optional[Skeleton] = None
    track_ids: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: Any) -> "Detections":
        """Returns: those that `index`, a NumPy index of the first dimension, picks"""
        return dataclasses.replace(
            self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index],
            mask_probs=None if self.mask_probs is None else self.mask_probs[index],
            keypoint_logits=None if self.keypoint_logits is None else self.keypoint_logits[index],
            track_ids=None if self.track_ids is None else self.track_ids[index])

    @functools.cached_property
    def masks(self) -> Optional[np.ndarray]:
        """bool (N, height, width), or None where the model has no masks"""
        if self.mask_probs is None:
            return None
        masks = np.zeros((len(self), self.height, self.width), dtype=bool)
        for mask, probs, box in zip(masks, self.mask_probs, self.boxes):
            crop, x, y = paste_mask(probs, box, self.height, self.width)
            mask[y:y + crop.shape[0], x:x + crop.shape[1]] = crop
        return masks

    @functools.cached_property
    def keypoints(self) -> Optional[np.ndarray]:
        """float32 (N, K, 3), x, y and score, or None where the model has no keypoints"""
        if self.keypoint_logits is None:
            return None
        points, logits = decode_keypoints(self.keypoint_logits, self.boxes)
        scores = keypoint_scores(self.keypoint_logits, logits)
        keypoints = np.zeros((*scores.shape, 3), dtype=np.float32)
        for i, label in enumerate(self.labels.tolist()):
            own = list(self.skeleton.of_label(label))
            keypoints[i, own, :2], keypoints[i, own, 2] = points[i, own], scores[i, own]
        return keypoints

    def rles(self) -> list[dict]:
        """Returns: the N run-length encoded masks, as `encode_mask` gives them"""
        return [encode_mask(probs, box, self.height, self.width) for probs, box in zip(self.mask_probs, self.boxes)]


def detections_to_coco(image_id: Any, detections: Detections, category_ids: Sequence[int],
                       class_names: Optional[Sequence[str]] = None) -> list[dict]:
    """
    Args:
        image_id: as the data set names the image
        detections (Detections): of that image
        category_ids: the data set's id of each label 1..N
        class_names: also write the class's name, as "category"

    Returns:
        COCO results with bbox [x, y, w, h] in pixels, track_id if there are tracks, segmentation if there are masks,
        and keypoints if there are any: for each that the class has, x and y as COCO counts, from the centre of the
        first pixel, and its score
    """
    segmentations = None if detections.mask_probs is None else detections.rles()
    keypoints = None if detections.keypoint_logits is None else detections.keypoints.tolist()
    results = []
    for i, ((x1, y1, x2, y2), score, label) in enumerate(zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist())):
        result = {"image_id": image_id, "category_id": int(category_ids[label - 1])}
        if class_names is not None:
            result["category"] = class_names[label - 1]
        result["bbox"] = [round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)]
        result["score"] = round(score, 5)
        if detections.track_ids is not None and detections.track_ids[i]:
            result["track_id"] = int(detections.track_ids[i])
        if segmentations is not None:
            result["segmentation"] = segmentations[i]
        if keypoints is not None and (own := detections.skeleton.of_label(label)):
            result["keypoints"] = _keypoints_to_coco([keypoints[i][k] for k in own])
        results.append(result)
    return results


def _keypoints_to_coco(keypoints):
    return [number for x, y, score in keypoints
            for number in (round(x - KEYPOINT_SHIFT, 3), round(y - KEYPOINT_SHIFT, 3), round(score, 5))]
