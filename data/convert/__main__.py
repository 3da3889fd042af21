"""Converts a data set to COCO's format: `python -m data.convert FORMAT SOURCE TARGET`."""
import argparse
import os
import shlex

import common
from common import ArgumentParser, UserError

import tabulate

from data.convert.formats import FORMATS, read
from data.convert.left_out import LeftOut
from data.convert.source import Source
from data.convert.write import convert
from data.records import MAX_BAD_SHARE


def parse_args():
    parser = ArgumentParser(
        prog="python -m data.convert", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Convert a data set to COCO's format, and say what is left out. The source stays as it is.",
        epilog="examples:\n"
               "  python -m data.convert yolo ~/export ~/mydata\n"
               "  python -m data.convert labelme ~/annotated ~/mydata --val 0.2 --copy")
    parser.add_argument("format", choices=list(FORMATS), metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("source", metavar="SOURCE", help="folder with the annotations and the images")
    parser.add_argument("target", metavar="TARGET", help="folder that is made: annotations and images of each split")
    parser.add_argument("--val", type=float, default=0.1, metavar="SHARE",
                        help="of the images that become val, where the source has no val (%(default)s); 0: none")
    parser.add_argument("--copy", action="store_true", help="copy the images; without it TARGET has links to them")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result in TARGET")
    args = parser.parse_args()
    if not 0 <= args.val < 1:
        raise UserError(f"--val {args.val} must be a share from 0 to less than 1")
    return args


def describe(written, target):
    """Returns: str, the table of what was written, and how to train on it"""
    rows = [[split, written.num_images[split], written.num_objects[split], written.num_masks[split]]
            for split in written.num_images]
    table = tabulate.tabulate(rows, ["split", "images", "objects", "with masks"])
    train = "train" if "train" in written.num_images else next(iter(written.num_images))
    val = next((split for split in ("val", "test") if split in written.num_images), "()")
    words = [f"DATA.BASEDIR={shlex.quote(target)}", f"DATA.TRAIN={train}", f"DATA.VAL={shlex.quote(val)}"]
    num_objects, num_masks = written.num_objects[train], written.num_masks[train]
    if num_objects - num_masks > MAX_BAD_SHARE * num_objects:
        words.append("MODE_MASK=False")
    return (f"{table}\n\n{len(written.class_names)} classes. To train on them:\n"
            f"./train.py --logdir train_log/mine --config {' '.join(words)}")


def main():
    args = parse_args()
    source, left_out = Source(args.source), LeftOut()
    written = convert(read(args.format, source, left_out), source, args.target, left_out, args.val, args.copy,
                      args.overwrite)
    if left_out.counts:
        print(left_out.table() + "\n")
    print(describe(written, os.path.abspath(os.path.expanduser(args.target))))


if __name__ == "__main__":
    common.exit_on_user_error(main)
