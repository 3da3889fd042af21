"""
The training dataflow: from records of images to padded batches, prepared in worker processes.

    Order -> _Workers (TrainMapper, Replacing) -> _Samples -> _Batches -> TrainDataFlow

Every image travels with its place in the order and with the seed of its random choices, and what takes the place of a
bad file follows from them. So the stream of batches is the same whatever the number of workers, can be entered at any
batch, and can be dealt out to any number of processes.
"""
import atexit
import contextlib
import dataclasses
import gc
import heapq
import itertools
import signal

from common import UserError

import numpy as np
from tensorpack.dataflow import DataFlowTerminated, MapData, MultiProcessMapData, ProxyDataFlow
from tensorpack.utils import logger

from data.augment import make_policy
from data.batch import collate
from data.flat_records import (
    FlatRecords,
    records_with_keypoints,
    records_with_masks,
    records_with_objects,
    without_difficult,
)
from data.grouping import Order, aspect_ratios
from data.mapper import TrainMapper
from data.replacement import Failure, Replacing
from data.workers import prepare_worker

MAX_BAD_SHARE = 0.1      # of the image files; beyond it training stops
MIN_BAD_FILES = 20       # before the share counts, unless all files have been seen


def get_train_dataflow(cfg, datasets, first_batch=0, rank=0, num_ranks=1, earlier_batches=()):
    """
    The endless stream of training batches, or of several such processes the part of one of them.

    `reset_state` starts the worker processes; call it before a TensorFlow session exists.

    Args:
        cfg (AttrDict)
        datasets (list[Dataset]): joined
        first_batch (int): how many batches a training that is resumed took of this stream before
        rank (int), num_ranks (int): this process takes every `num_ranks`-th batch, from number `rank` on
        earlier_batches (list of (int, int)): sizes of batches that the training took before all of these, and how many
            of each it took. The stream goes on behind them: no image of a pass comes twice, and none is left out.

    Returns:
        DataFlow of the fields of `Batch`, as lists. gt_masks only with MODE_MASK, for which objects without a mask are
        left out; gt_keypoints only with MODE_KEYPOINT, for which DATA.FILTER_EMPTY leaves out images without labelled
        keypoints. It ends with DataFlowTerminated after an exception, which is then its attribute `error`.

    Raises:
        UserError: there is no image to train on, too many objects lack a mask, or a data set has no keypoints
    """
    skeletons = [dataset.require_skeleton() for dataset in datasets] if cfg.MODE_KEYPOINT else [None]
    records = _training_records(cfg, datasets)
    ratios = aspect_ratios(records.sizes)
    mapper = TrainMapper(records, make_policy(cfg.PREPROC), cfg.MRCNN.GT_RESOLUTION if cfg.MODE_MASK else None,
                         skeletons[0])
    prepare = Replacing(mapper.make_sample, records, ratios)
    batch_size, num_workers = cfg.TRAIN.IMS_PER_GPU, cfg.DATA.NUM_WORKERS
    flow = Order(ratios, cfg.TRAIN.SEED, batch_size, first_batch * num_ranks + rank, num_ranks, earlier_batches)
    if num_workers > 0:
        # enough in flight to keep all workers busy while a batch is collected; each image takes a few MB
        flow = _Workers(flow, num_workers, prepare, buffer_size=max(4 * num_workers, 2 * batch_size))
    else:
        flow = MapData(flow, lambda datapoint: prepare(datapoint)[1])
    return TrainDataFlow(_Batches(_Samples(flow, len(records)), batch_size))


def _training_records(cfg, datasets):
    if not cfg.DATA.USE_DIFFICULT:
        datasets = [dataclasses.replace(dataset, records=without_difficult(FlatRecords.of(dataset.records)))
                    for dataset in datasets]
    records = FlatRecords.join([records_with_masks(dataset) if cfg.MODE_MASK else FlatRecords.of(dataset.records)
                                for dataset in datasets])
    if cfg.DATA.FILTER_EMPTY:
        records = records_with_keypoints(records) if cfg.MODE_KEYPOINT else records_with_objects(records)
    if not len(records):
        files = ", ".join(dataset.annotation_file for dataset in datasets)
        what = "keypoints" if cfg.MODE_KEYPOINT else "objects"
        raise UserError(f"{files}: no image to train on; annotate {what}, or set DATA.FILTER_EMPTY=False to train "
                        "on images without any")
    return records


def _kill(processes):
    for process in processes:
        process.kill()


