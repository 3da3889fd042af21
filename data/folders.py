"""The folders of a data set, out of which no name in its annotations leads."""
import os
from collections.abc import Sequence

from common import UserError

from data.images import IMAGE_SUFFIXES
from data.records import Unusable

SUFFIXES_AS_WRITTEN = (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))


class Folder:
    """
    Turns the file names of annotations into paths, and keeps them inside a folder of the data set: no name may climb
    out of it. Links in it lead wherever the user who made them wants.
    """

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self._listings = {}

    def resolve(self, file_name: object, suffixes: Sequence[str] = ("",)) -> str:
        """
        Args:
            suffixes: the name has none, and each of these is tried behind it

        Returns:
            the absolute path of an existing file

        Raises:
            Unusable: there is none, or it would be outside of the folder
        """
        if not isinstance(file_name, str) or not file_name or "\0" in file_name:
            raise Unusable(f"file_name is {file_name!r}", "image-name")
        if suffixes == ("",) and file_name in self._list(self.path):    # as nearly all are
            return f"{self.path}{os.sep}{file_name}"
        relative = os.path.normpath(file_name)
        if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
            raise Unusable(f"file_name {file_name!r} leads out of {self.path}", "image-outside-folder")
        folder, base = os.path.split(os.path.join(self.path, relative))
        names = self._list(folder)
        for suffix in suffixes:
            if base + suffix in names:
                return os.path.join(folder, base + suffix)
        raise Unusable(f"there is no file {os.path.join(folder, base + suffixes[0])}", "image-missing")

    def has(self, file_name: object) -> bool:
        """Returns: whether `resolve` finds it"""
        try:
            return bool(self.resolve(file_name))
        except Unusable:
            return False

    def _list(self, folder):
        """Returns: set of the names of files in a folder; one listing is faster than a stat a file"""
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {entry.name for entry in entries if entry.is_file()}
            except OSError:
                self._listings[folder] = set()
        return self._listings[folder]


def read_lines(path: str, remedy: str) -> list[str]:
    """
    Args:
        remedy: what to do where the file cannot be read

    Returns:
        the lines of a text, without those that are empty and without space around them

    Raises:
        UserError: it cannot be read, or is not UTF-8
    """
    try:
        with open(path, encoding="utf-8-sig") as f:
            return [line.strip() for line in f if line.strip()]
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); {remedy}") from None
    except ValueError:
        raise UserError(f"{path}: not a text in UTF-8; save it as one") from None
