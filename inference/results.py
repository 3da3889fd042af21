"""COCO results that are written as they are found, and go on after an interruption."""
import contextlib
import json
import os
import tempfile

from common import UserError, whole_file, writing


class ResultsFile:
    """
    The results of a data set's images, which come in any order, on their way to the json file at `path`. They are lines
    of `path`.partial until `remove_partial`, so a process that is killed loses the image that it is at, and memory
    holds no results, however many there are. Without a path they are in a file without a name, and end with it.

    A line is an image's number in the data set, a tab, and its results as json; the first line is the key.
    """

    def __init__(self, path=None, key=None, resume=False):
        """
        Args:
            path (str or None): of the json file
            key (dict): all that the results follow from, of names to values that json takes
            resume (bool): keep what an evaluation with the same key has left behind

        Raises:
            UserError: the file cannot be written; or, with `resume`, it is of another key
        """
        self.path, self._places = path, {}
        self._header = json.dumps(key or {}, sort_keys=True)
        if path is None:
            self._file = tempfile.TemporaryFile()    # noqa: SIM115
        else:
            with writing(self.partial_path):
                self._file = open(self.partial_path, "r+b" if resume and has_partial(path) else "w+b")    # noqa: SIM115
        try:
            if resume:
                self._read()
        except BaseException:
            self._file.close()
            raise
        if not self._file.tell():
            self._write(self._header)

    @property
    def partial_path(self):
        """Of the file that grows"""
        return partial_path(self.path)

    def _read(self):
        """Find the whole lines, and cut off what is behind them."""
        end, header = 0, None
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            if header is None:
                header = line
                self._check_header(header)
            else:
                index = line.partition(b"\t")[0]
                self._places[int(index)] = end + len(index) + 1
            end += len(line)
        self._file.truncate(end)
        self._file.seek(end)

    def _check_header(self, line):
        try:
            old, new = json.loads(line), json.loads(self._header)
            differing = sorted(name for name in {*new, *old} if new.get(name) != old.get(name))
        except (ValueError, TypeError):
            raise UserError(f"{self.partial_path} is no unfinished evaluation; remove it") from None
        if differing:
            raise UserError(f"{self.partial_path} is of an evaluation that differs in {differing[0]}; go on with what "
                            "it was started with, or remove that file")

    def _write(self, text):
        with writing(self.path):
            self._file.write(text.encode() + b"\n")
            self._file.flush()

    def __contains__(self, index):
        return index in self._places

    def __len__(self):
        return len(self._places)

    def add(self, index, results):
        """
        Args:
            index (int): of an image in the data set
            results (list of dict): COCO results of that image
        """
        start = self._file.seek(0, os.SEEK_END)
        self._write(f"{index}\t{json.dumps(results)}")
        self._places[index] = start + len(str(index)) + 1

    def __iter__(self):
        """Yields: the results of each image, in the order of the data set"""
        for index in sorted(self._places):
            self._file.seek(self._places[index])
            yield json.loads(self._file.readline())

    def finish(self):
        """Write the json file, a list of all results in the order of the data set, whole or not at all."""
        if self.path is None:
            return
        with whole_file(self.path, "wb") as f:
            f.write(b"[")
            separator = b""
            for index in sorted(self._places):
                self._file.seek(self._places[index])
                # without the brackets of the list
                results = self._file.readline().strip()[1:-1]
                if results:
                    f.write(separator + results)
                    separator = b", "
            f.write(b"]")

    def close(self):
        self._file.close()


def write_json(path, value):
    """
    Write a json file whole or not at all: a file that is there stays until the new one is complete.

    Raises:
        UserError: it cannot be written
    """
    with whole_file(path, encoding="utf-8") as f:
        json.dump(value, f)


def partial_path(path):
    """Returns: str, of the file in which the results of the json file at `path` grow"""
    return path + ".partial"


def has_partial(path):
    """Returns: bool, whether an evaluation into the json file at `path` was left unfinished"""
    return os.path.isfile(partial_path(path))


def remove_partial(path):
    """Remove what is no longer needed once the json file at `path` is complete."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(partial_path(path))
