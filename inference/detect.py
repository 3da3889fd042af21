"""From images to detections: resized, through the network, and back to the images' own pixels."""
import numpy as np

import data
from config import gives_candidates
from data.batch import pad_batch
from data.images import resize_image, resize_shape
from inference.detections import Detections
from inference.views import detect_views, see


def resize(image, cfg):
    """Returns: a uint8 (h, w, 3) image in the size that the network wants, as PREPROC says"""
    height, width = resize_shape(*image.shape[:2], cfg.PREPROC.TEST_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE)
    return resize_image(image, height, width)


def prepare(image, cfg):
    """Returns: list of what `detect_prepared` wants of an image: it in the network's size, or each of its views so"""
    return see(image, cfg) if gives_candidates(cfg) else [resize(image, cfg)]


def detect_prepared(predict, prepared, sizes, cfg):
    """
    Args:
        prepared (list): of each image, what `prepare` makes of it
        predict, sizes, cfg: as of `detect_resized`

    Returns:
        list[Detections], in the images' own pixels
    """
    if gives_candidates(cfg):
        return detect_views(predict, prepared, sizes, cfg)
    return detect_resized(predict, [resized for resized, in prepared], sizes, cfg)


def detect_resized(predict, resized, sizes, cfg):
    """
    The network on some images, which go through it together.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        resized (list): of uint8 (h, w, 3), as the network wants them
        sizes (list): of (height, width), the images' own
        cfg: DATA, of the classes and keypoints

    Returns:
        list[Detections], in the images' own pixels
    """
    found = predict(*pad_batch(resized))
    class_names, skeleton = tuple(cfg.DATA.CLASS_NAMES), data.skeleton_of(cfg)
    results = []
    for i, (image, (height, width)) in enumerate(zip(resized, sizes)):
        indices = np.flatnonzero(found.image_index == i)
        # rounding the resized shape gives each axis a scale of its own
        scale = np.array([width / image.shape[1], height / image.shape[0]] * 2, dtype=np.float32)
        own_boxes = np.clip(found.boxes[indices] * scale, 0, np.array([width, height] * 2, dtype=np.float32))
        x1, y1, x2, y2 = own_boxes.T
        # written so that a NaN is dropped too
        good = (x2 > x1) & (y2 > y1) & np.isfinite(found.scores[indices])
        indices = indices[good]
        results.append(Detections(
            boxes=own_boxes[good], scores=found.scores[indices], labels=found.labels[indices], height=height,
            width=width, mask_probs=None if found.masks is None else found.masks[indices], class_names=class_names,
            keypoint_logits=None if found.keypoints is None else found.keypoints[indices], skeleton=skeleton))
    return results


def detect_batch(predict, images, cfg):
    """
    Detect the objects in some images, which go through the network together.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        images (list): of uint8 (h, w, 3), BGR, of any sizes
        cfg: PREPROC, TEST and DATA

    Returns:
        list[Detections], one for each image, in its own pixels
    """
    prepared = [prepare(image, cfg) for image in images]
    return detect_prepared(predict, prepared, [image.shape[:2] for image in images], cfg)
