"""`Detector`: a model in Python, from images to what is in them."""
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Union, overload

import common
from common import UserError

import numpy as np

import data
from config import finalize_configs, load_config, new_config
from inference.detect import detect_batch
from inference.detections import Detections
from inference.predictor import load_predictor
from inference.stages import StageNetwork, Stages
from inference.tracking import make_tracker
from weights.find import find_run

Image = Union[np.ndarray, str, os.PathLike]    # uint8 (h, w, 3) in BGR, or the path of an image file


def read_config(load, overrides):
    """
    The config of a run's folder, if `load` is in one, changed by KEY=VALUE words. It is not finalized.

    Args:
        load (str): a run's folder, a checkpoint or a weight file
        overrides (list[str]): of `--config`

    Returns:
        the config, and the path of the weights
    """
    cfg = new_config()
    # before the weights are looked for: a misspelt key is the cheaper mistake to report
    cfg.update_args(overrides)
    weights_path, config_path = find_run(load)
    if config_path is not None:
        cfg = new_config()
        load_config(cfg, config_path)
        cfg.update_args(overrides)
    return cfg, weights_path


def fill_classes(cfg):
    """Weights that come without a config are COCO's, those with keypoints of its people, unless classes were given."""
    if not cfg.DATA.CLASS_NAMES and cfg.MODE_KEYPOINT:
        cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("person",), (1,)
        if not cfg.DATA.KEYPOINT_NAMES:
            cfg.DATA.KEYPOINT_NAMES, cfg.DATA.KEYPOINT_EDGES = data.COCO_KEYPOINT_NAMES, data.COCO_KEYPOINT_EDGES
    elif not cfg.DATA.CLASS_NAMES:
        cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = tuple(data.COCO_CLASS_NAMES), tuple(data.COCO_CATEGORY_IDS)
    elif not cfg.DATA.CATEGORY_IDS:
        cfg.DATA.CATEGORY_IDS = tuple(range(1, len(cfg.DATA.CLASS_NAMES) + 1))


def load_network(cfg, weights_path):
    """Returns: `inference.predictor.Predictor`, of a config that is not finalized"""
    finalize_configs(cfg, is_training=False)
    return load_predictor(cfg, weights_path)


class Detector:
    """
    A network with its weights, ready to be called on images.

    Args:
        load: a run's folder, a checkpoint or a weight file; without a `config.json` beside it, COCO's classes are
            assumed unless `config` gives DATA.CLASS_NAMES, with MODE_KEYPOINT the class person and its keypoints
        config: KEY=VALUE or @FILE words, or a single one, which override the run's config

    Raises:
        UserError: naming what cannot be used
    """

    def __init__(self, load: Union[str, os.PathLike], config: Union[str, Sequence[str]] = ()) -> None:
        overrides = [config] if isinstance(config, str) else list(config)
        self.cfg, self._weights_path = read_config(os.fspath(load), overrides)
        fill_classes(self.cfg)
        with common.quiet_log():
            self.predict = load_network(self.cfg, self._weights_path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the labels 1..N"""
        return tuple(self.cfg.DATA.CLASS_NAMES)

    @overload
    def __call__(self, images: Image) -> Detections: ...

    @overload
    def __call__(self, images: Sequence[Image]) -> list[Detections]: ...

    def __call__(self, images):
        """
        Args:
            images: one image, or a list of them: uint8 (h, w, 3) arrays in BGR, or paths; a list goes through the
                network in batches of TEST.IMS_PER_BATCH

        Returns:
            Detections, or a list of them

        Raises:
            UserError: for what is no image
        """
        if not isinstance(images, (list, tuple)):
            return self([images])[0]
        images = [_as_image(image) for image in images]
        size = self.cfg.TEST.IMS_PER_BATCH
        return [detections for i in range(0, len(images), size)
                for detections in detect_batch(self.predict, images[i:i + size], self.cfg)]

    def track(self, frames: Iterable[Image]) -> Iterator[Detections]:
        """
        Follow objects from frame to frame, as TEST.TRACK_IOU and TEST.TRACK_LOST say.

        Args:
            frames: images one after the other, of one size

        Yields:
            Detections of each, with `track_ids`
        """
        tracker = make_tracker(self.cfg)
        for frame in frames:
            yield tracker.update(self(frame))

    def stages(self, image: Image) -> Stages:
        """
        What the network thinks on its way to the detections. The first call loads the network once more.

        Args:
            image: uint8 (h, w, 3) in BGR, or a path
        """
        with common.quiet_log():
            return self._stage_network(_as_image(image))

    @functools.cached_property
    def _stage_network(self):
        return StageNetwork(self.cfg, self._weights_path)


def _as_image(image):
    """Returns: the image as an array, read if it is a path"""
    if isinstance(image, (str, os.PathLike)):
        return data.load_image(os.fspath(image))
    if not isinstance(image, np.ndarray):
        raise UserError(f"an image is of type {type(image).__name__}; "
                        "give a uint8 (h, w, 3) array in BGR order, or a path")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"an image has shape {image.shape}; give (h, w, 3) in BGR order, as cv2.imread does, and "
                        "several images as a list")
    if image.dtype != np.uint8:
        raise UserError(f"an image has dtype {image.dtype}; give uint8 in 0..255, as cv2.imread does")
    return image
