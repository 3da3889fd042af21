"""
What groups of channels cost: `python -m benchmarks.grouped`, with TF_ENABLE_ONEDNN_OPTS=0 or 1 on a CPU.

Each 3x3 convolution of ResNeXt-101 at 800 x 1088, B = 1, beside a plain one with as many operations on the same map,
which has fewer channels. Both are taken in turns, and the fastest of each counts.
"""
import time
from typing import NamedTuple

from common import ArgumentParser, QuietSessionCreator, UserError, exit_on_user_error

import tensorflow as tf
from tabulate import tabulate
from tensorflow.python.framework.test_util import IsMklEnabled
from tensorpack import tfv1

from modeling.grouped import grouped_conv2d
from training import cpu_gradients

HEIGHT, WIDTH = 800, 1088
NETWORKS = {"32x8d": (32, 8), "64x4d": (64, 4)}
BLOCKS = (3, 4, 23, 3)
PARTS = ("forward", "input's gradient", "kernel's gradient")


class Layer(NamedTuple):
    """
    A 3x3 convolution.

    Attributes:
        height, width (int): of its output
        channels (int): in and out
        groups, stride (int)
        count (int): how often the network has it
    """

    height: int
    width: int
    channels: int
    groups: int
    stride: int
    count: int

    def plain_channels(self):
        """Returns: int, channels of the plain convolution with as many operations"""
        return round(self.channels / self.groups ** 0.5)

    def ratio_of_operations(self):
        """Returns: float, operations of this layer over those of the plain one, which differ by rounding"""
        return self.channels ** 2 / self.groups / self.plain_channels() ** 2


def layers(groups, width):
    """Returns: list[Layer], of ResNeXt-101"""
    found = []
    for stage, blocks in enumerate(BLOCKS):
        shape = HEIGHT // (4 << stage), WIDTH // (4 << stage), groups * width << stage, groups
        if stage > 0:
            found.append(Layer(*shape, stride=2, count=1))
        found.append(Layer(*shape, stride=1, count=blocks - (stage > 0)))
    return found


def operations(layer, channels, convolve):
    """Returns: list of an operation for each of PARTS, as a training has them"""
    def variable(name, *shape):
        return tfv1.get_variable(f"{name}{channels}", shape, initializer=tfv1.random_normal_initializer())

    x = variable("x", 1, layer.height * layer.stride, layer.width * layer.stride, channels)
    kernel = variable("kernel", 3, 3, channels // (layer.groups if convolve is grouped_conv2d else 1), channels)
    with cpu_gradients.convolutions():
        y = convolve(x.read_value(), kernel.read_value(), layer.stride, "SAME")
    gradients = tfv1.gradients(y, [x, kernel], variable("dy", *y.shape))
    return [tensor.op for tensor in (y, *gradients)]


def measure(layer, turns):
    """Returns: dict of each of PARTS to milliseconds of the plain convolution and of the one in groups"""
    with tf.Graph().as_default():
        both = [operations(layer, layer.plain_channels(), tf.nn.conv2d),
                operations(layer, layer.channels, grouped_conv2d)]
        with tfv1.Session(config=QuietSessionCreator().config) as sess:
            sess.run(tfv1.global_variables_initializer())
            calls = {part: [sess.make_callable(op) for op in pair] for part, pair in zip(PARTS, zip(*both))}
            found = {part: _fastest(pair, turns) for part, pair in calls.items()}
    return {part: (plain * layer.ratio_of_operations(), ours) for part, (plain, ours) in found.items()}


def _fastest(calls, turns):
    """Returns: the fewest milliseconds of each call, which take turns behind a first one"""
    times = [[_milliseconds(call) for call in calls] for _ in range(turns + 1)]
    return [min(of_call) for of_call in zip(*times[1:])]


def _milliseconds(call):
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def main():
    parser = ArgumentParser(
        prog="python -m benchmarks.grouped",
        description="Time the convolutions of ResNeXt-101 beside plain ones with as many operations.")
    parser.add_argument("--turns", type=int, default=8, help="how often each is timed")
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    args = parser.parse_args()
    if args.turns < 1:
        raise UserError("--turns must be 1 or more")
    tfv1.disable_eager_execution()
    print("with oneDNN" if IsMklEnabled() else "without oneDNN")
    for name in args.network:
        rows, sums = [], {part: [0.0, 0.0] for part in PARTS}
        for layer in layers(*NETWORKS[name]):
            found = measure(layer, args.turns)
            rows.append([f"{layer.height} x {layer.width} x {layer.channels}", layer.stride, layer.count,
                         *(_cell(*found[part]) for part in PARTS)])
            sums = {part: [s + layer.count * t for s, t in zip(sums[part], found[part])] for part in PARTS}
        rows.append(["all", "", sum(BLOCKS), *(_cell(*sums[part]) for part in PARTS)])
        print(f"\n{name}: ms of the plain convolution, ms in groups, ratio")
        print(tabulate(rows, ["output", "stride", "layers", *PARTS], tablefmt="github"), flush=True)


def _cell(plain, ours):
    return f"{plain:.1f} {ours:.1f} {ours / plain:.2f}"


if __name__ == "__main__":
    exit_on_user_error(main)