class _Workers(MultiProcessMapData):
    """
    Maps [index, number of a record, seed] in worker processes and yields the values in the order of the indices. The
    processes are forked, so they share the records.

    The workers leave no orphans, and their death is noticed.
    """

    class _Worker(MultiProcessMapData._Worker):
        def run(self):
            prepare_worker()
            # what is sent to all processes of a job asks the training to stop, which needs data until then
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            super().run()

    def _create_worker(self, id, pipename, hwm):
        # A socket that replies drops what exceeds its limit, and counts late, so small images could get lost and the
        # stream wait forever. No limit is needed: what is in flight is bounded by the requests.
        no_limit = 0
        # tensorpack's worker "0" would warn that it lacks the module prctl, which is not needed
        return self._Worker(b"worker-" + id, self.map_func, pipename, no_limit)

    def _start_processes(self):
        # tensorpack's would warn that processes are forked, which is safe before a TensorFlow session exists
        gc.freeze()    # a worker that looks for garbage would copy all that it shares
        for process in self._procs:
            process.daemon = True
            process.start()
        gc.unfreeze()
        # before multiprocessing waits for them at the end of this process, having asked by SIGTERM
        atexit.register(_kill, self._procs)

    def reset_state(self):
        self._early = []    # a heap of [index, value] that overtook others
        self._next_index = 0
        super().reset_state()

    def get_data_non_strict(self):
        while True:
            while not self._early or self._early[0][0] != self._next_index:
                heapq.heappush(self._early, self._recv())
            self._send(next(self._iter))    # one for each that leaves, so what is in memory never grows
            self._next_index += 1
            yield heapq.heappop(self._early)[1]

    def _recv(self):
        self._check_alive()    # the others may go on without the one that died
        while not self.socket.poll(timeout=2000):
            self._check_alive()
        return super()._recv()

    def __del__(self):
        # as tensorpack's, which prints a line
        with contextlib.suppress(Exception):
            _kill(self._procs)
            self.socket.close(0)
            self.context.destroy(0)

    def _check_alive(self):
        for process in self._procs:
            if process.exitcode is not None:
                raise UserError(f"a process that prepares training images ended with status {process.exitcode}; "
                                "when memory is short (status -9), lower DATA.NUM_WORKERS")


class _Samples(ProxyDataFlow):
    """From `Prepared` to `Sample`. Names each bad file once, and raises UserError when there are too many."""

    def __init__(self, ds, num_files):
        super().__init__(ds)
        self._num_files = num_files

    def reset_state(self):
        super().reset_state()
        self._is_seen = np.zeros(self._num_files, dtype=bool)
        self._problems = set()

    def __iter__(self):
        for prepared in self.ds:
            if isinstance(prepared, Failure):
                raise RuntimeError("an error in a process that prepares training images\n" + prepared.traceback)
            self._is_seen[prepared.tried] = True
            for problem in prepared.problems:
                self._add(problem)
            self._check_share()
            if prepared.sample is None:
                raise UserError(f"{len(prepared.tried)} training images of like shape cannot be used, one after the "
                                f"other; the first is {prepared.problems[0]}")
            yield prepared.sample

    def _add(self, problem):
        if problem not in self._problems:
            self._problems.add(problem)
            logger.warn(f"another image takes the place of {problem}")

    def _check_share(self):
        num_bad, num_seen = len(self._problems), self._is_seen.sum()
        is_enough = num_bad >= MIN_BAD_FILES or num_seen == self._num_files
        if is_enough and num_bad > MAX_BAD_SHARE * num_seen:
            raise UserError(f"{num_bad} of the first {num_seen} training images cannot be used, more than "
                            f"{MAX_BAD_SHARE:.0%}; replace these files, or take them out of the annotations; one is "
                            f"{min(self._problems)}")


class _Batches(ProxyDataFlow):
    """Stacks every `batch_size` `Sample`s to a batch."""

    def __init__(self, ds, batch_size):
        super().__init__(ds)
        self._batch_size = batch_size

    def __iter__(self):
        samples = iter(self.ds)
        while group := list(itertools.islice(samples, self._batch_size)):
            yield [field for field in collate(group) if field is not None]


class TrainDataFlow(ProxyDataFlow):
    """
    The stream of batches, which remembers why it ended.

    Attributes:
        error (Exception): None as long as all is well
    """

    error = None

    def __iter__(self):
        try:
            yield from self.ds
        except Exception as e:
            self.error = e
            raise DataFlowTerminated from e
