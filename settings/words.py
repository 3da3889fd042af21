"""
What is written for a config, as the values that its keys take.

A VALUE is a Python literal or a bare string. Nothing is ever evaluated.
"""
import ast
import difflib

from settings import ConfigError

# the model zoo's: the longer ones keep the last two parts of a fixed length
LR_SCHEDULES = {"1x": (120000, 160000, 180000),
                **{f"{k}x": (180000 * k - 120000, 180000 * k - 40000, 180000 * k) for k in range(2, 10)}}


class _Bare(str):
    """A VALUE that is no Python literal."""

    __slots__ = ()


class _WithText:
    """A Python literal and the text it was read from."""

    def __init__(self, value, text):
        self.value, self.text = value, text


def read_file(path):
    """
    Args:
        path (str): of a file with a word a line; blank lines and those that begin with "#" are left out

    Returns:
        list[str], the words

    Raises:
        ConfigError: the file cannot be read
    """
    try:
        with open(path, encoding="utf-8") as f:
            lines = [line.strip() for line in f]
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"config: cannot read {path} ({getattr(e, 'strerror', None) or 'not a text file'}); "
                          "@FILE names a file of KEY=VALUE lines, such as @configs/demo.cfg") from None
    return [line for line in lines if line and not line.startswith("#")]


def split(word):
    """
    Args:
        word (str): "KEY=VALUE"

    Returns:
        str, the key, and the value, for `cast`

    Raises:
        ConfigError: the word is of another form
    """
    key, equals, text = word.partition("=")
    if not equals:
        raise ConfigError(f"config: {word!r} is not KEY=VALUE; write for example TRAIN.BASE_LR=0.01, "
                          "or @configs/demo.cfg")
    return key.strip(), _literal(text.strip())


def _literal(text):
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _Bare(text)
    # a key that holds a string wants the text, whatever it looks like
    return value if isinstance(value, str) else _WithText(value, text)


def check_known(key, keys):
    """Raises: ConfigError: `key` is not one of `keys`; the message names at most three that are like it"""
    if key in keys:
        return
    wanted = key.upper()
    close = difflib.get_close_matches(wanted, keys, n=3, cutoff=0.5)
    if not close:
        last_part = {k: k.rsplit(".", 1)[-1] for k in keys}
        best = difflib.get_close_matches(wanted.rsplit(".", 1)[-1], last_part.values(), n=1, cutoff=0.5)
        close = [k for k in keys if last_part[k] in best]
    raise ConfigError(f"config: there is no key {key}; " + (
        f"did you mean {' or '.join(close[:3])}?" if close else "config.py lists them all"))


def cast(key, value, default):
    """
    Args:
        key (str): the dotted name, for the message
        value: of `split`, or of json; an int may stand for a float, a list for a tuple, and "2x" for the steps of
            TRAIN.LR_SCHEDULE
        default: a value of the key, whose type is wanted

    Returns:
        the value as this type

    Raises:
        ConfigError: it is of another type
    """
    if key == "TRAIN.LR_SCHEDULE" and isinstance(value, str):
        value = LR_SCHEDULES.get(value, value)
    text, literal = (value.text, value.value) if isinstance(value, _WithText) else (value, value)
    try:
        if isinstance(default, str):
            return _as_string(text)
        return _as_tuple(key, literal, default) if isinstance(default, (tuple, list)) else _as_number(literal, default)
    except (_WrongType, OverflowError):
        kind = "a string" if isinstance(literal, str) else f"of type {type(literal).__name__}"
        raise ConfigError(f"config: {key}={text} is {kind}, but {key} takes {_type_name(default)}, "
                          f"such as {default!r}") from None


class _WrongType(Exception):
    """A value is not of the type of its key."""


def _as_string(text):
    if not isinstance(text, str):
        raise _WrongType
    return str(text)


def _as_tuple(key, value, default):
    if isinstance(value, str) and (not default or isinstance(default[0], str)):
        value = tuple(str(v) for v in value.split(",")) if isinstance(value, _Bare) else (value,)
    if not isinstance(value, (tuple, list)):
        raise _WrongType
    try:
        return tuple(cast(key, v, default[0]) if default else v for v in value)
    except ConfigError:
        raise _WrongType from None


def _as_number(value, default):
    """Returns: a bool, an int or a float, as the default is"""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise _WrongType
    return value


def _type_name(default):
    if isinstance(default, (tuple, list)):
        return f"a tuple of {type(default[0]).__name__}" if default else "a tuple"
    return {bool: "True or False", int: "an int", float: "a float", str: "a string"}[type(default)]
