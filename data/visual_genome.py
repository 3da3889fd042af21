"""
Reads Visual Genome: objects.json and image_data.json beside the images in VG_100K/ and VG_100K_2/.

Objects have names that people chose freely. Which of these are classes a vocabulary says: a file with a line for each
class, its name and synonyms with commas between them (Anderson et al. 2018, "Bottom-Up and Top-Down Attention": 1,600
classes), or else so many of the most frequent names.
"""
from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from common import UserError

import numpy as np
import orjson

from data.coco_files import garbage_stays, refusing_deep
from data.flat_records import FlatRecords, Images, Objects, offsets_of, pack_names
from data.flat_segmentations import PartsBuilder
from data.folders import SUFFIXES_AS_WRITTEN, Folder, read_lines
from data.records import Dataset, Skipped, Unusable

SPLITS = ("train", "val", "test")
VISUAL_GENOME_NAMES = tuple(f"visual_genome_{split}" for split in SPLITS)
IMAGE_FOLDERS = ("VG_100K", "VG_100K_2")
NUM_PARTS = 20    # of the images without lists of splits: one is for validation and one for tests
# an object: the number of its image in the split, its id in the file, and x, y, width, height
OBJECT = np.dtype([("image", np.int64), ("id", np.int64), ("label", np.int32), ("bbox", np.float64, 4)])


class _Labels(dict):
    """
    The class in 1..N of a name as it is in the file, 0 for none. Each is cleaned once.

    Args:
        known (dict): the same of clean names
    """

    def __init__(self, known):
        super().__init__()
        self._known = known

    def __missing__(self, name):
        self[name] = label = self._known.get(_clean(name), 0)
        return label


class _Picture(NamedTuple):
    """The first attributes of a `Record`"""

    file_name: str
    image_id: int
    height: int
    width: int


def load_visual_genome(basedir: str, name: str, vocabulary: str = "", num_classes: int = 2500) -> Dataset:
    """
    Load one of VISUAL_GENOME_NAMES.

    The images of a split are those in train.txt, val.txt or test.txt beside the json files: an image id on each line,
    or a path to its file. Where there are no such files, images whose id is a multiple of 20 are for validation, those
    with the next ids for tests, and all others for training.

    Names are taken in lower case and without a period at their end. Objects whose names are no class are left out.
    Boxes are clipped to the image; of several with the same class and box in an image one is kept.

    Args:
        vocabulary: path of a vocabulary, absolute, from here or from basedir; without it the classes are the most
            frequent names of all objects, the most frequent first
        num_classes: how many of these

    Raises:
        UserError: a file is missing or not Visual Genome's, or more than 10 % of the images or objects are bad
    """
    path = os.path.join(basedir, "objects.json")
    with garbage_stays(), refusing_deep(path):
        entries = _read_json(path)
        class_names, known = (_read_vocabulary(basedir, vocabulary) if vocabulary
                              else _most_frequent(entries, num_classes, path))
        pictures = _find_pictures(basedir, name.rpartition("_")[2])
        objects = _distinct(_find_objects(entries, pictures, _Labels(known), path))
    return Dataset(name, class_names, tuple(range(1, len(class_names) + 1)), path, _make_records(pictures, objects),
                   metric="visual_genome")


# files ------------------------------------------------------------------------------------------------------------
def _read_json(path):
    """Returns: list of dict"""
    try:
        with open(path, "rb") as f:
            content = orjson.loads(f.read())
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); set DATA.BASEDIR to the folder with objects.json and "
                        "image_data.json") from None
    except ValueError as e:
        raise UserError(f"{path}: not a json file ({e}); it may be cut short, fetch it again") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise UserError(f"{path}: not Visual Genome's, which is a list of images; fetch it again")
    return content


# classes ----------------------------------------------------------------------------------------------------------
def _clean(name):
    return name.strip().lower().removesuffix(".").strip()


