"""
Our side and torchvision's, measured beside each other. A measurement is a process of its own, whose largest resident
memory is its peak. The sides take turns, so that other work on the machine weighs on both.
"""
import json
import os
import subprocess
import sys

from common import UserError

from settings.checks import PRECISIONS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS, TORCHVISION = "ours", "torchvision"
HOW_TO_INSTALL = ("torchvision is left out: `pip install -r requirements-bench.txt` in an environment of its own, and "
                  "give its interpreter as --torch-python or in BENCH_TORCH_PYTHON")


def add_options(parser):
    """Add what the command lines of all such benchmarks have."""
    parser.add_argument("--batch", type=int, nargs="+", metavar="B", help="images that go together")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float32", "bfloat16"],
                        help="of our side; torchvision's is float32")
    parser.add_argument("--torch-python", metavar="PATH",
                        help="an interpreter with torchvision; by default this one, or BENCH_TORCH_PYTHON's")
    parser.add_argument("--json", metavar="PATH", help="write the rows of the table there too")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="change the config of our side")


def find_torch(given):
    """
    Args:
        given (str or None): --torch-python

    Returns:
        str, an interpreter that can import torchvision, or None
    """
    for python in [given] if given else [sys.executable, os.environ.get("BENCH_TORCH_PYTHON")]:
        if python and _has_torchvision(python):
            return python
    if given:
        raise UserError(f"--torch-python {given}: this is no interpreter with torchvision; "
                        "`pip install -r requirements-bench.txt` in an environment of its own makes one")
    return None


def _has_torchvision(python):
    try:
        return not subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode
    except OSError:
        return False


def choose_cases(precisions, has_torchvision, report=print):
    """Returns: list of (who, precision) to measure; says where torchvision is left out"""
    if not has_torchvision:
        report(HOW_TO_INSTALL)
    return [*((OURS, p) for p in precisions), *([(TORCHVISION, "float32")] if has_torchvision else [])]


def run_process(command, who):
    """Returns: what the last line that a command prints says in JSON"""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1]
        raise UserError(f"the measurement of {who} failed: {last}")
    return json.loads(result.stdout.splitlines()[-1])


def take_turns(cases, turns, measure, seconds, batch, report=print):
    """
    Args:
        cases (list): of (who, precision)
        turns (int): measurements of each of them
        measure (callable): from who and precision to what a measurement found
        seconds (callable): from that to the seconds to report
        batch (int): images that go together, to report

    Returns:
        dict: of each case to a list of what was found
    """
    runs = {case: [] for case in cases}
    for turn in range(turns):
        for case in cases:
            runs[case].append(measure(*case))
            report(f"turn {turn + 1}/{turns}, B = {batch}, {' '.join(case)}: {seconds(runs[case][-1]):.2f} s")
    return runs


def show(rows, table, path):
    """
    Args:
        rows (list[dict]): of the table
        table (callable): makes a text of them
        path (str or None): --json
    """
    print(table(rows))
    if path:
        with open(path, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)
