"""What tests of the training data share."""
import common  # noqa: F401

import pytest

from config import new_config
from data import dataflow


@pytest.fixture
def cfg(tmp_path):
    """Of small images in `tmp_path`, prepared in this process"""
    cfg = new_config()
    cfg.DATA.BASEDIR, cfg.DATA.NUM_WORKERS = str(tmp_path), 0
    cfg.PREPROC.TRAIN_SHORT_EDGE_SIZE, cfg.PREPROC.MAX_SIZE = (40, 70), 120
    cfg.MRCNN.GT_RESOLUTION = 14
    return cfg


@pytest.fixture
def warnings(monkeypatch):
    """The lines that the dataflow prints"""
    lines = []
    monkeypatch.setattr(dataflow.logger, "warn", lines.append)
    return lines
