"""Turns data sets of other formats into COCO's: `python -m data.convert FORMAT SOURCE TARGET`."""
import common  # noqa: F401

from data.convert.formats import FORMATS
from data.convert.write import convert

__all__ = ["FORMATS", "convert"]
