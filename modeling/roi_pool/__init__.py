"""
RoI pooling: one file for each kind, and the line that chooses.

A kind is a tuple of plain numbers. It has

    surround(features, padding, stride): a level that RoIs are pooled from, as the kind wants it, in float32
    pool(level, boxes, image_index, size): float32 (R, size, size, C), of boxes in pixels of the level
"""
import common  # noqa: F401  (prepares TensorFlow before anything else imports it)

from modeling.roi_pool.align import RoIAlign
from modeling.roi_pool.crop import RoICrop
from modeling.roi_pool.pool import RoIPool

KINDS = {"RoIAlign": lambda cfg: RoIAlign(cfg.POOL_SAMPLES, cfg.POOL_SHIFTED),
         "RoIPool": lambda cfg: RoIPool(),
         "RoICrop": lambda cfg: RoICrop(cfg.POOL_SAMPLES)}


def make_pooling(cfg):
    """Args: cfg (AttrDict): the FRCNN part of a config. Returns: the kind of pooling of all heads"""
    return KINDS[cfg.POOLING](cfg)
