"""The folder that the images of a data set are in."""
import os

from data.records import Unusable


class ImageFolder:
    """
    Turns the file names of annotations into paths, and keeps them inside the data set's folder: no name may climb out
    of it. Links in it lead wherever the user who made them wants.
    """

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self._listings = {}

    def resolve(self, file_name: object) -> str:
        """
        Returns:
            the absolute path of an existing file

        Raises:
            Unusable: there is none, or it would be outside of the folder
        """
        if not isinstance(file_name, str) or not file_name or "\0" in file_name:
            raise Unusable(f"file_name is {file_name!r}", "image-name")
        relative = os.path.normpath(file_name)
        if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
            raise Unusable(f"file_name {file_name!r} leads out of {self.path}", "image-outside-folder")
        folder, base = os.path.split(os.path.join(self.path, relative))
        if base not in self._list(folder):
            raise Unusable(f"there is no file {os.path.join(folder, base)}", "image-missing")
        return os.path.join(folder, base)

    def _list(self, folder):
        """Returns: set of the names of files in a folder; one listing is faster than a stat a file"""
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {entry.name for entry in entries if entry.is_file()}
            except OSError:
                self._listings[folder] = set()
        return self._listings[folder]
