"""What a prediction costs: the time of each stage, the operations of the network, the memory of the process."""
import resource
import statistics
import sys
import time

from common import QuietSessionCreator

import numpy as np
import tensorflow as tf
from tabulate import tabulate

import data
from data.batch import pad_batch
from inference.detect import detect_prepared, prepare
from inference.detections import detections_to_coco
from inference.stream import detect_stream

STAGES = ("decode", "resize", "network", "encode")


def measure(detector, paths, rounds):
    """
    Time each stage of a prediction by itself, and the whole, where stages overlap.

    Args:
        detector (inference.detector.Detector)
        paths (list[str]): image files, taken in turns
        rounds (int): batches of TEST.IMS_PER_BATCH to time

    Returns:
        dict: "stages", of STAGES to lists of seconds an image; "all", seconds an image from files to COCO results, in
        one stream; "detections" of an image; "gflop" of the network for an image; "peak_gflops", convolutions that this
        machine does in a second at best; "peak_gib" of the process
    """
    cfg, batch = detector.cfg, detector.cfg.TEST.IMS_PER_BATCH
    paths = [paths[i % len(paths)] for i in range(batch * rounds)]
    _time_stages(detector, paths[:batch])    # the first run of a shape is slower
    stages = {stage: [] for stage in STAGES}
    for i in range(0, len(paths), batch):
        for stage, seconds in _time_stages(detector, paths[i:i + batch]).items():
            stages[stage].append(seconds / batch)

    def finish(path, _, detections):
        return detections_to_coco(path, detections, cfg.DATA.CATEGORY_IDS)

    start = time.perf_counter()
    results = [result for _, result in detect_stream(detector.predict, paths, cfg, data.load_image, finish)]
    whole = (time.perf_counter() - start) / len(paths)
    gib = _peak_gib()    # of the prediction, not of what counts its operations
    return dict(stages=stages, all=whole, detections=statistics.mean(map(len, results)),
                gflop=_count_network_flops(detector, paths[:batch]) / 1e9 / batch, peak_gflops=_convolution_peak(),
                peak_gib=gib)


def describe(measured):
    """Args: measured (dict): of `measure`. Returns: str, a table and a line"""
    medians = {stage: statistics.median(seconds) for stage, seconds in measured["stages"].items()}
    rate = measured["gflop"] / medians["network"]
    rows = [[stage, 1e3 * seconds] for stage, seconds in [*medians.items(), ("all, overlapping", measured["all"])]]
    return (tabulate(rows, ["stage", "ms an image"], "github", floatfmt=".1f")
            + f"\n{1 / measured['all']:.2f} images/s with {measured['detections']:.0f} detections an image; the "
            f"network does {measured['gflop']:.0f} GFLOP an image at {rate:.0f} GFLOP/s, "
            f"{100 * rate / measured['peak_gflops']:.0f} % of what convolutions reach here; "
            f"{measured['peak_gib']:.2f} GiB at most")


def _peak_gib():
    """Returns: float, the largest resident memory that this process has had, in GiB"""
    unit = 1 if sys.platform == "darwin" else 2 ** 10    # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2 ** 30


def _time_stages(detector, paths):
    """Returns: dict of STAGES to the seconds that they took for a batch of image files, one stage after the other"""
    times = [time.perf_counter()]

    def lap(result):
        times.append(time.perf_counter())
        return result

    images = lap([data.load_image(path) for path in paths])
    prepared = lap([prepare(image, detector.cfg) for image in images])
    results = lap(detect_prepared(detector.predict, prepared, [image.shape[:2] for image in images], detector.cfg))
    lap([detections_to_coco(path, detections, detector.cfg.DATA.CATEGORY_IDS)
         for path, detections in zip(paths, results)])
    return dict(zip(STAGES, np.diff(times).tolist()))


# operations ---------------------------------------------------------------------------------------------------------
def count_flops(sess, feed):
    """
    Floating-point operations of the convolutions, transposed convolutions and matrix products of a session's graph in
    one run of inference. A multiplication and an addition count as two. All else is left out: biases, norms,
    activations, pooling, RoIAlign and NMS.

    TensorFlow's own profiler misses convolutions that were fused with what follows them.

    Args:
        sess (tf.Session)
        feed (dict): placeholders, or their names, to arrays

    Returns:
        int
    """
    with sess.graph.as_default():
        flops = [_flops(op) for op in sess.graph.get_operations()]
        return sum(map(int, sess.run([x for x in flops if x is not None], feed)))


def _flops(op):
    """Returns: int64 scalar tensor, None for an op that does not count"""
    # each of `values` is multiplied with as many weights as the product of `fan_in`
    if op.type in ("MatMul", "_FusedMatMul", "BatchMatMulV2"):
        values = op.outputs[0]
        transposed = op.get_attr("adj_y" if op.type == "BatchMatMulV2" else "transpose_b")
        fan_in = tf.shape(op.inputs[1], out_type=tf.int64)[-1 if transposed else -2]
    elif op.type in ("Conv2D", "_FusedConv2D", "Conv2DBackpropInput"):
        values = op.inputs[2] if op.type == "Conv2DBackpropInput" else op.outputs[0]
        fan_in = tf.shape(op.inputs[1], out_type=tf.int64)[:3]
    else:
        return None
    return 2 * tf.size(values, out_type=tf.int64) * tf.reduce_prod(fan_in)


def _count_network_flops(detector, paths):
    """Returns: int, operations of the network on a batch of image files"""
    views = zip(*(prepare(data.load_image(path), detector.cfg) for path in paths))
    feeds = [dict(zip(("images:0", "image_sizes:0"), pad_batch(images))) for images in views]
    return sum(count_flops(detector.predict.sess, feed) for feed in feeds)


def _convolution_peak(channels=256, height=200, width=272, repeats=5):
    """
    Returns: float, GFLOP/s of the fastest of some 3 x 3 convolutions in float32, as large as the largest of the network
    """
    with tf.Graph().as_default(), QuietSessionCreator().create_session() as sess:
        x = tf.random.stateless_normal([1, height, width, channels], [0, 0])
        kernel = tf.random.stateless_normal([3, 3, channels, channels], [0, 1])
        x, kernel = (tf.compat.v1.placeholder_with_default(value, value.shape) for value in sess.run([x, kernel]))
        convolve = sess.make_callable(tf.nn.conv2d(x, kernel, 1, "SAME").op)
        convolve()
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            convolve()
            seconds.append(time.perf_counter() - start)
    return 2 * 9 * channels ** 2 * height * width / min(seconds) / 1e9
