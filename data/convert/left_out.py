"""What a conversion leaves out: said, and counted."""
import collections
import contextlib

from common import warn

import tabulate

from data.records import Unusable, in_one_line

MAX_LINES = 10    # printed of one kind


class LeftOut:
    """Counts what is left out by its kind, and prints a line each for the first few of a kind."""

    def __init__(self):
        self.counts = collections.Counter()

    def add(self, kind, where, why):
        """
        Args:
            kind (str): a row of the table at the end, such as "shape that is a line"
            where (str): file, and line or number
            why (str)
        """
        self.counts[kind] += 1
        if self.counts[kind] <= MAX_LINES:
            warn(f"{where}: left out: {kind}: {in_one_line(why)}")
        elif self.counts[kind] == MAX_LINES + 1:
            warn(f"{kind}: more are left out, and only counted")

    def count(self, kind, number=1):
        """Note that something of an object that is kept is lost, such as its attributes. Nothing is printed."""
        if number:
            self.counts[kind] += number

    @contextlib.contextmanager
    def unusable(self, kind, where):
        """A context that `Unusable` leaves out of the conversion."""
        try:
            yield
        except Unusable as e:
            self.add(kind, where, str(e))
        except RecursionError:    # of what quotes it
            self.add(kind, where, "something in it is nested too deeply")

    def table(self):
        """Returns: str, empty where nothing was left out"""
        return tabulate.tabulate(sorted(self.counts.items()), ["left out", "count"], disable_numparse=True,
                                 colalign=("left", "right")) if self.counts else ""
