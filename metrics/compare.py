"""
Compares two detectors on one data set: `python -m metrics.compare A.json B.json ANNOTATIONS`.

A command, which nothing imports: it puts together what is compared, what is drawn and where it is written.
"""
import argparse
import os

import common
from common import ArgumentParser, UserError

from config import new_config
from data.registry import load_datasets
from metrics.bootstrap import DRAWS
from metrics.report.compared import class_rows, compare_results, mistake_rows, overall_rows, write_comparison
from metrics.report.worst import Drawing
from metrics.results_file import read_results
from metrics.tables import table
from viz.mistakes import Panel, draw_beside_truth

CLASSES = 40    # that are printed; the page has all


def parse_args():
    parser = ArgumentParser(
        prog="python -m metrics.compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Put two models side by side: their average precision overall, by class and by size, with "
                    "intervals by bootstrap over images, and the images where they differ most.",
        epilog="examples:\n"
               "  python -m metrics.compare before.json after.json ~/coco/annotations/instances_val2017.json\n"
               "  python -m metrics.compare before.json after.json val2017 --config DATA.BASEDIR=~/coco")
    parser.add_argument("first", metavar="A.json", help="COCO results, as predict.py --evaluate writes them")
    parser.add_argument("second", metavar="B.json", help="those of the other model")
    parser.add_argument("annotations", metavar="ANNOTATIONS",
                        help="the json file of annotations, or a data set as DATA.VAL names it")
    parser.add_argument("--output", metavar="DIR", default="compared", help="folder of the page (%(default)s)")
    parser.add_argument("--kind", choices=("bbox", "segm"), default="bbox", help="boxes or masks (%(default)s)")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="of the bootstrap (%(default)s)")
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change the config: KEY=VALUE, or @FILE with such lines; config.py lists the keys")
    args = parser.parse_args()
    if args.draws < 1:
        raise UserError(f"--draws {args.draws} must be at least 1")
    return args


def _load(args):
    """Returns: Dataset"""
    cfg = new_config()
    cfg.update_args(args.config)
    name = os.path.expanduser(args.annotations)
    # a path is meant from here, as a shell completes it, and not from DATA.BASEDIR
    name = os.path.abspath(name) if os.path.isfile(name) or os.sep in name else name
    datasets = load_datasets(cfg, [name])
    if len(datasets) > 1:
        raise UserError(f"{args.annotations} stands for several data sets; name one of them")
    if not datasets[0].has_ground_truth:
        raise UserError(f"data set {datasets[0].name} has no ground truth, so there is nothing to compare with")
    return datasets[0]


def short_names(paths):
    """Returns: two names for paths of files: the first part of each that the other has not"""
    paths = [os.path.abspath(path) for path in paths]
    if len(set(paths)) == 1:
        return ["A", "B"]
    common_folder = os.path.commonpath(paths)
    return [os.path.relpath(path, common_folder).split(os.sep)[0].removesuffix(".json") for path in paths]


def main():
    args = parse_args()
    dataset = _load(args)
    paths = args.first, args.second
    pair = compare_results([read_results(path, dataset, args.kind) for path in paths], short_names(paths), dataset,
                           args.kind, args.draws)
    for rows in (overall_rows(pair), class_rows(pair, dataset.class_names)[:CLASSES + 1], mistake_rows(pair)):
        header, *lines = [[str(cell) for cell in row] for row in rows]
        print(table(lines, header), end="\n\n")
    page = write_comparison(args.output, pair, dataset, Drawing(draw_beside_truth, Panel))
    print(f"The page is {page}")


if __name__ == "__main__":
    common.exit_on_user_error(main)
