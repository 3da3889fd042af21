"""Writes a data set in COCO's format, whole or not at all, beside links to its images or copies of them."""
from __future__ import annotations

import json
import os
import shutil
from typing import NamedTuple

from common import UserError

import numpy as np
import tqdm

from data.convert.keypoints import annotated, names_of_classes
from data.convert.objects import Contents, Picture
from data.convert.source import Source

ANNOTATIONS = "annotations"
DIGITS = 3    # of coordinates in pixels, and of areas
SEED = 0


class Written(NamedTuple):
    """What is in the target: of each split the numbers of images, objects, and objects that have a mask."""

    num_images: dict[str, int]
    num_objects: dict[str, int]
    num_masks: dict[str, int]
    class_names: tuple[str, ...]


def convert(contents: Contents, source: Source, target: str, left_out, val_share: float = 0.1, copy: bool = False,
            overwrite: bool = False) -> Written:
    """
    Write TARGET/annotations/instances_SPLIT.json and TARGET/SPLIT/, which has links to the images.

    Coordinates are rounded to a thousandth of a pixel. Categories get the ids 1..N in the order of their names, or that
    of the format's own list.

    Args:
        contents, source: what is read, and of which folder
        target: a new folder, or an empty one
        left_out (LeftOut): counts what cannot be used
        val_share: of the images that become val, drawn with a fixed seed, where the source has none
        copy: the image files, instead of links to them
        overwrite: replace what an earlier call wrote there

    Raises:
        UserError: nothing is left to write, or the target cannot be written or holds other things
    """
    target = os.path.abspath(os.path.expanduser(target))
    _check_target(target, source.folder, overwrite)
    bar = tqdm.tqdm(contents.pictures, "reading", contents.total, unit="image", disable=None)
    splits = split_pictures(_without_doubles(bar, source, left_out), val_share)
    found = sorted({o.name for pictures in splits.values() for picture in pictures for o in picture.objects})
    if not found:
        first = f"; {sum(left_out.counts.values())} things were left out" if left_out.counts else ""
        raise UserError(f"{source.folder}: there is no object in it that can be used{first}; "
                        "see that images and annotations are both there")
    temporary = f"{target}.{os.getpid()}.tmp"
    objects = (o for pictures in splits.values() for picture in pictures for o in picture.objects)
    keypoint_names = names_of_classes(contents.keypoint_names, objects)
    categories = [_category(number, name, keypoint_names.get(name, ())) for number, name in enumerate(
        dict.fromkeys([*contents.class_names, *found]), start=1)]
    try:
        written = _write_into(temporary, splits, categories, source, copy)
        _move(temporary, target)
    except OSError as e:
        hint = "" if copy else ", or give --copy if the disk has no links"
        raise UserError(f"{target}: cannot be written ({e.strerror}); choose a place with room{hint}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return written


# what may be replaced -----------------------------------------------------------------------------------------------
def _check_target(target, source, overwrite):
    real, real_source = os.path.realpath(target), os.path.realpath(source)
    if os.path.commonpath([real, real_source]) in (real, real_source):
        raise UserError(f"TARGET {target} and SOURCE {source} are one in the other; choose another TARGET, as nothing "
                        "of the source is changed")
    if not os.path.lexists(target) or os.path.isdir(target) and not os.listdir(target):
        return
    if not overwrite:
        raise UserError(f"TARGET {target} is there already; choose another folder, or add --overwrite")
    if not os.path.isdir(target) or os.path.islink(target) or not _is_ours(target):
        raise UserError(f"TARGET {target} has other things than a converted data set, which --overwrite would delete; "
                        "choose another folder")


def _is_ours(target):
    """Whether a folder has splits with their annotations and nothing else"""
    folders = set(os.listdir(target)) - {ANNOTATIONS}
    annotations = os.path.join(target, ANNOTATIONS)
    return os.path.isdir(annotations) and {_file_name(name) for name in folders} == set(os.listdir(annotations))


def _file_name(split):
    return f"instances_{split}.json"


def _move(temporary, target):
    if os.path.isdir(target) and os.listdir(target):
        old = f"{temporary}.old"
        os.rename(target, old)
        os.rename(temporary, target)
        shutil.rmtree(old)
    else:
        os.rename(temporary, target)    # also onto an empty folder


# splits -------------------------------------------------------------------------------------------------------------
def _without_doubles(pictures, source, left_out):
    """Yields: the pictures, of each image file in each split the first"""
    seen = set()
    for picture in pictures:
        if (picture.file, picture.split) in seen:
            left_out.add("image", source.path(picture.file), "it is annotated twice")
        else:
            seen.add((picture.file, picture.split))
            yield picture


def split_pictures(pictures, val_share: float) -> dict[str, list[Picture]]:
    """
    Args:
        pictures: those of no split belong to train
        val_share: in 0..1, of train that becomes val where there is none; at least one image, and not the only one

    Returns:
        dict of "train", "val" and "test", those that have pictures, to them, ordered by their files
    """
    splits = {}
    for picture in sorted(pictures, key=lambda picture: picture.file):
        splits.setdefault(picture.split or "train", []).append(picture)
    train = splits.get("train", [])
    if val_share and len(train) > 1 and "val" not in splits:
        num_val = min(max(round(val_share * len(train)), 1), len(train) - 1)
        chosen = set(np.random.default_rng(SEED).permutation(len(train))[:num_val].tolist())
        splits["train"] = [picture for number, picture in enumerate(train) if number not in chosen]
        splits["val"] = [picture for number, picture in enumerate(train) if number in chosen]
    return {split: splits[split] for split in ("train", "val", "test") if split in splits}


# files --------------------------------------------------------------------------------------------------------------
def _category(number, name, keypoint_names):
    category = {"id": number, "name": name}
    return {**category, "keypoints": list(keypoint_names), "skeleton": []} if keypoint_names else category


def _write_into(folder, splits, categories, source, copy):
    os.makedirs(os.path.join(folder, ANNOTATIONS))
    total = sum(map(len, splits.values()))
    with tqdm.tqdm(desc="writing", total=total, unit="image", disable=None) as bar:
        for split, pictures in splits.items():
            files = _short_names([picture.file for picture in pictures])
            for picture, file in zip(pictures, files):
                _place(picture, source, os.path.join(folder, split, file), copy)
                bar.update()
            _write_json(os.path.join(folder, ANNOTATIONS, _file_name(split)), pictures, files, categories)
    objects = {split: [o for picture in pictures for o in picture.objects] for split, pictures in splits.items()}
    return Written({split: len(pictures) for split, pictures in splits.items()},
                   {split: len(some) for split, some in objects.items()},
                   {split: sum(o.segmentation is not None for o in some) for split, some in objects.items()},
                   tuple(category["name"] for category in categories))


def _short_names(files):
    """Returns: list of str, paths from the folder that all files have in common"""
    folders = [os.path.dirname(file) for file in files]
    start = os.path.commonpath(folders) if all(folders) else ""
    return [os.path.relpath(file, start) if start else file for file in files]


def _place(picture, source, path, copy):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if picture.content is not None:
        with open(path, "wb") as f:
            f.write(picture.content)
    elif copy:
        shutil.copyfile(source.path(picture.file), path)
    else:
        os.symlink(source.path(picture.file), path)


def _write_json(path, pictures, files, categories):
    """COCO's json, with a line for each image and each annotation"""
    by_name = {category["name"]: category for category in categories}
    images = ({"id": number, "file_name": file, "height": picture.size[0], "width": picture.size[1]}
              for number, (picture, file) in enumerate(zip(pictures, files), start=1))
    objects = ((number, o) for number, picture in enumerate(pictures, start=1) for o in picture.objects)
    annotations = (_annotation(number, image_id, o, by_name[o.name])
                   for number, (image_id, o) in enumerate(objects, start=1))
    with open(path, "w", encoding="utf-8") as f:
        for opening, rows in (('{"images": [\n', images), ('],\n"annotations": [\n', annotations),
                              ('],\n"categories": [\n', categories)):
            f.write(opening)
            for number, row in enumerate(rows):
                f.write((",\n" if number else "") + json.dumps(row))
        f.write("]}\n")


def _annotation(number, image_id, o, category):
    """Returns: dict, of an `Object`"""
    polygons = o.segmentation
    if isinstance(polygons, list):
        polygons = [np.round(polygon, DIGITS).tolist() for polygon in polygons]
    annotation = {"id": number, "image_id": image_id, "category_id": category["id"],
                  "bbox": np.round(o.bbox, DIGITS).tolist(), "area": round(o.area, DIGITS), "iscrowd": 0,
                  "segmentation": polygons or [], **annotated(o.keypoints, category.get("keypoints", ()))}
    return {**annotation, "difficult": 1} if o.is_difficult else annotation
