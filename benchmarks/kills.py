"""
What is left of a training that is killed again and again: `python -m benchmarks.kills`.

A shortened demo gets SIGKILL at random moments, `--kills` times, and goes on with `--resume` after each. Behind every
kill all of its checkpoints are read, checksums included, and its worker processes must be gone. Then the same demo runs
in quiet: both runs should have the same step, the same AP and the same weights.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

from common import ArgumentParser, UserError, exit_on_user_error

import numpy as np
from tabulate import tabulate

from weights.checkpoints import is_whole, list_checkpoints
from weights.files import read_weights

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHORTENED = ("@configs/demo.cfg", "TRAIN.LR_SCHEDULE=(350, 410, 433)", "TRAIN.STEPS_PER_EPOCH=10")
ORPHANS_END = 30    # seconds for the workers of a killed training to end by themselves


def start(logdir, *args):
    """Returns: Popen, a training in a session of its own, which writes its log to `logdir`.log"""
    with open(f"{logdir}.log", "a", encoding="utf-8") as log:
        return subprocess.Popen([sys.executable, "train.py", "--logdir", logdir, *args], cwd=ROOT, stdout=log,
                                stderr=subprocess.STDOUT, start_new_session=True)


def finish(logdir, *args):
    """Train to the end. Raises: UserError: it fails"""
    if start(logdir, *args).wait():
        raise UserError(f"the training failed, see {logdir}.log")


def kill(process, seconds):
    """
    Kill a training after some seconds, and wait until its workers have ended.

    Returns:
        bool, False where the training ended before

    Raises:
        UserError: its workers live on
    """
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + ORPHANS_END
    while _group_exists(process.pid):
        if time.monotonic() > deadline:
            raise UserError(f"processes of the killed training {process.pid} live on after {ORPHANS_END} s")
        time.sleep(0.1)
    return True


def _group_exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def check_checkpoints(logdir):
    """Returns: list of the steps of the checkpoints in a folder. Raises: UserError: one cannot be read"""
    paths = list_checkpoints(logdir)
    for path in paths:
        reason = is_whole(path)
        if reason:
            raise UserError(f"{path} cannot be read: {reason}")
    return sorted(int(path.rpartition("-")[2]) for path in paths)


def result(logdir):
    """Returns: (last step, box AP, mask AP)"""
    with open(os.path.join(logdir, "eval.json"), encoding="utf-8") as f:
        (report,) = json.load(f).values()
    return report["step"], report["bbox"]["AP"], report["segm"]["AP"]


def num_different(logdir, other):
    """Returns: int, how many variables of the newest checkpoints of two runs differ in any bit"""
    one, two = (read_weights(list_checkpoints(folder)[0]) for folder in (logdir, other))
    return sum(not np.array_equal(one.get(name), two.get(name)) for name in one.keys() | two.keys())


def main():
    parser = ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.strip().splitlines()[0])
    parser.add_argument("logdir", nargs="?", default="train_log/kills", help="new folder for both runs")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, nargs=2, default=(1, 60), metavar=("MIN", "MAX"),
                        help="from the start of a training to its kill, at random in between")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="on top of the shortened demo")
    args = parser.parse_args()
    if args.kills < 1 or not 0 < args.seconds[0] <= args.seconds[1]:
        raise UserError("--kills must be positive, and --seconds two positive numbers in order")
    if os.path.exists(args.logdir):
        raise UserError(f"{args.logdir} exists; delete it, or give another folder")
    os.makedirs(args.logdir)
    quiet, killed = (os.path.abspath(os.path.join(args.logdir, name)) for name in ("quiet", "killed"))

    moments, steps = random.Random(args.seed), []
    for number in range(1, args.kills + 1):
        words = ["--resume"] if steps else ["--overwrite", "--config", *SHORTENED, *args.config]
        seconds = moments.uniform(*args.seconds)
        if not kill(start(killed, *words), seconds):
            raise UserError(f"the training ended before kill {number}: it failed, see {killed}.log, or was over; then "
                            "take smaller --seconds, or a longer schedule")
        steps = check_checkpoints(killed)
        print(f"kill {number} of {args.kills} after {seconds:.1f} s; checkpoints of steps {steps}", flush=True)
    finish(killed, "--resume")
    finish(quiet, "--config", *SHORTENED, *args.config)
    print(tabulate([["quiet", *result(quiet)], [f"killed {args.kills} times", *result(killed)]],
                   ["run", "last step", "box AP", "mask AP"], "github", floatfmt=".4f"))
    print(f"{num_different(quiet, killed)} variables differ")


if __name__ == "__main__":
    exit_on_user_error(main)
