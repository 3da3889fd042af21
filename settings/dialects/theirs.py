"""A config of another project while it is translated."""
import difflib
import math
import sys
from typing import NamedTuple

from settings import ConfigError

LARGEST = 10 ** 9    # number of anything that is counted


class Row(NamedTuple):
    """
    A key that has no effect here.

    Attributes:
        key (str), value: as the file has them
        why (str)
    """

    key: str
    value: object
    why: str


class Fixed(NamedTuple):
    """
    What a key of theirs has to be, since here it is always so.

    Attributes:
        default: theirs
        wanted (tuple): the values of which it has to be one
        why (str): what is not there
    """

    default: object
    wanted: tuple
    why: str


class Theirs:
    """
    What a file of another project says, with its project's defaults; and what becomes of it.

    Args:
        path (str): of the file
        keys (module): of the project, see `settings.dialects`
        said (dict): dotted key to value, of the file

    Attributes:
        ours (dict): dotted key of ours to value
        rows (list[Row]): what has no effect

    Raises:
        ConfigError: the file has a key that the project does not have, or that is not known here
    """

    def __init__(self, path, keys, said):
        self.path, self.keys, self.said = path, keys, said
        self.ours, self.rows = {}, []
        for key in said:
            if not is_known(keys, key):
                self._refuse_unknown(key)

    @property
    def project(self):
        """Str, the name of the project, or of a variant of it whose keys the file has"""
        variants = self.keys.VARIANTS.items()
        return next((name for name, only in variants if any(key.startswith(only) for key in self.said)), self.keys.NAME)

    def __getitem__(self, key):
        default = default_of(self.keys, key)
        try:
            return _as(self.said.get(key, default), default)
        except _WrongTypeError as e:
            raise self.refusal(key, f"is not {e}; write it as {self.keys.NAME} wants it") from None

    def refusal(self, key, why):
        """Returns: ConfigError, to be raised, on the value of a key"""
        value = self.said.get(key, default_of(self.keys, key))
        default = "" if key in self.said else f" (the default of {self.keys.NAME})"
        return ConfigError(f"config: {self.path}: {key}={_shorten(value)}{default} {why}")

    def lacks(self, key, what):
        """Returns: ConfigError, to be raised, on a value that there is nothing for here"""
        return self.refusal(key, f"cannot be had here: {what}")

    def numbers(self, key, length=None, kinds=(int, float)):
        """
        Args:
            length (int): how many there must be; None: some
            kinds: types of numbers

        Returns:
            tuple of numbers; a list that is alone in a list is taken for that list

        Raises:
            ConfigError: it is something else
        """
        values = self[key]
        while len(values) == 1 and isinstance(values[0], tuple):
            values = values[0]
        if not values or not all(_is_number(v, kinds) for v in values) or length not in (None, len(values)):
            raise self.refusal(key, f"must be {length or 'some'} {'whole ' if kinds == (int,) else ''}numbers")
        return values

    def positive(self, key):
        """Returns: int above 0. Raises: ConfigError: it is another number"""
        if not 1 <= self[key] <= LARGEST:
            raise self.refusal(key, f"must be in 1..{LARGEST}")
        return self[key]

    def copy(self, keys):
        """Args: keys (dict): key of theirs to key of ours, of the same meaning"""
        self.ours.update({ours: self[key] for key, ours in keys.items()})

    def copy_said(self, keys):
        """As `copy`, of what the file says: a default that has no effect on results leaves ours as it is."""
        self.copy({key: ours for key, ours in keys.items() if key in self.said})

    def check(self, fixed):
        """Args: fixed (dict): key of theirs to Fixed. Raises: ConfigError: a value is another"""
        for key, (_, wanted, why) in fixed.items():
            self.want(key, wanted, why)

    def want(self, key, wanted, why):
        """Args: as the fields of Fixed. Raises: ConfigError: the value of a key is another"""
        if self[key] not in wanted:
            raise self.lacks(key, f"{why}; it can be {' or '.join(map(_shorten, wanted))}")

    def choose(self, key, choices, what):
        """
        Args:
            choices (dict): value of theirs to what it is here
            what (str): what the values are, for the message

        Returns:
            what the value of the key is here

        Raises:
            ConfigError: it is none of the choices
        """
        if self[key] not in choices:
            raise self.refusal(key, f"is none of the {what} that there are here: {', '.join(map(repr, choices))}")
        return choices[self[key]]

    def same(self, keys, what):
        """
        Returns:
            the value that all of some keys have

        Raises:
            ConfigError: two differ
        """
        first, *others = keys
        for key in others:
            if self[key] != self[first]:
                raise self.lacks(key, f"{what}, and {first} is {_shorten(self[first])}; give both one value")
        return self[first]

    def note(self, key, why):
        """What the file says of a key, or of all that begin so if it ends in a dot or underscore, has no effect."""
        below = [k for k in self.said if k == key or _is_beginning(key) and k.startswith(key)]
        if len(below) == 1:
            self.rows.append(Row(below[0], self.said[below[0]], why))
        elif below:
            self.rows.append(Row(f"{key}*", f"{len(below)} keys", why))

    def note_default(self, key, why):
        """As `note`, also where the file is silent."""
        value = self.said.get(key, default_of(self.keys, key))
        self.rows.append(Row(key, value if key in self.said else f"{value!r}, the default", why))

    def note_ignored(self):
        """What has no effect here whatever else the file says."""
        for key, why in self.keys.IGNORED.items():
            self.note(key, why)

    def _refuse_unknown(self, key):
        known = [*_defaults(self.keys), *self.keys.IGNORED]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        raise self.refusal(key, f"is no key of {self.keys.NAME} that is known here" + (
            f", did you mean {close[0]}?" if close else "; take it out if it is to have no effect"))


def is_known(keys, key):
    """Returns: bool, whether a dialect has a key"""
    return key in _defaults(keys) or any(
        key == ignored or _is_beginning(ignored) and key.startswith(ignored) for ignored in keys.IGNORED)


def _is_beginning(name):
    return name.endswith((".", "_"))


def default_of(keys, key):
    """Returns: the default of a dialect's key, None where there is none"""
    return _defaults(keys).get(key)


def _defaults(keys):
    fixed = {key: value.default for part in keys.FIXED for key, value in part.items()}
    return {**fixed, **keys.DEFAULTS}


class _WrongTypeError(Exception):
    """A value is not of the type of its key; the message says which it is not."""


def _as(value, default):
    """Returns: a value as the type of its key's default; a default of None takes any"""
    if isinstance(default, str):
        return "" if value is None else str(value)
    if isinstance(default, tuple):
        return value if isinstance(value, tuple) else (value,)
    if isinstance(default, bool) and not isinstance(value, bool):
        raise _WrongTypeError("True or False")
    if isinstance(default, float) and not _is_number(value):
        raise _WrongTypeError("a number")
    if type(default) is int and type(value) is not int:
        raise _WrongTypeError("a whole number")
    return value


def _is_number(value, kinds=(int, float)):
    return type(value) in kinds and -math.inf < value < math.inf and abs(value) <= sys.float_info.max


def _shorten(value, length=60):
    text = repr(value)
    return text if len(text) <= length else text[:length - 1] + "…"
