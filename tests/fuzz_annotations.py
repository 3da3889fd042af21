"""
Breaks annotation files by chance, and reads them: `make fuzz`, or

    PYTHONPATH=. python tests/fuzz_annotations.py --cases 10000 --seed 0

Each must be read, with what cannot be used skipped and named, or be refused in one line. Another exception, more than
some seconds or a gibibyte, and a file opened outside of the data set's folder are failures. A case follows from the
seed and its number, so `--first 1234 --cases 1` tries one again.
"""
import contextlib
import functools
import json
import os
import shutil
import sys
import traceback
from unittest import mock

from common import UserError

import numpy as np

import fuzzing
from annotation_mutations import mutate
from coco_folder import HEIGHT, WIDTH, make_content, write, write_image
from coco_truth import make_truth
from convert_folders import random_images, write_cvat, write_labelme, write_text, write_voc_xml, write_yolo
from data import records
from data.coco import load_coco
from data.convert import left_out
from data.convert.formats import read
from data.convert.left_out import LeftOut
from data.convert.source import Source
from data.convert.write import convert
from data.flat_records import FlatRecords
from data.segmentation import box_frame_mask, to_rle
from data.visual_genome import load_visual_genome
from data.voc import load_voc_folder
from tiny import ROOT
from voc_folder import write_images

SECONDS, BYTES = 10, 2**30    # that a case may take
MAX_LINE = 2000    # characters of what is said
ANNOTATIONS = (".json", ".xml", ".txt", ".yaml")


# data sets ----------------------------------------------------------------------------------------------------------
def write_coco(folder):
    content, truth = make_content(12), make_truth()
    content["annotations"] += [{**annotation, "image_id": annotation["image_id"] + 5, "id": 500 + annotation["id"]}
                               for annotation in truth["annotations"]]
    write(folder, content)


def write_keypoints(folder):
    content = make_content(12)
    for i, category in enumerate(content["categories"]):
        category.update(keypoints=["left", "right", "nose"][i:], skeleton=[[1, 2], [2, 3]])
    for i, annotation in enumerate(content["annotations"]):
        annotation.update(category_id=content["categories"][i % 3]["id"], num_keypoints=2,
                          keypoints=[12, 12, 2, 20, 20, 1, 0, 0, 0][3 * (i % 3):])
    write(folder, content)


def write_visual_genome(folder):
    content = make_content(12)
    for image in content["images"]:
        write_image(folder / "VG_100K" / image["file_name"])
    images = [{"image_id": image["id"], "width": WIDTH, "height": HEIGHT} for image in content["images"]]
    write_text(folder / "image_data.json", json.dumps(images))
    item = {"names": ["cat"], "x": 10, "y": 20, "w": 30, "h": 15, "synsets": []}
    write_text(folder / "objects.json", json.dumps([
        {"image_id": image["image_id"], "objects": [{**item, "object_id": image["image_id"]}]} for image in images]))
    write_text(folder / "vocabulary.txt", "cat,kitten\ndog\n")


def load_genome(folder, name):
    return load_visual_genome(folder, f"visual_genome_{name}", vocabulary="vocabulary.txt")


def load_records(load):
    def load_folder(folder, target):
        for record in FlatRecords.of(load(str(folder), "train").records):
            use(record)
    return load_folder


def use(record):
    """What training and metrics do with the objects of an image"""
    for box, segmentation in zip(record.boxes, record.segmentations):
        if segmentation is not None:
            box_frame_mask(segmentation, box, record.size, 28)
            to_rle(segmentation, *record.size)


def convert_folder(name):
    """Returns: a function that converts a folder and loads the result, which must be sound"""
    def run(folder, target):
        source, lost = Source(str(folder)), LeftOut()
        written = convert(read(name, source, lost), source, str(target), lost)
        for split in written.num_images:
            dataset = load_coco(str(target), split)
            assert len(dataset.records) == written.num_images[split], "COCO's reader skips an image"
            assert sum(len(record.labels) for record in dataset.records) == written.num_objects[split], "or an object"
            for record in dataset.records:
                use(record)
                assert is_inside(record.file_name, folder, target), record.file_name
    return run


