"""
How much data-parallel training sends: `python -m benchmarks.traffic`.

The gradients of all trained variables are averaged over N GPUs in each step. A ring all-reduce cuts them into N parts:
N - 1 times a GPU sends a part and adds the one it receives to its own, and N - 1 times it passes on a finished part.
So with G bytes of gradients

    bytes on the wire, of a GPU and step = 2 (N - 1) / N G      sent, and as many received at the same time
    seconds                              = 8 bytes / (10^9 r)   on links of r Gbit/s that do nothing else

G is 4 bytes a number, or 2 where the gradients are compressed to float16 on the way. Left out: the latency of the
2 (N - 1) rounds, which all-reduce pays for each message, and that communication overlaps with the gradients that are
still being computed. A message is the gradient of one variable before Horovod joins small ones. MB are 10^6 bytes.
"""
from common import ArgumentParser, UserError, exit_on_user_error

import tensorflow as tf
from tabulate import tabulate
from tensorpack import tfv1
from tensorpack.tfutils.tower import TrainTowerContext

from benchmarks.complexity import count_parameters
from config import finalize_configs, new_config
from training.model import TrainingModel

NETWORKS = {"R50-FPN Mask": (), "R101-FPN Mask": ("BACKBONE.RESNET_NUM_BLOCKS=(3,4,23,3)",)}
BYTES = {"float32": 4, "float16": 2}


def network_size(words=(), num_classes=80):
    """
    Args:
        words (list[str]): KEY=VALUE, as for `--config`
        num_classes (int): without the background

    Returns:
        dict of int: parameters, as `benchmarks.complexity.count_parameters` has it; trainable, those of them that are
        trained; messages, the trained variables
    """
    cfg = new_config()
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = tuple(map(str, range(num_classes))), tuple(range(1, num_classes + 1))
    cfg.update_args(list(words))
    finalize_configs(cfg, is_training=True)
    model = TrainingModel(cfg)
    with tf.Graph().as_default() as graph:
        inputs = [tfv1.placeholder(spec.dtype, spec.shape, spec.name) for spec in model.inputs()]
        with TrainTowerContext(""):
            model.build_graph(*inputs)
        trained = [v.shape.num_elements() for v in tfv1.trainable_variables()]
        return dict(parameters=count_parameters(graph), trainable=sum(trained), messages=len(trained))


def wire_bytes(gradient_bytes, num_gpus):
    """Returns: float, bytes that each of `num_gpus` GPUs sends for a ring all-reduce of `gradient_bytes`"""
    return 2 * (num_gpus - 1) / num_gpus * gradient_bytes


def wire_seconds(num_bytes, gbits):
    """Returns: float, seconds that `num_bytes` take on a link of `gbits` Gbit/s"""
    return 8 * num_bytes / (gbits * 1e9)


def size_table(sizes):
    """Args: sizes (dict): of a network's name to its `network_size`. Returns: str, a Markdown table"""
    rows = [[name, size["parameters"] / 1e6, size["trainable"] / 1e6, size["messages"],
             *(size["trainable"] * width / 1e6 for width in BYTES.values())] for name, size in sizes.items()]
    return tabulate(rows, ["network", "M parameters", "M trained", "messages", *(f"MB {kind}" for kind in BYTES)],
                    tablefmt="github", floatfmt=".1f")


def wire_table(sizes, gpus, links):
    """
    Args:
        sizes (dict): of a network's name to its `network_size`
        gpus (list[int]): how many take part
        links (list[float]): Gbit/s

    Returns:
        str, a Markdown table
    """
    rows = []
    for name, size in sizes.items():
        for kind, width in BYTES.items():
            for num_gpus in gpus:
                sent = wire_bytes(size["trainable"] * width, num_gpus)
                rows.append([name, kind, num_gpus, f"{sent / 1e6:.1f}",
                             *(f"{wire_seconds(sent, gbits):.4f}" for gbits in links)])
    return tabulate(rows, ["network", "sent as", "GPUs", "MB a GPU and step", *(f"s at {g:g} Gbit/s" for g in links)],
                    tablefmt="github", disable_numparse=True,
                    colalign=("left", "left", *["right"] * (2 + len(links))))


def main():
    parser = ArgumentParser(
        prog="python -m benchmarks.traffic",
        description="What data-parallel training of R50-FPN and R101-FPN Mask R-CNN sends in a step, by formula.")
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64, 512], metavar="N", help="how many take part")
    parser.add_argument("--links", type=float, nargs="+", default=[25, 100, 400], metavar="GBITS",
                        help="speeds of a GPU's link, in Gbit/s")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="change the config of both")
    args = parser.parse_args()
    if min(*args.gpus, *args.links) <= 0:
        raise UserError("--gpus and --links must be positive")
    sizes = {name: network_size([*words, *args.config]) for name, words in NETWORKS.items()}
    print(size_table(sizes), "", wire_table(sizes, args.gpus, args.links), sep="\n")


if __name__ == "__main__":
    exit_on_user_error(main)