def _read_vocabulary(basedir, vocabulary):
    """Returns: tuple of the names of classes 1..N, and dict of names and synonyms to their class"""
    path = os.path.expanduser(vocabulary)
    if not os.path.exists(path):
        path = os.path.join(basedir, path)
    lines = read_lines(path, "set DATA.VG_VOCABULARY to a file with the name and synonyms of a class on each line")
    classes = [[_clean(word) for word in line.split(",")] for line in lines]
    if not classes:
        raise UserError(f"{path}: it has no class; write the name and synonyms of a class on each line")
    # its own name comes before a synonym of another, the first line before a later one
    pairs = [(words[0], label) for label, words in enumerate(classes, 1)]
    pairs += [(word, label) for label, words in enumerate(classes, 1) for word in words[1:]]
    return tuple(words[0] for words in classes), dict(reversed(pairs))


def _most_frequent(entries, num_classes, path):
    """Returns: the same, of the names that objects have first"""
    counts = collections.Counter()
    raw = collections.Counter(next(_names(item), "") for entry in entries for item in _objects(entry))
    for name, count in raw.items():
        counts[_clean(name)] += count
    del counts[""]
    names = tuple(sorted(counts, key=lambda name: (-counts[name], name))[:max(num_classes, 1)])
    if not names:
        raise UserError(f"{path}: no object has a name; fetch it again")
    return names, {name: label for label, name in enumerate(names, 1)}


def _objects(entry):
    """Returns: list, the objects of an image, whatever they are"""
    objects = entry.get("objects")
    return objects if isinstance(objects, list) else []


def _names(item) -> Iterator[str]:
    """Yields: the names of an object, none for what is no object"""
    names = item.get("names") if isinstance(item, dict) else None
    return (name for name in names if isinstance(name, str)) if isinstance(names, list) else iter(())


# images -----------------------------------------------------------------------------------------------------------
def _find_pictures(basedir, split):
    """Returns: list of _Picture, of a split, in the order of their ids"""
    path = os.path.join(basedir, "image_data.json")
    entries, listed = _read_json(path), _listed_ids(basedir, split)
    folder, skipped = Folder(basedir), Skipped("image", path, len(entries))
    pictures, seen = {}, set()
    for number, entry in enumerate(entries, 1):
        image_id = _image_id(entry)
        if image_id is None:
            skipped.add(f"number {number}", Unusable("its image_id is not a whole number", "image-id"))
        elif image_id in seen:
            skipped.add(image_id, Unusable("its id appears twice", "image-id-twice"))
        elif image_id in listed if listed is not None else _split_of(image_id) == split:
            try:
                pictures[image_id] = _parse_picture(entry, image_id, folder)
            except Unusable as e:
                skipped.add(image_id, e, image_id)
        seen.add(image_id)
    skipped.finish()
    _check_listed(basedir, split, listed or set(), seen)
    return [pictures[image_id] for image_id in sorted(pictures)]


def _image_id(entry):
    image_id = entry.get("image_id", entry.get("id"))    # "id" in the first release
    return image_id if _is_id(image_id) else None


def _is_id(value):
    return isinstance(value, int) and abs(value) < 2**62


def _split_of(image_id):
    return {0: "val", 1: "test"}.get(image_id % NUM_PARTS, "train")


def _listed_ids(basedir, split):
    """Returns: set of the image ids in a split's list, None where no split has a list"""
    paths = {each: os.path.join(basedir, f"{each}.txt") for each in SPLITS}
    if not any(map(os.path.exists, paths.values())):
        return None
    ids = set()
    for line in read_lines(paths[split], "write an image id on each line, as in the list of the other split"):
        stem = os.path.splitext(os.path.basename(line.split()[0]))[0]
        if not stem.isdecimal() or len(stem) > 18:
            raise UserError(f"{paths[split]}: the line {line[:80]!r} has no image id; write one on each line")
        ids.add(int(stem))
    return ids


