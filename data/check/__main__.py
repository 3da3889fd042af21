"""
Finds what is wrong with data sets: `python -m data.check --config DATA.BASEDIR=~/mydata DATA.TRAIN=train DATA.VAL=val`.

A command, which nothing imports: it puts together what is checked, what is drawn and where it is written.
"""
import argparse
import os
import sys

import common
from common import ArgumentParser

from config import new_config
from data.check.checker import check
from data.check.gallery import Drawing
from data.check.kinds import KINDS
from data.check.page import write_page
from data.check.report import format_report, write_json
from viz.ground_truth import draw_ground_truth, draw_marked, of_record


def parse_args():
    parser = ArgumentParser(
        prog="python -m data.check", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Find what is wrong with data sets. The exit status is 1 when there are problems, 0 when there are "
                    "none, and 2 when a data set cannot be read as a whole.",
        epilog="examples:\n"
               "  python -m data.check ~/mydata/train ~/mydata/val --images --html checked\n"
               "  python -m data.check --config DATA.BASEDIR=~/coco DATA.TRAIN=train2017 DATA.VAL=val2017\n"
               "  python -m data.check ~/mydata/train --ignore object-tiny class-not-evaluated\n\n"
               "kinds of problems:\n" + "\n".join(f"  {name:22} {kind.title}" for name, kind in KINDS.items()))
    parser.add_argument("names", nargs="*", metavar="DATASET",
                        help="a data set, or FOLDER/NAME; the first is the one to train on. Without it those of "
                             "DATA.TRAIN and DATA.VAL are checked")
    parser.add_argument("--images", action="store_true", help="open all images too, in all cores")
    parser.add_argument("--html", metavar="DIR", help="write a page with pictures of every problem to DIR/index.html")
    parser.add_argument("--json", metavar="FILE", help="write all problems to a json file")
    parser.add_argument("--ignore", nargs="+", action="extend", default=[], metavar="KIND", choices=list(KINDS),
                        help="leave out problems of a kind")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    return parser.parse_args()


def read_config(args):
    """Returns: AttrDict, with the data sets that were named"""
    cfg = new_config()
    cfg.update_args(args.config)
    if args.names:
        # a path is meant from here, as a shell completes it, and not from DATA.BASEDIR
        names = [os.path.abspath(os.path.expanduser(name)) if os.sep in name else name for name in args.names]
        cfg.DATA.TRAIN, cfg.DATA.VAL = tuple(names[:1]), tuple(names[1:])
    return cfg


def _edges(dataset):
    return dataset.skeleton.edges if dataset.skeleton else ()


def _draw_objects(image, record, dataset):
    return draw_ground_truth(image, of_record(record, dataset.class_names), _edges(dataset))


def _draw_problem(image, record, dataset, bbox):
    return draw_marked(image, record, dataset.class_names, bbox, _edges(dataset))


def main():
    args = parse_args()
    cfg = read_config(args)
    checked = check(cfg, args.images).without(args.ignore)
    print(format_report(*checked))
    if args.json:
        write_json(args.json, checked.splits, checked.problems)
    if args.html:
        print(f"\nThe page is {write_page(args.html, checked, Drawing(_draw_objects, _draw_problem))}")
    sys.exit(1 if checked.problems else 0)


if __name__ == "__main__":
    common.exit_on_user_error(main)
