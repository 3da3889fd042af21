"""
The formats that can be converted, by their names. Each is a module with two functions: `looks_like(source)`, and
`read(source, left_out)`, which returns `Contents`.
"""
import json

from common import UserError

from data.convert import cvat, labelme, voc, yolo
from data.records import Unusable

FORMATS = {"yolo": yolo, "labelme": labelme, "voc": voc, "cvat": cvat}
COCO = "coco"
MAX_SNIFFED = 20    # json files that are looked into


def read(name, source, left_out):
    """
    Args:
        name (str): of FORMATS
        source (Source)
        left_out (LeftOut)

    Returns:
        Contents

    Raises:
        UserError: the source is not of this format; the message says what it looks like
    """
    if FORMATS[name].looks_like(source):
        return FORMATS[name].read(source, left_out)
    other = guess(source)
    if other == COCO:
        raise UserError(f"{source.folder}: it looks like COCO's format already; "
                        f"train with DATA.BASEDIR={source.folder}")
    if other:
        raise UserError(f"{source.folder}: it is not {name}, but looks like {other}; give that as FORMAT")
    raise UserError(f"{source.folder}: it has no annotations of format {name}; give the folder of the export, unpacked")


def guess(source):
    """Returns: str, what the source looks like, COCO or one of FORMATS; None for nothing that is known"""
    if _is_coco(source):
        return COCO
    return next((name for name, module in FORMATS.items() if module.looks_like(source)), None)


def _is_coco(source):
    for file in source.with_suffix(".json")[:MAX_SNIFFED]:
        try:
            content = json.loads(source.read(file))
        except (ValueError, RecursionError, Unusable):
            continue
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
            return True
    return False