def _check_listed(basedir, split, listed, seen):
    skipped = Skipped("image", os.path.join(basedir, f"{split}.txt"), len(listed))
    for image_id in sorted(listed - seen):
        skipped.add(image_id, Unusable("it is not in image_data.json", "image-missing"), image_id)
    skipped.finish()


def _parse_picture(entry, image_id, folder):
    size = entry.get("height"), entry.get("width")
    if not all(isinstance(side, int) and 0 < side < 2**20 for side in size):
        raise Unusable(f"its height and width are {size[0]!r} and {size[1]!r}", "image-size")
    for place in IMAGE_FOLDERS:
        with contextlib.suppress(Unusable):
            return _Picture(folder.resolve(f"{place}/{image_id}", SUFFIXES_AS_WRITTEN), image_id, *size)
    raise Unusable(f"there is no file {image_id}.jpg in {' or '.join(IMAGE_FOLDERS)}", "image-missing")


# objects ----------------------------------------------------------------------------------------------------------
def _find_objects(entries, pictures, labels, path):
    """Returns: OBJECT (M,), image by image, with boxes clipped to it"""
    skipped = Skipped("object", path, 0)
    objects = np.fromiter(_parse_objects(entries, pictures, labels, skipped), dtype=OBJECT)
    limits = np.array([[picture.width, picture.height] * 2 for picture in pictures]).reshape(-1, 4)
    low, size = objects["bbox"][:, :2], objects["bbox"][:, 2:]
    corners = np.clip(np.concatenate([low, low + size], axis=1), 0, limits[objects["image"]])
    # two numbers can be different as they are and equal as float32
    is_whole = (corners[:, :2].astype(np.float32) < corners[:, 2:].astype(np.float32)).all(axis=1)
    for item in objects[~is_whole]:
        image_id = pictures[item["image"]].image_id
        skipped.add(f"{item['id']} of image {image_id}",
                    Unusable("its box has nothing in the image", "box-outside"), image_id, item["bbox"].tolist())
    skipped.finish()
    objects["bbox"] = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    objects = objects[is_whole]
    return objects[np.argsort(objects["image"], kind="stable")]


def _parse_objects(entries, pictures, labels, skipped):
    """Yields: fields of an OBJECT, of those objects of the pictures whose name is a class, boxes as annotated"""
    numbers = {picture.image_id: number for number, picture in enumerate(pictures)}
    for entry in entries:
        number = numbers.get(_image_id(entry))
        if number is None:
            continue
        skipped.total += len(_objects(entry))
        for item in _objects(entry):
            label = next(filter(None, map(labels.__getitem__, _names(item))), 0)
            if not label:
                continue
            object_id = item["object_id"] if _is_id(item.get("object_id")) else 0
            bbox = item.get("x"), item.get("y"), item.get("w"), item.get("h")
            if all(type(value) in (int, float) and abs(value) < 1e30 for value in bbox):
                yield number, object_id, label, bbox
            else:
                skipped.add(f"{object_id} of image {_image_id(entry)}",
                            Unusable(f"its box is {str(bbox)[:80]}, not 4 numbers", "box-form"), _image_id(entry))


def _distinct(objects):
    """Returns: OBJECT, without those that have image, class and box of an earlier one"""
    keys = [objects["image"], objects["label"], *objects["bbox"].T]
    order = np.lexsort(keys)
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    return objects[np.sort(order[is_first])]


def _make_records(pictures, objects):
    """Returns: FlatRecords"""
    names, ids, heights, widths = zip(*pictures) if pictures else ((), (), (), ())
    images = Images(*pack_names(names), np.array(ids, dtype=np.int64),
                    np.array([heights, widths], dtype=np.int32).T.copy(),
                    offsets_of(np.bincount(objects["image"], minlength=len(pictures))))
    count, bboxes = len(objects), objects["bbox"].copy()
    return FlatRecords(images, Objects(
        bboxes, bboxes[:, 2:].prod(axis=1), objects["label"].copy(), np.zeros(count, dtype=bool),
        np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int32)),
        PartsBuilder().finish())
