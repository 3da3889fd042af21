"""The folder that is converted: which files it has, and reading them."""
from __future__ import annotations

import os

from common import UserError

from data.images import IMAGE_SUFFIXES
from data.records import Unusable

# folders that name a split, in the formats that have no other way to say it
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
          "testing": "test"}


class Source:
    """
    The files below a folder, listed once, by their paths from it, with "/". Nothing else is ever opened, so no name in
    an annotation file leads out of the folder. Links in it lead wherever the user who made them wants.

    Args:
        folder: of the data set

    Raises:
        UserError: it is no folder
    """

    def __init__(self, folder: str):
        self.folder = os.path.abspath(os.path.expanduser(folder))
        if not os.path.isdir(self.folder):
            raise UserError(f"{folder}: not a folder; unpack the export, and give the folder that it is in")
        self.files = sorted(_walk(self.folder))
        self._files = set(self.files)
        self._folders = {""}
        for file in self.files:
            while (file := os.path.dirname(file)) not in self._folders:
                self._folders.add(file)

    def path(self, file: str) -> str:
        """Returns: the absolute path of a file of the folder"""
        return os.path.join(self.folder, file)

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Returns: the files with one of these suffixes, in lower case with the dot"""
        return [file for file in self.files if os.path.splitext(file)[1].lower() in suffixes]

    def images(self, folder: str = "") -> list[str]:
        """Returns: the image files at any depth in a folder of this one"""
        return [file for file in self.with_suffix(*IMAGE_SUFFIXES) if not folder or file.startswith(folder + "/")]

    def has(self, file: str) -> bool:
        return file in self._files

    def has_folder(self, folder: str) -> bool:
        return folder in self._folders

    def find(self, name: object, *folders: str) -> str:
        """
        Args:
            name: of a file as an annotation file has it, of Windows too
            folders: what it may be relative to, the first that has it

        Raises:
            Unusable: there is no such file
        """
        if not isinstance(name, str) or not name.strip():
            raise Unusable(f"the name of its image is {str(name)[:80]!r}")
        name = name.strip().replace("\\", "/")
        for folder in folders:
            if (file := os.path.normpath(os.path.join(folder, name))) in self._files:
                return file
        raise Unusable(f"there is no image {name[:200]!r} in the folder")

    def tail(self, name: str, exists=None) -> str | None:
        """
        The longest end of a path that is in this folder: a data set that was moved still has paths of its old place.

        Args:
            name: such as "/content/mine/train/images", "../train/images" or "./train/images"
            exists (callable): from a path to whether it is there; None for that of a file

        Returns:
            "train/images"; None where not even the last part is there
        """
        parts = [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".", "..")]
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next(filter(exists or self.has, tails), None)

    def read(self, file: str) -> str:
        """
        Returns:
            the text of a file

        Raises:
            Unusable: it cannot be read, or is not UTF-8
        """
        try:
            with open(self.path(file), encoding="utf-8-sig") as f:
                return f.read()
        except OSError as e:
            raise Unusable(f"it cannot be read ({e.strerror})") from None
        except ValueError:
            raise Unusable("it is not a text in UTF-8") from None


def split_of(file: str) -> str | None:
    """Returns: "train", "val" or "test", where a folder on the path says so"""
    return next((SPLITS[part.lower()] for part in file.split("/")[:-1] if part.lower() in SPLITS), None)


def _walk(folder):
    """Yields: str, the regular files of a folder and of those in it, without hidden ones"""
    left, seen = [""], set()
    while left:
        relative = left.pop()
        path = os.path.join(folder, relative)
        real = os.path.realpath(path)    # links to folders may go round in circles
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = f"{relative}/{entry.name}" if relative else entry.name
                    if entry.name.startswith((".", "__MACOSX")):
                        continue
                    if entry.is_dir():
                        left.append(name)
                    elif entry.is_file():
                        yield name
        except OSError as e:
            raise UserError(f"{path}: cannot be read ({e.strerror}); check its permissions") from None
