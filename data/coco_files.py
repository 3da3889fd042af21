"""Where a data set in COCO's format lies: its annotation file, and the folders that may hold its images."""
import contextlib
import ctypes
import gc
import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common import UserError

import orjson

PATTERNS = ("annotations/instances_{}.json", "annotations/{}.json", "annotations/image_info_{}.json", "{}.json",
            "{}/_annotations.coco.json")
# COCO's sets whose images are in the folder of another
IMAGES_OF = {"minival2014": "val2014", "valminusminival2014": "val2014", "val2017_100": "val2017",
             "test-dev2015": "test2015", "test-dev2017": "test2017"}
PREFIXES = ("instances_", "person_keypoints_", "image_info_")    # of COCO's annotation files
MAX_LISTED = 5    # files in a message


class Found(NamedTuple):
    """
    Attributes:
        annotation_file: path
        image_dirs: paths of folders that may hold the images, the likeliest first, one at least
    """

    annotation_file: str
    image_dirs: Sequence[str]


def has_coco(basedir: str, name: str) -> bool:
    """Returns: whether there is something that `find` takes for annotations"""
    return any(os.path.isfile(os.path.join(place, file)) for place, _, file in _candidates(basedir, name)) \
        or bool(_json_files(os.path.join(basedir, name)))


def find(basedir: str, name: str, registered: Sequence[str] = ()) -> Found:
    """
    Find the data set `name` below `basedir`, or anywhere when it is a path; see `coco.load_coco`.

    Raises:
        UserError: there is none
    """
    folder, base = os.path.split(os.path.join(basedir, name))
    has_folder = os.sep in name
    if not os.path.isdir(folder):
        raise UserError(f"data set {name}: {folder} is not a folder; correct the path, which is absolute or goes from "
                        f"DATA.BASEDIR={basedir}" if has_folder else
                        f"DATA.BASEDIR={basedir} is not a folder; set it to the folder that holds data set {name}")
    tried = []
    for place, plain, file in _candidates(basedir, name):
        path = os.path.join(place, file)
        if os.path.isfile(path):
            return Found(path, _image_dirs(place, plain, path))
        if not os.path.isabs(plain):
            tried.append(file)
    path = _only_json(name, os.path.join(folder, base))
    if path:
        return Found(path, _dirs_beside(path))
    known = f", or use a registered name ({', '.join(registered)})" if registered else ""
    raise UserError(f"data set {name}: none of {', '.join(tried)} is in "
                    + (f"{folder}; correct the path" if has_folder else
                       f"DATA.BASEDIR={basedir}; set DATA.BASEDIR or correct the name{known}"))


def _candidates(basedir, name) -> Iterator[tuple[str, str, str]]:
    """Yields: folder, name in it, and file in it that may have the annotations of data set `name`"""
    folder, base = os.path.split(os.path.join(basedir, name))
    # a name with a folder may also be so in the folders of annotations and of images
    for place, plain in dict.fromkeys([(folder, base), (folder, base.removeprefix("coco_")), (basedir, name)]):
        for pattern in PATTERNS:
            if plain:
                yield place, plain, pattern.format(plain)


def _only_json(name, path):
    """Returns: `path` where it is a json file, or the only one that its folder has; None where it has none"""
    files = _json_files(path)
    if len(files) > 1:
        listed = [os.path.relpath(file, path) for file in files[:MAX_LISTED]]
        raise UserError(f"data set {name}: {path} has {len(files)} json files ({', '.join(listed)}"
                        f"{', …' if len(files) > MAX_LISTED else ''}); name the one with the annotations by its path")
    return files[0] if files else None


def _json_files(path):
    """Returns: list of paths: `path` itself, or the json files of a folder that may be a data set"""
    if os.path.isfile(path):
        return [path] if path.endswith(".json") else []
    folders = [path, os.path.join(path, "annotations")]
    files = [os.path.join(folder, file) for folder in folders for file in _list(folder) if file.endswith(".json")]
    parts = [os.path.join(path, part, "_annotations.coco.json") for part in _list(path)]
    return [file for file in [*files, *parts] if os.path.isfile(file)]


def _list(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _dirs_beside(path):
    """Returns: image_dirs of a json file that was named by its path"""
    folder, base = os.path.split(path)
    name = base[:-len(".json")]
    beside = _image_dirs(folder, name, path)
    if os.path.basename(folder) != "annotations":
        return beside
    return [*_image_dirs(os.path.dirname(folder), name, path)[:-1], *beside]


def _image_dirs(place, name, annotation_file):
    """Returns: list of the folders that there are of those that may hold the images, at last that of the annotations"""
    plain = next((name[len(prefix):] for prefix in PREFIXES if name.startswith(prefix)), name)
    names = dict.fromkeys([name, plain, IMAGES_OF.get(plain, plain)])
    folders = [folder for n in names for folder in (n, f"images/{n}")]
    paths = [os.path.join(place, folder) for folder in [*folders, "images"]]
    # names of images may have the folder of the split in them
    return [*filter(os.path.isdir, paths), *dict.fromkeys([place, os.path.dirname(annotation_file)])]


def read_json(path: str) -> dict:
    """
    Returns:
        dict with the lists "images", "annotations" and "categories" of a json file, whatever these have in them. An
        image_info file, of a test set, has no annotations.

    Raises:
        UserError: it cannot be read, or has no such lists
    """
    content = _read(path)
    if is_test_set(path) and isinstance(content, dict):
        content["annotations"] = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not in COCO's format, it has no list \"{key}\"; export it as COCO instances")
    return content


def is_test_set(path: str) -> bool:
    """Returns: whether an annotation file is one of those with which COCO gives the images of a test set"""
    return os.path.basename(path).startswith("image_info_")


def _read(path):
    try:
        with open(path, "rb") as f:
            return _parse(f.read())
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); check the file and its permissions") from None
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not a json file ({e}); it may be cut short, fetch or export it again") from None


def _parse(text):
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Python's takes what others write against the standard, such as NaN, and says better what is wrong
        return json.loads(text.decode("utf-8-sig"))


@contextlib.contextmanager
def garbage_stays():
    """
    A context without garbage collection: to look for some among millions of new lists takes half of the time. Behind it
    the memory that they took goes back to the system, where the C library can do that.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)


@contextlib.contextmanager
def refusing_deep(path: str) -> Iterator[None]:
    """A context in which values that are nested too deeply to be quoted are a UserError."""
    try:
        yield
    except RecursionError:
        raise UserError(f"{path}: something in it is nested too deeply; mend the file") from None
