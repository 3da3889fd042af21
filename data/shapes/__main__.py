"""Renders the shapes data set: `python -m data.shapes --out datasets/shapes --train 2000 --val 200 --seed 0`."""
import argparse

import common
from common import UserError

from data.shapes.render import NUM_TRAIN, NUM_VAL, SEED, render_dataset


def main():
    parser = argparse.ArgumentParser(prog="python -m data.shapes", description="Render the shapes data set.")
    parser.add_argument("--out", required=True, help="folder, which is made")
    parser.add_argument("--train", type=int, default=NUM_TRAIN, help="training images")
    parser.add_argument("--val", type=int, default=NUM_VAL, help="validation images")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    if min(args.train, args.val) < 1 or args.seed < 0:
        raise UserError("--train and --val must be at least 1, --seed at least 0")
    render_dataset(args.out, args.train, args.val, args.seed)


if __name__ == "__main__":
    common.exit_on_user_error(main)
