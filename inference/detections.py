"""The objects that were detected in one image."""
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

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
        class_names: of the labels 1..
        height, width: of the image, in pixels
        mask_probs: float32 (N, m, m), probabilities on a grid that spans the box, or None
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    height: int
    width: int
    mask_probs: Optional[np.ndarray] = None
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: Any) -> "Detections":
        """Returns: those that `index`, a NumPy index of the first dimension, picks"""
        return dataclasses.replace(
            self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index],
            mask_probs=None if self.mask_probs is None else self.mask_probs[index])

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
        COCO results with bbox [x, y, w, h] in pixels, and segmentation if there are masks
    """
    segmentations = None if detections.mask_probs is None else detections.rles()
    results = []
    for i, ((x1, y1, x2, y2), score, label) in enumerate(zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist())):
        result = {"image_id": image_id, "category_id": int(category_ids[label - 1])}
        if class_names is not None:
            result["category"] = class_names[label - 1]
        result["bbox"] = [round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)]
        result["score"] = round(score, 5)
        if segmentations is not None:
            result["segmentation"] = segmentations[i]
        results.append(result)
    return results