# of each format: what writes a folder, and what reads it
FORMATS = {
    "coco": (write_coco, load_records(load_coco)),
    "coco keypoints": (write_keypoints, load_records(load_coco)),
    "voc": (lambda folder: write_images(folder, 12), load_records(load_voc_folder)),
    "visual genome": (write_visual_genome, load_records(load_genome)),
    "convert yolo": (lambda folder: write_yolo(folder, random_images(0)), convert_folder("yolo")),
    "convert labelme": (lambda folder: write_labelme(folder, random_images(0)), convert_folder("labelme")),
    "convert voc": (lambda folder: write_voc_xml(folder, random_images(0)), convert_folder("voc")),
    "convert cvat": (lambda folder: write_cvat(folder, random_images(0)), convert_folder("cvat"))}


# files that are opened ----------------------------------------------------------------------------------------------
_opened = None    # list of paths, while a case is read


def _note(event, args):
    if event == "open" and _opened is not None and isinstance(args[0], (str, bytes)):
        _opened.append(os.fsdecode(args[0]))


@contextlib.contextmanager
def noting_opened():
    global _opened    # noqa: PLW0603  (an audit hook stays for good)
    _opened = opened = []
    try:
        yield opened
    finally:
        _opened = None


def is_inside(path, *folders):
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, os.path.realpath(folder)]) == os.path.realpath(folder) for folder in folders)


def outside(opened, *folders):
    """Returns: list of the paths that are neither in the folders nor a part of a program"""
    program = [sys.prefix, sys.base_prefix, ROOT, os.path.dirname(os.__file__)]
    return [path for path in opened if not is_inside(path, *folders, *program)]


# cases --------------------------------------------------------------------------------------------------------------
class Fuzzer:
    """
    Args:
        folder (pathlib.Path): empty, for the files of cases
        seed (int)
    """

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed
        self.secret = folder / "secret.jpg"
        self.originals = {}
        for name, (write_folder, _) in FORMATS.items():
            original = folder / "originals" / name
            write_folder(original)
            files = [path for path in sorted(original.rglob("*")) if path.suffix in ANNOTATIONS]
            self.originals[name] = original, {path.relative_to(original): path.read_bytes() for path in files}
        shutil.copy(next(folder.rglob("*.jpg")), self.secret)
        sys.addaudithook(_note)

    def run(self, number):
        """
        Returns:
            str, the name of the format, and "read", "refused", or else what went wrong
        """
        rng = np.random.default_rng([self.seed, number])
        name = list(FORMATS)[number % len(FORMATS)]
        case = self.folder / "case" / str(number)
        source, target = case / "source", case / "target"
        self._write_case(name, source, rng)
        lines = []
        try:
            with noting_opened() as opened, mock.patch.object(records.logger, "warn", lines.append), \
                    mock.patch.object(left_out, "warn", lines.append):
                FORMATS[name][1](source, target)
            outcome = "read"
        except UserError as e:
            lines.append(str(e))
            outcome = "refused"
        except BaseException:    # noqa: B902  (a failure of any kind is one)
            outcome = traceback.format_exc()
        if any("\n" in line or len(line) > MAX_LINE for line in lines):
            outcome = f"not one line: {lines}"
        strangers = outside(opened, case)
        shutil.rmtree(case)
        return name, f"opened {strangers}" if strangers else outcome

    def _write_case(self, name, source, rng):
        """A folder with the images of the original, and one or a few of its annotation files broken"""
        original, texts = self.originals[name]
        broken = rng.choice(len(texts), size=min(len(texts), int(rng.integers(1, 3))), replace=False)
        for path in original.rglob("*.jpg"):
            link = source / path.relative_to(original)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
        for position, (path, content) in enumerate(texts.items()):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(mutate(content, rng, str(self.secret)) if position in broken else content)


def run_all(seed, numbers):
    """Yields: (number, name, outcome) of all cases, see `fuzzing.run_all`"""
    return fuzzing.run_all(functools.partial(Fuzzer, seed=seed), list(FORMATS), numbers, SECONDS, BYTES)


if __name__ == "__main__":
    fuzzing.main(run_all, list(FORMATS), num_cases=10_000)
