"""
Whether the tests notice when the program breaks: `make mutants`.

Each mutant is one line of the product that is broken on purpose. The tests that are named beside it run on a copy of
the last commit that has this one break, and one of them ought to fail. The results of a commit are kept, so that
a call that was interrupted goes on where it was.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from typing import NamedTuple

import pytest
import tabulate

import mutants_of_data
import mutants_of_metrics
import mutants_of_results
import mutants_of_settings
import mutants_table

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, ".mutants")    # a folder with a file for each commit
TIME_LIMIT = 600    # seconds for the tests of one mutant


class Mutant(NamedTuple):
    """
    A break of one line.

    Attributes:
        path (str): of the file
        before, after (str): the line, which is there once, and what takes its place; both without indentation
        tests (str): the narrowest arguments of pytest whose tests ought to fail
    """

    path: str
    before: str
    after: str
    tests: str


BREAKS = {**mutants_table.BREAKS, **mutants_of_data.BREAKS, **mutants_of_results.BREAKS, **mutants_of_metrics.BREAKS,
          **mutants_of_settings.BREAKS}
MUTANTS = [Mutant(path, *fields) for path, breaks in BREAKS.items() for fields in breaks]


def broken(mutant, tree):
    """
    Returns:
        str, the text of the mutant's file in the folder `tree`, with the break

    Raises:
        ValueError: the line is not there exactly once
    """
    text = ""
    if os.path.exists(path := os.path.join(tree, mutant.path)):
        with open(path, encoding="utf-8") as f:
            text = f.read()
    pattern = re.compile(rf"^([ ]*){re.escape(mutant.before)}$", re.MULTILINE)
    count = len(pattern.findall(text))
    if count != 1:
        raise ValueError(f"{mutant.path}: the line {mutant.before!r} is there {count} times")
    return pattern.sub(lambda match: match[1] + mutant.after, text)


def outdated(mutants, tree):
    """Returns: list[str], what is wrong with the mutants whose line or tests are not in the folder `tree`"""
    problems = []
    for mutant in mutants:
        try:
            broken(mutant, tree)
        except ValueError as e:
            problems.append(str(e))
        problems += [f"{mutant.path}: there is no {word}" for word in shlex.split(mutant.tests)
                     if word.startswith("tests/") and not os.path.exists(os.path.join(tree, word))]
    return problems


def first_failure(tests, tree):
    """
    Returns:
        str: the first test that fails in the folder `tree`, of the quick ones, or else of the slow ones with "(slow)"
            behind its name; "(time)" when they do not end; None when none fails

    Raises:
        ValueError: they could not be run
    """
    # a file that changes twice in a second could be taken for its old bytecode
    environ = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *shlex.split(tests), "-m"]
    num_empty = 0
    for marker, remark in (("not slow", ""), ("slow", " (slow)")):
        try:
            ended = subprocess.run(
                [*command, marker], cwd=tree, env=environ, capture_output=True, text=True, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            return "(time)"
        num_empty += ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
        if ended.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            continue
        failed = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", ended.stdout, re.MULTILINE)
        if ended.returncode != pytest.ExitCode.TESTS_FAILED or not failed:
            raise ValueError(f"pytest {tests} ended with status {ended.returncode}: {ended.stdout[-2000:]}")
        return failed[1] + remark
    if num_empty == 2:
        raise ValueError(f"pytest {tests} finds no test")
    return None


def run_mutant(mutant, tree):
    """Returns: see `first_failure`; the folder `tree` is as it was"""
    path = os.path.join(tree, mutant.path)
    text = broken(mutant, tree)
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return first_failure(mutant.tests, tree)
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(whole)


def copy_commit(root, folder):
    """Unpack the last commit of the repository `root` into a folder. Returns: str, the commit's short name"""
    archive = subprocess.check_output(["git", "-C", root, "archive", "HEAD"])
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return subprocess.check_output(["git", "-C", root, "rev-parse", "--short", "HEAD"], text=True).strip()


def read_results(path):
    """Returns: dict of Mutant to what `first_failure` says, of those that were run before"""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return {Mutant(*fields): failure for fields, failure in map(json.loads, f)}


def run_all(mutants, root, results):
    """
    Run what has no result yet, and print the table of all.

    Args:
        mutants (list[Mutant])
        root (str): of the repository
        results (str): a folder, for a file of results of each commit

    Returns:
        int: how many were not caught
    """
    os.makedirs(results, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as tree:
        commit = copy_commit(root, tree)
        path = os.path.join(results, f"{commit}.jsonl")
        known = read_results(path)
        if problems := outdated(mutants, tree):    # said before the work
            raise ValueError("mend the table of mutants:\n" + "\n".join(problems))
        for number, mutant in enumerate(mutants, 1):
            if mutant not in known:
                known[mutant] = run_mutant(mutant, tree)
                with open(path, "a", encoding="utf-8") as f:
                    f.write(json.dumps([mutant, known[mutant]]) + "\n")
            print(f"{number}/{len(mutants)} {mutant.path}: {known[mutant] or 'SURVIVED'}", flush=True)
    rows = [[mutant.path, mutant.after, known[mutant] or "SURVIVED"] for mutant in mutants]
    print(f"\ncommit {commit}\n" + tabulate.tabulate(rows, ["file", "broken line", "caught by"], tablefmt="github"))
    return sum(known[mutant] is None for mutant in mutants)


if __name__ == "__main__":
    num_survived = run_all(MUTANTS, ROOT, RESULTS)
    sys.exit(f"{num_survived} of {len(MUTANTS)} mutants survived" if num_survived else 0)
