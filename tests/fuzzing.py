"""Runs cases of a fuzzer in processes of their own, so that one that dies, hangs or takes all memory is seen."""
import argparse
import collections
import contextlib
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time

import tabulate
import tqdm

FINE = ("read", "refused")


def work(make_fuzzer, numbers, num_bytes, connection):
    """Run cases in this process, with a limit of memory, and send what each comes to"""
    os.close(1)
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + num_bytes, used + num_bytes))
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = make_fuzzer(pathlib.Path(folder))
        connection.send("ready")
        for number in numbers:
            connection.send((number, *fuzzer.run(number)))


def run_all(make_fuzzer, names, numbers, seconds, num_bytes):
    """
    Args:
        make_fuzzer (callable): from a folder to what has `run(number)`, which returns a name, and "read", "refused", or
            else what went wrong
        names (list[str]): of which the case `number` has that of `number % len(names)`
        numbers (sequence of int): of the cases
        seconds, num_bytes (int): that a case may take

    Yields: (number, name, outcome) of all cases, whatever a process dies of
    """
    left = list(numbers)
    while left:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(make_fuzzer, left, num_bytes, theirs), daemon=True)
        process.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            assert ours.recv() == "ready"
            while left and ours.poll(seconds):
                yield ours.recv()
                left.pop(0)
        if left:
            process.kill()
            process.join()
            yield (left[0], names[left[0] % len(names)],
                   f"no answer within {seconds} s, or died with {process.exitcode}")
            left.pop(0)


def main(run_cases, names, num_cases):
    """
    The command line of a fuzzer; ends the process, with status 1 after a failure.

    Args:
        run_cases (callable): from a seed and numbers to what `run_all` yields
        names (list[str])
        num_cases (int): unless the user says otherwise
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=num_cases)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    numbers, counts, failures, start = range(args.first, args.first + args.cases), collections.Counter(), 0, time.time()
    for number, name, outcome in tqdm.tqdm(run_cases(args.seed, numbers), "cases", args.cases, disable=None):
        counts[name, outcome if outcome in FINE else "failed"] += 1
        if outcome not in FINE:
            failures += 1
            print(f"case {number}, {name}: {outcome}")
    kinds = (*FINE, "failed")
    print(tabulate.tabulate([[name, *(counts[name, kind] for kind in kinds)] for name in names], ["", *kinds]))
    print(f"{args.cases} cases in {time.time() - start:.0f} s")
    sys.exit(failures > 0)
