"""
YAML files as the other projects read them: `_BASE_` files, and Python's literals for values.

Nothing of a file is ever run: only mappings, lists and plain values are built, and their size is bounded.
"""
import ast
import os

import yaml

from settings import ConfigError

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 128 * 1024    # several times the longest config that such a project writes
MAX_FILES = 20            # that bases may lead to
BASE = "_BASE_"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, by which a short file can stand for a huge one."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name)")
        return super().compose_node(parent, index)


def is_yaml(path):
    """Returns: bool, whether a file's name is that of a YAML file"""
    return path.lower().endswith(SUFFIXES)


def read(path):
    """
    Args:
        path (str): of a YAML file

    Returns:
        dict of dotted key to value, of the file and of those that it is based on; lists are tuples
        bool, whether there was a `_BASE_`

    Raises:
        ConfigError: a file cannot be read, or is no config
    """
    tree, names = _with_bases(path, ())
    return dict(_flat(tree, "", path)), len(names) > 1


def _with_bases(path, below):
    """Returns: dict, nested, and list of the files that it is from"""
    real = os.path.realpath(path)
    if real in below or len(below) >= MAX_FILES:
        raise ConfigError(f"config: {path} is based on itself by its {BASE}; take that line out")
    tree, names = _parse(path), [real]
    bases = tree.pop(BASE, ())
    merged = {}
    for base in bases if isinstance(bases, list) else [bases] if bases else []:
        other, others = _with_bases(_base_path(path, base), (*below, real))
        names += others
        _merge(merged, other)
    _merge(merged, tree)
    return merged, names


def _base_path(path, base):
    if not isinstance(base, str) or "://" in base or not is_yaml(base):
        raise ConfigError(f"config: {path}: {BASE}={base!r} is no YAML file on this machine; fetch it, and name it by "
                          "its path from this file")
    return os.path.join(os.path.dirname(path), os.path.expanduser(base))


def _merge(into, tree):
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _parse(path):
    """Returns: dict, nested, of one file"""
    try:
        with open(path, "rb") as f:
            text = f.read(MAX_BYTES + 1)
    except OSError as e:
        raise ConfigError(f"config: cannot read {path} ({e.strerror}); correct the path") from None
    if len(text) > MAX_BYTES:
        raise ConfigError(f"config: {path} has more than {MAX_BYTES // 1024} KiB, as no config has; name another file")
    try:
        tree = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise ConfigError(f"config: {path}: {_what_is_wrong(e)}; only a YAML file of plain keys and values can be "
                          "read") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"config: {path} has no keys; name a config of Detectron, Detectron.pytorch, "
                          "maskrcnn-benchmark or Detectron2")
    return tree


def _what_is_wrong(error):
    """Returns: str, one short line"""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return " ".join(problem.split())[:200] + (f" in line {mark.line + 1}" if mark else "")


def _flat(tree, prefix, path):
    """Yields: dotted key, value"""
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ConfigError(f"config: {path}: {prefix}{key!r} is no name of a key; write it in letters")
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.", path)
        else:
            yield prefix + key, plain(value)


def plain(value):
    """Returns: the value that the other projects make of one: text that is a Python literal is that literal"""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return value
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) if not isinstance(v, str) else v for v in value)
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    return value if is_plain else str(value)
