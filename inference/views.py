"""
Detections of candidates: what the network finds in each view of an image, before NMS, is joined, and what it says of
masks and keypoints in each view is averaged for the boxes that are chosen, as in Detectron. Without test-time
augmentation there is one view, and other kinds of NMS.
"""
from typing import NamedTuple

import numpy as np

import data
from data.augment import View, mirror_partners
from data.batch import pad_batch
from data.images import resize_shape
from inference.detections import Detections
from inference.predictor import NetworkOutput
from inference.suppression import choose, make_suppression


def views_of(height, width, cfg):
    """
    Args:
        height, width (int): of an image
        cfg: PREPROC and TEST.AUG

    Returns:
        list[View], of the whole image, the one without augmentation first; as many for every image
    """
    aug, usual = cfg.TEST.AUG, cfg.PREPROC.TEST_SHORT_EDGE_SIZE
    edges = {usual: cfg.PREPROC.MAX_SIZE, **{edge: aug.MAX_SIZE for edge in aug.SCALES if edge != usual}}
    sizes = [resize_shape(height, width, short_edge, longest) for short_edge, longest in edges.items()]
    return [View((0, 0, width, height), size, mirror_x)
            for size in sizes for mirror_x in ([False, True] if aug.HFLIP else [False])]


def see(image, cfg):
    """Args: image: uint8 (h, w, 3). Returns: list of uint8 (h', w', 3), its views as the network wants them"""
    return [view.see_image(image) for view in views_of(*image.shape[:2], cfg)]


class _Seen(NamedTuple):
    """
    One view of each of B images, which go through the network together.

    Attributes:
        views (list[View]): of each image
        inputs: images and image_sizes of the network
        features (list): what it keeps of them, see `TwoCalls.find`
    """

    views: list
    inputs: tuple
    features: list


class _Boxes(NamedTuple):
    """Boxes float32 (N, 4) in an image's own pixels, their scores float32 (N,) and labels int (N,)"""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def detect_views(predict, seen, sizes, cfg):
    """
    Args:
        predict (TwoCalls): or a `Predictor` that is like one, see `inference.predictor`
        seen (list): of each image the list that `see` makes of it
        sizes (list): of (height, width), the images' own
        cfg: PREPROC, TEST and DATA

    Returns:
        list[Detections], in the images' own pixels
    """
    batches, candidates = [], []
    for views, images in zip(zip(*(views_of(*size, cfg) for size in sizes)), zip(*seen)):
        inputs = pad_batch(images)
        found, features = predict.find(*inputs)
        batches.append(_Seen(views, inputs, features))
        candidates.append([_in_image(found, i, view, size) for i, (view, size) in enumerate(zip(views, sizes))])
    suppression = make_suppression(cfg.TEST)
    chosen = [_Boxes(*choose(*map(np.concatenate, zip(*of_image)), suppression)) for of_image in zip(*candidates)]
    skeleton = data.skeleton_of(cfg)
    described = _describe(predict, batches, chosen, skeleton)
    return [Detections(*boxes, height, width, mask_probs=more.get("masks"), class_names=tuple(cfg.DATA.CLASS_NAMES),
                       keypoint_logits=more.get("keypoints"), skeleton=skeleton)
            for boxes, more, (height, width) in zip(chosen, described, sizes)]


def _in_image(found, number, view, size):
    """Returns: _Boxes, what was found in the image of that number in the batch, as far as it lies in the image"""
    index = np.flatnonzero(found.image_index == number)
    height, width = size
    boxes = np.clip(view.find_boxes(found.boxes[index]), 0, [width, height, width, height]).astype(np.float32)
    # written so that a NaN is dropped too
    good = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & np.isfinite(found.scores[index])
    return _Boxes(boxes[good], found.scores[index[good]], found.labels[index[good]])


def _describe(predict, batches, chosen, skeleton):
    """
    Args:
        batches (list[_Seen]): of each view
        chosen (list[_Boxes]): of each image

    Returns:
        list of dicts of each image: "masks" (D, m, m) and "keypoints" (D, h, w, K), means over the views of what the
        network says of its boxes, where it has these
    """
    counts = [len(boxes.scores) for boxes in chosen]
    of_all = _Boxes(*map(np.concatenate, zip(*chosen)))
    image_index = np.repeat(np.arange(len(chosen), dtype=np.int32), counts)
    sums = {}
    for views, inputs, features in batches:
        boxes = np.concatenate([view.see_boxes(own.boxes) for view, own in zip(views, chosen)])
        found = predict.describe(*inputs, features, NetworkOutput(boxes, of_all.scores, of_all.labels, image_index))
        if views[0].mirror_x:
            found = _mirrored_back(found, skeleton)
        for name in ("masks", "keypoints"):
            if getattr(found, name) is not None:
                sums[name] = sums.get(name, 0) + getattr(found, name)
    parts = {name: np.split(total / len(batches), np.cumsum(counts)[:-1]) for name, total in sums.items()}
    return [{name: of_images[i] for name, of_images in parts.items()} for i in range(len(chosen))]


def _mirrored_back(found, skeleton):
    """Returns: NetworkOutput, whose masks and keypoints are of the boxes as they are in the image"""
    masks, keypoints = found.masks, found.keypoints
    if masks is not None:
        masks = masks[:, :, ::-1]
    if keypoints is not None:
        partners = mirror_partners(skeleton.names, skeleton.of_class)
        partners = partners if partners.ndim == 1 else partners[found.labels - 1]
        partners = np.broadcast_to(partners, (len(keypoints), keypoints.shape[3]))
        # a left hand is a right one in a mirror
        keypoints = np.take_along_axis(keypoints[:, :, ::-1], partners[:, None, None], axis=3)
    return found._replace(masks=masks, keypoints=keypoints)
