"""Threads around the network, so that it never waits for reading, resizing, encoding or writing."""
import collections
import concurrent.futures
import itertools
import sys

from common import UserError

import tqdm

import distributed
from inference.detect import detect_prepared, prepare

NUM_READERS = 4    # threads that read and resize images ahead of the network
NUM_WRITERS = 4    # threads that encode masks, find keypoints and draw behind it


def _ahead(function, items, num_threads, lookahead):
    """
    Yields: function(item) for each of items, in their order, computed in threads at most `lookahead` items ahead of the
        consumer; `items` are taken in the consumer's thread
    """
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        pending = collections.deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > lookahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # a consumer that stops early must not wait for what it no longer wants
            for future in pending:
                future.cancel()


def batches(items, size):
    """Yields: lists of `size` items, the last of which may be shorter"""
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


def detect_stream(predict, items, cfg, load, finish, follow=None):
    """
    Detect the objects in a stream of images, in batches of TEST.IMS_PER_BATCH. Images are read and resized in threads
    ahead of the network, and what it finds is finished in threads behind it, so that it never waits for either.

    Args:
        predict (callable): of `inference.predictor.load_predictor`
        items (iterable): that stand for images, of any kind
        cfg: PREPROC, TEST and DATA
        load (callable): from an item to its image, uint8 (h, w, 3); may raise UserError
        finish (callable): from an item, its image and its Detections to a result; may raise UserError
        follow (callable): from the Detections of one image after the other, in order, to those that `finish` takes;
            None leaves them as they are

    Yields:
        (item, result) for each of `items` in order; (item, UserError) for one that cannot be loaded or finished
    """
    def read(item):
        try:
            image = load(item)
        except UserError as e:
            return item, e, None
        return item, image, prepare(image, cfg)

    def detect(batch):
        loaded = [(image, prepared) for _, image, prepared in batch if prepared is not None]
        detections = iter(detect_prepared(predict, [prepared for _, prepared in loaded],
                                          [image.shape[:2] for image, _ in loaded], cfg) if loaded else ())
        return [(item, image, None if prepared is None else next(detections)) for item, image, prepared in batch]

    def end(detected):
        item, image, detections = detected
        if detections is None:
            return item, image
        try:
            return item, finish(item, image, detections)
        except UserError as e:
            return item, e

    size = cfg.TEST.IMS_PER_BATCH
    num_networks = getattr(predict, "num_devices", 1)
    loaded = _ahead(read, items, NUM_READERS, size * num_networks + NUM_READERS)
    detected = _ahead(detect, batches(loaded, size), num_networks, num_networks)
    in_order = itertools.chain.from_iterable(detected)
    if follow is not None:
        in_order = ((item, image, None if found is None else follow(found)) for item, image, found in in_order)
    return _ahead(end, in_order, NUM_WRITERS, size + NUM_WRITERS)


def progress_bar(total, name, initial=0):
    """Returns: a tqdm bar on stderr with the time left; silent where stderr is no terminal, and on all ranks but the
    chief; `initial` images were done before"""
    return tqdm.tqdm(total=total, initial=initial, desc=name, unit="image", file=sys.stderr, mininterval=0.5,
                     disable=None if distributed.is_chief() else True,
                     dynamic_ncols=True, leave=False)
