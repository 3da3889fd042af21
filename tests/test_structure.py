"""The structure of the program, from its files and their imports themselves."""
import ast
import functools
import os
import pathlib

import pytest

from tiny import ROOT

# what imports what: each line may import those below it
LEVELS = (
    ("benchmarks", "docs"),
    ("train.py", "predict.py"),
    ("web", "export", "training"),
    ("eval.py",),
    ("inference", "metrics", "viz"),
    ("weights",),
    ("modeling", "data"),
    ("distributed",),
    ("config.py",),
    ("settings",),
    ("common.py",),
)
BESIDE = {("viz", "inference")}    # on one level, who may import whom
# programs below the root, started with `python -m`: they put parts together as train.py does, and nothing imports them
COMMANDS = ("data/check/__main__.py", "data/show.py", "metrics/compare.py")
ROOT_FILES = ["common.py", "config.py", "eval.py", "predict.py", "train.py"]
MAX_FILE, MAX_FUNCTION = 400, 60    # lines
# tests of more than a file
END_TO_END = {"tests/test_structure.py", "tests/test_mutants.py", "tests/test_fuzz_annotations.py",
              "tests/test_fuzz_images.py", "tests/distributed/test_jobs.py", "tests/modeling/test_golden.py",
              "tests/modeling/test_golden_torchvision.py", "tests/training/test_checkpoint_kills.py",
              "tests/docs/test_notebook.py",
              "tests/weights/test_architectures.py"}


def part_of(path):
    """The first part of a path: a file at the root, or a package."""
    return path.split("/")[0]


def level_of(path):
    if path in COMMANDS:
        return level_of("train.py")
    return next(number for number, parts in enumerate(LEVELS) if part_of(path) in parts)


@functools.lru_cache
def sources():
    """dict of each file's path from the root to its text, of all but tests"""
    folders = [part for parts in LEVELS for part in parts if not part.endswith(".py")]
    paths = [*pathlib.Path(ROOT).glob("*.py"), *(p for name in folders for p in pathlib.Path(ROOT, name).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def file_of(module):
    """The path of a module of ours, None of another's."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in sources()), None)


def imported_files(path):
    """The files that a file imports anywhere in it. The package that it is in itself is not counted for its parts."""
    package = path.split("/")[:-1]
    found = set()
    for node in ast.walk(ast.parse(sources()[path])):
        if isinstance(node, ast.Import):
            found |= {file_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            parts = {alias.name: file_of(f"{module}.{alias.name}") for alias in node.names}
            found |= set(parts.values())
            if None in parts.values() or module.split(".") != package[:module.count(".") + 1]:
                found.add(file_of(module))
    return found - {None}


@pytest.fixture(scope="module")
def imports():
    """dict of each file to those that it imports"""
    return {path: imported_files(path) for path in sources()}


def test_at_the_root_stand_only_the_programs_and_what_all_share():
    assert sorted(path for path in sources() if "/" not in path) == ROOT_FILES


def test_every_folder_with_code_has_a_place_in_the_order():
    folders = {path.parent.relative_to(ROOT).parts[0] for path in pathlib.Path(ROOT).glob("[a-z]*/**/*.py")}
    assert folders - {"tests"} <= {part for parts in LEVELS for part in parts}


def test_imports_go_down(imports):
    def is_allowed(importer, imported):
        first, second = part_of(importer), part_of(imported)
        return level_of(importer) < level_of(imported) or first == second or (first, second) in BESIDE

    assert [f"{path} imports {other}" for path, others in imports.items() for other in sorted(others)
            if not is_allowed(path, other)] == []


def test_nothing_imports_a_command(imports):
    assert {path: others & set(COMMANDS) for path, others in imports.items() if others & set(COMMANDS)} == {}


def test_no_file_imports_itself_by_way_of_others(imports):
    left = dict(imports)
    while True:
        imported = set().union(*left.values())
        outside = [path for path, others in left.items() if not others & left.keys() or path not in imported]
        if not outside:
            break
        for path in outside:
            del left[path]
    assert [f"{path} imports {other}" for path, others in left.items() for other in sorted(others & left.keys())] == []


def test_no_file_is_long():
    tests = {path.name: path.read_text(encoding="utf-8") for path in pathlib.Path(ROOT, "tests").rglob("*.py")}
    lengths = {path: text.count("\n") for path, text in {**sources(), **tests}.items()}
    assert {path: length for path, length in lengths.items() if length > MAX_FILE} == {}


def test_no_function_is_long():
    functions = [(path, node) for path, text in sources().items() for node in ast.walk(ast.parse(text))
                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {f"{path}: {node.name}": node.end_lineno - node.lineno + 1 for path, node in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION} == {}


def test_tests_mirror_the_tree():
    tests = {path.relative_to(ROOT).as_posix() for path in pathlib.Path(ROOT, "tests").rglob("test_*.py")} - END_TO_END
    tested = {test: test[len("tests/"):].replace("test_", "") for test in tests}
    assert {test for test, path in tested.items()
            if path not in sources() and not os.path.isdir(os.path.join(ROOT, path[:-len(".py")]))} == set()
