"""
The `shapes` data set on disk: images of overlapping shapes that the project draws itself, in COCO's format.

Each image is a function of (seed, split, index) alone, so the files are the same on any number of processes.
"""
import functools
import json
import os
import shutil
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

from common import UserError

import tqdm
from tensorpack.utils import logger

from data.shapes.drawing import CLASS_NAMES, HEIGHT, WIDTH
from data.shapes.scene import render_image
from data.shapes.tips import skeleton
from data.workers import num_cores, prepare_worker

VERSION = 2              # raise it when the same seed gives other files; existing data sets are then drawn again
MARKER = "shapes.json"   # in the folder of a complete data set
CONTENT = {MARKER, "annotations", "train", "val"}
NUM_TRAIN, NUM_VAL, SEED = 2000, 200, 0


def ensure_rendered(out):
    """
    Render the data set into `out`, unless one of this version is there, of any size and seed.

    Raises:
        UserError: the folder holds other files, or cannot be written
    """
    if (_read_marker(out) or {}).get("version") != VERSION:
        render_dataset(out, NUM_TRAIN, NUM_VAL, SEED)


def render_dataset(out, num_train, num_val, seed, num_procs=None):
    """
    Render the data set into `out`: annotations/instances_{train,val}.json, train/*.jpg and val/*.jpg.

    It appears there complete or not at all. Nothing is done when it is there already; one of another version, size or
    seed is replaced.

    Args:
        out (str): folder, which is made
        num_train, num_val (int): images
        seed (int): at least 0
        num_procs (int): None for one on each core

    Raises:
        UserError: the folder holds other files, or cannot be written
    """
    marker = {"version": VERSION, "train": num_train, "val": num_val, "seed": seed}
    out = os.path.abspath(out)
    if _read_marker(out) == marker:
        return
    _check_replaceable(out)
    logger.info(f"Rendering the shapes data set ({num_train} + {num_val} images) into {out}")
    temporary = f"{out}.{os.getpid()}.tmp"
    try:
        _render_into(temporary, marker, num_procs or num_cores())
        _move(temporary, out)
    except OSError as e:
        raise UserError(f"{out}: cannot write the shapes data set ({e.strerror}); set DATA.BASEDIR to a folder with "
                        "room that can be written") from None
    except BrokenExecutor:
        raise UserError(f"{out}: a process that renders the shapes data set was killed; free some memory and start "
                        "again") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_marker(out):
    try:
        with open(os.path.join(out, MARKER), encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def _check_replaceable(out):
    """Only an empty folder, or a data set of ours and nothing else, may be replaced."""
    if not os.path.lexists(out):
        return
    if not os.path.isdir(out) or not (set(os.listdir(out)) <= CONTENT and (_read_marker(out) or not os.listdir(out))):
        raise UserError(f"{out} holds other files, the shapes data set needs a folder of its own; "
                        "set DATA.BASEDIR=datasets/shapes")


def _move(temporary, out):
    if os.path.isdir(out) and os.listdir(out):
        old = f"{temporary}.old"
        os.rename(out, old)
        os.rename(temporary, out)
        shutil.rmtree(old)
    else:
        os.rename(temporary, out)    # also onto an empty folder


def _render_into(folder, marker, num_procs):
    os.makedirs(os.path.join(folder, "annotations"))
    tasks = []
    for split in ("train", "val"):
        os.makedirs(os.path.join(folder, split))
        tasks += [(split, index) for index in range(marker[split])]
    render = functools.partial(_render_file, folder, marker["seed"])
    with ProcessPoolExecutor(num_procs, initializer=prepare_worker) as pool:
        try:
            results = pool.map(render, tasks, chunksize=8)
            # disable=None: no bar where the output is no terminal
            objects = dict(zip(tasks, tqdm.tqdm(results, "shapes", len(tasks), unit="image", disable=None)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for split in ("train", "val"):
        content = _coco_content(split, [objects[split, index] for index in range(marker[split])], marker)
        with open(os.path.join(folder, "annotations", f"instances_{split}.json"), "w", encoding="utf-8") as f:
            json.dump(content, f, separators=(",", ":"))
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as f:
        json.dump(marker, f)


def _render_file(folder, seed, task):
    """Returns: the annotations of one image, of which it writes the file"""
    split, index = task
    jpeg, annotations = render_image(seed, split, index)
    with open(os.path.join(folder, split, _file_name(index)), "wb") as f:
        f.write(jpeg)
    return annotations


def _file_name(index):
    return f"{index + 1:06d}.jpg"


def _coco_content(split, objects, marker):
    """
    Args:
        objects (list): for each image its annotations, which get ids here
    """
    images = [{"id": i + 1, "file_name": _file_name(i), "height": HEIGHT, "width": WIDTH} for i in range(len(objects))]
    annotations = [{"image_id": i + 1, **annotation} for i, mine in enumerate(objects) for annotation in mine]
    return {
        "info": {"description": f"shapes, {split}", **marker},
        "images": images,
        "annotations": [{"id": i + 1, **annotation} for i, annotation in enumerate(annotations)],
        "categories": [{"id": i + 1, "name": name, **skeleton(name)} for i, name in enumerate(CLASS_NAMES)],
    }
