"""Streams of training batches from the small data set of `coco_folder`."""
import itertools
import os
import pathlib

import numpy as np
import pytest
from tensorpack.dataflow import DataFlowTerminated

import data
from coco_folder import write


def start(cfg, content=None, **kwargs):
    """Write the content, unless it is there. Returns: a started dataflow"""
    if content is not None:
        write_to(cfg, content)
    flow = data.get_train_dataflow(cfg, data.load_datasets(cfg, ("train",)), **kwargs)
    flow.reset_state()
    return flow


def write_to(cfg, content):
    write(pathlib.Path(cfg.DATA.BASEDIR), content)


def take(flow, num_batches):
    return list(itertools.islice(flow, num_batches))


def image_ids(batches):
    return [int(i) for batch in batches for i in batch[2]]


def error_that_ends(flow, count):
    """Take `count` values, before which the stream ends. Returns: its error"""
    with pytest.raises(DataFlowTerminated):
        take(flow, count)
    return flow.error


def assert_equal_batches(found, expected):
    assert len(found) == len(expected)
    for batch, reference in zip(found, expected):
        for array, expected_array in zip(batch, reference):
            np.testing.assert_array_equal(array, expected_array)


def break_files(cfg, ids):
    """Cut the files of images in half."""
    for i in ids:
        path = f"{cfg.DATA.BASEDIR}/train/{i}.jpg"
        with open(path, "r+b") as f:
            f.truncate(os.path.getsize(path) // 2)
