"""From a YAML file of another project to our keys: whose it is, what it sets, and what of it has no effect."""
import os

from common import warn

import tabulate

from settings import ConfigError
from settings.dialects import detectron, detectron2, files, maskrcnn_benchmark
from settings.dialects.theirs import Theirs, is_known

DIALECTS = (detectron, maskrcnn_benchmark, detectron2)
RANKS = ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")

_shown = set()    # files of which this process has told


def settings_of(path):
    """
    What a YAML file sets. What of it has no effect is shown as a table, once in a process.

    Args:
        path (str)

    Returns:
        dict of dotted key of ours to value

    Raises:
        ConfigError: the file cannot be read, is of no known project, or would train something else here
    """
    theirs, reason = translate(path)
    shown = os.path.realpath(path)
    # of a job's processes the first one tells
    if shown not in _shown and all(os.environ.get(name, "0") == "0" for name in RANKS):
        _shown.add(shown)
        warn(describe(theirs, reason))
    return theirs.ours


def translate(path):
    """Returns: Theirs, translated; str, how its project was recognized"""
    said, has_base = files.read(path)
    dialect, reason = recognize(path, said, has_base)
    theirs = Theirs(path, dialect.keys, said)
    dialect.translate(theirs)
    return theirs, reason


def recognize(path, said, has_base=False):
    """
    Args:
        said (dict): dotted key to value
        has_base (bool): the file had a `_BASE_`, which only Detectron2 knows

    Returns:
        the dialect that knows most of the keys; and a reason

    Raises:
        ConfigError: none is the best
    """
    known = {dialect: [key for key in said if is_known(dialect.keys, key)] for dialect in DIALECTS}
    if has_base:
        return detectron2, f"it has a {files.BASE}"
    best, *others = sorted(DIALECTS, key=lambda dialect: -len(known[dialect]))
    own = [key for key in known[best] if not any(key in known[other] for other in others)]
    if not own or len(known[best]) == len(known[others[0]]):
        names = ", ".join(dialect.keys.NAME for dialect in DIALECTS)
        raise ConfigError(f"config: {path} could be any of {names} by its keys; give it one of its project alone, such "
                          "as MODEL.CONV_BODY, MODEL.BACKBONE.CONV_BODY or VERSION: 2")
    more = f" and {len(own) - 3} more" if len(own) > 3 else ""
    return best, f"only there are keys such as {', '.join(own[:3])}{more}"


def describe(theirs, reason):
    """Returns: str, whose a file is, how many keys it sets, and a table of what has no effect"""
    text = f"config: {theirs.path} is of {theirs.project} ({reason}); it sets {len(theirs.ours)} keys here"
    if not theirs.rows:
        return text
    text += ". What of it has no effect here, or another one:"
    rows = [(key, _cell(value), why) for key, value, why in theirs.rows]
    table = tabulate.tabulate(rows, headers=("key", "value", "here"), disable_numparse=True)
    return f"{text}\n{table}"


def _cell(value, length=40):
    text = str(value)
    return text if len(text) <= length else text[:length - 1] + "…"
