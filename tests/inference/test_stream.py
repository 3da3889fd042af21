"""Threads around the network."""
import threading

import common

import numpy as np
import pytest

from fake_network import fake_predict
from inference.stream import detect_stream


def test_a_stream_keeps_its_order_and_names_what_cannot_be_loaded(small_config):
    small_config.TEST.IMS_PER_BATCH = 2

    def load(item):
        if item == 3:
            raise common.UserError("no image 3")
        return np.full((20 + item, 20, 3), item, np.uint8)

    stream = detect_stream(fake_predict([(0, 0, 9, 9)]), range(7), small_config, load,
                                      lambda item, image, found: (image.shape[0], len(found)))
    found = dict(stream)
    assert list(found) == list(range(7)) and str(found.pop(3)) == "no image 3"
    assert found == {item: (20 + item, 1) for item in (0, 1, 2, 4, 5, 6)}


def test_the_network_goes_on_while_results_are_finished(small_config):
    later = threading.Event()

    def predict(images, image_sizes):
        if images[0, 0, 0, 0] == 1:
            later.set()
        return fake_predict([])(images, image_sizes)

    def finish(item, image, found):
        return later.wait(60) if item == 0 else True

    stream = detect_stream(predict, range(2), small_config, lambda item: np.full((9, 9, 3), item, np.uint8), finish)
    assert [result for _, result in stream] == [True, True]


def test_images_are_read_while_the_network_works(small_config):
    read = threading.Event()

    def load(item):
        if item == 1:
            read.set()
        return np.full((9, 9, 3), item, np.uint8)

    def predict(images, image_sizes):
        assert read.wait(60)
        return fake_predict([])(images, image_sizes)

    assert len(list(detect_stream(predict, range(2), small_config, load, lambda *_: None))) == 2


def test_no_more_images_are_held_than_are_under_way(small_config):
    alive, most, lock = 0, 0, threading.Lock()

    class Image(np.ndarray):
        def __del__(self):
            nonlocal alive
            if self.base is None:
                return
            with lock:
                alive -= 1

    def load(item):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return np.zeros((9, 9, 3), np.uint8).view(Image)

    for _ in detect_stream(fake_predict([]), range(200), small_config, load, lambda *_: None):
        pass
    assert most <= 30


def test_a_network_that_fails_ends_the_stream(small_config):
    def predict(images, image_sizes):
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        list(detect_stream(predict, range(9), small_config, lambda _: np.zeros((9, 9, 3), np.uint8), lambda *_: None))
