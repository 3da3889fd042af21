"""Every kind of problem is found and named, and a clean data set has none."""
import ast
import pathlib
import shutil

from common import UserError

import numpy as np
import pytest

import checked_folder
import coco_folder
import data
from data.check import pictures, rules
from data.check.checker import check
from data.check.kinds import KINDS
from data.check.split import make_split
from tiny import ROOT

HEIGHT, WIDTH = coco_folder.HEIGHT, coco_folder.WIDTH
NUM_PIXELS = HEIGHT * WIDTH
TRIANGLE = [[10, 10, 30, 10, 30, 30]]


def annotation(**changes):
    """A change of the annotation 1002, of image 2"""
    return lambda contents: contents["train"]["annotations"][1].update(changes)


def image(**changes):
    """A change of the image 2"""
    return lambda contents: contents["train"]["images"][1].update(changes)


def more(part, **changes):
    """A copy of what stands first in a part of train, with changes"""
    return lambda contents: contents["train"][part].append({**contents["train"][part][0], **changes})


def all_boxes(bbox, segmentation=None):
    def plant(contents):
        for fields in contents["train"]["annotations"]:
            fields.update(bbox=bbox, segmentation=segmentation or TRIANGLE)
    return plant


def emptied(name, part):
    return lambda contents: contents[name].update({part: []})


def relabelled(name, old, new):
    def plant(contents):
        for fields in contents[name]["annotations"]:
            fields["category_id"] = new if fields["category_id"] == old else fields["category_id"]
    return plant


def recategorized(split, **changes):
    return lambda contents: contents[split]["categories"][0].update(changes)


def with_keypoints(keypoints, **changes):
    """Categories of one keypoint, and those of the annotation 1002, with other changes of it"""
    def plant(contents):
        for content in contents.values():
            for category in content["categories"]:
                category["keypoints"] = ["nose"]
        contents["train"]["annotations"][1].update(keypoints=keypoints, **changes)
    return plant


IN_TRAIN = "instances_train.json"
ANNOTATED = [
    ("annotation-form", lambda contents: contents["train"]["annotations"].append("x"), IN_TRAIN, "annotation number 4"),
    ("annotation-id-twice", more("annotations", image_id=2, bbox=[11, 11, 19, 19]), IN_TRAIN, "annotation 1001"),
    ("annotation-image", annotation(image_id=77), IN_TRAIN, "annotation 1002"),
    ("annotation-crowd", annotation(iscrowd=2), IN_TRAIN, "annotation 1002"),
    ("area", annotation(area="large"), IN_TRAIN, "annotation 1002"),
    ("area-implausible", annotation(area=4000), IN_TRAIN, "annotation 1002"),
    ("area-implausible", annotation(area=0), IN_TRAIN, "annotation 1002"),
    ("box-empty", annotation(bbox=[10, 10, 0, 20]), IN_TRAIN, "annotation 1002"),
    ("box-form", annotation(bbox=[10, 10, 20]), IN_TRAIN, "annotation 1002"),
    ("box-leaves-image", annotation(bbox=[-2, 10, 32, 20]), IN_TRAIN, "annotation 1002"),
    ("box-outside", annotation(bbox=[WIDTH, 10, 20, 20]), IN_TRAIN, "annotation 1002"),
    ("category-unknown", annotation(category_id=5), IN_TRAIN, "annotation 1002"),
    ("file-twice", image(file_name="1.jpg"), "train/1.jpg", "image 2"),
    ("image-id", image(id="two"), IN_TRAIN, "image number 2"),
    ("image-id-twice", more("images", file_name="2.jpg"), IN_TRAIN, "image 1"),
    ("image-missing", image(file_name="absent.jpg"), IN_TRAIN, "image 2"),
    ("image-name", image(file_name=None), IN_TRAIN, "image 2"),
    ("image-outside-folder", image(file_name="../val/101.jpg"), IN_TRAIN, "image 2"),
    ("image-size", image(height=None), IN_TRAIN, "image 2"),
    ("keypoints", with_keypoints([20, 20, 7]), IN_TRAIN, "annotation 1002"),
    ("keypoints-form", with_keypoints([20, 20]), IN_TRAIN, "annotation 1002"),
    ("keypoint-outside", with_keypoints([20, HEIGHT + 2, 2]), IN_TRAIN, "annotation 1002"),
    ("keypoint-leaves-box", with_keypoints([20, 43, 1]), IN_TRAIN, "annotation 1002"),
    ("keypoint-origin", with_keypoints([0, 0, 2]), IN_TRAIN, "annotation 1002"),
    ("keypoint-count", with_keypoints([20, 20, 2], num_keypoints=0), IN_TRAIN, "annotation 1002"),
    ("keypoint-count", annotation(num_keypoints=3), IN_TRAIN, "annotation 1002"),
    ("mask-empty", annotation(segmentation=[[10, 10, 20, 20, 30, 30]]), IN_TRAIN, "annotation 1002"),
    ("mask-empty", annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": [NUM_PIXELS]}), IN_TRAIN,
     "annotation 1002"),
    ("mask-form", annotation(segmentation="polygon"), IN_TRAIN, "annotation 1002"),
    ("mask-leaves-box", annotation(segmentation=[[10, 10, 33, 10, 30, 30]]), IN_TRAIN, "annotation 1002"),
    ("mask-leaves-box", annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": [0, 40, NUM_PIXELS - 40]}),
     IN_TRAIN, "annotation 1002"),
    ("mask-misses-box", annotation(segmentation=[[10, 10, 15, 10, 15, 30]], bbox=[10, 10, 25, 20]), IN_TRAIN,
     "annotation 1002"),
    ("no-mask", annotation(segmentation=None), IN_TRAIN, ""),
    ("object-tiny", annotation(bbox=[10, 10, 20, 0.5], area=10, segmentation=[[10, 10, 30, 10, 30, 10.5]]), IN_TRAIN,
     "annotation 1002"),
    ("object-twice", more("annotations", id=1099), IN_TRAIN, "annotation 1099"),
    ("polygon-corner", annotation(segmentation=[[10, 10, 30, 10, 30, None]]), IN_TRAIN, "annotation 1002"),
    ("polygon-points", annotation(segmentation=[[10, 10, 30, 30]]), IN_TRAIN, "annotation 1002"),
    ("rle-counts", annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": [5]}), IN_TRAIN, "annotation 1002"),
    ("rle-size", annotation(segmentation={"size": [WIDTH, HEIGHT], "counts": [NUM_PIXELS]}), IN_TRAIN,
     "annotation 1002"),
    # of a data set as a whole
    ("boxes-corners", all_boxes([45, 31, 70, 50], [[45, 31, 80, 31, 80, 60]]), IN_TRAIN, ""),
    ("boxes-relative", all_boxes([0.2, 0.2, 0.6, 0.6], [[0.2, 0.2, 0.8, 0.2, 0.8, 0.8]]), IN_TRAIN, ""),
    ("category-names", recategorized("train", name=" Dog"), IN_TRAIN, ""),
    ("category-one-set", recategorized("val", id=8), IN_TRAIN, ""),
    ("category-one-set", recategorized("val", name="tiger"), "instances_val.json", ""),
    ("category-unused", lambda contents: [relabelled(name, 90, 3)(contents) for name in contents], IN_TRAIN, ""),
    ("class-not-evaluated", relabelled("val", 90, 3), IN_TRAIN, ""),
    ("class-not-trained", relabelled("train", 90, 3), "instances_val.json", ""),
    ("class-no-keypoints", with_keypoints([20, 20, 2]), IN_TRAIN, ""),
    ("no-images", emptied("train", "images"), IN_TRAIN, ""),
    ("no-objects", emptied("train", "annotations"), IN_TRAIN, ""),
]


@pytest.mark.parametrize("kind, plant, path, item", ANNOTATED,
                         ids=[f"{i}-{kind}" for i, (kind, *_) in enumerate(ANNOTATED)])
def test_what_is_wrong_with_annotations_is_found_with_file_and_id(tmp_path, kind, plant, path, item):
    contents = checked_folder.clean_content()
    plant(contents)
    checked_folder.write(tmp_path, contents)
    first = next(problem for problem in checked_folder.found(tmp_path) if problem.kind == kind)
    assert first.path.endswith(path) and first.item.startswith(item) and first.text


# images that are opened ---------------------------------------------------------------------------------------------
def cut_short(folder):
    path = folder / "train" / "2.jpg"
    path.write_bytes(path.read_bytes()[:200])


def of_another_size(folder):
    coco_folder.write_image(folder / "train" / "2.jpg", height=HEIGHT + 1)


def turned(folder):
    path = folder / "train" / "2.jpg"
    content = path.read_bytes()
    # a note of EXIF that says: upside down
    tiff = b"MM\0*" + bytes([0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0])
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff + content[2:])


def copied(source, target):
    return lambda folder: shutil.copy(folder / source, folder / target)


OPENED = [
    ("image-unreadable", cut_short, "train/2.jpg", "image 2"),
    ("image-other-size", of_another_size, "train/2.jpg", "image 2"),
    ("image-turned", turned, "train/2.jpg", "image 2"),
    ("image-twice", copied("train/1.jpg", "train/2.jpg"), "train/2.jpg", "image 2"),
    ("image-in-two-sets", copied("train/2.jpg", "val/102.jpg"), "val/102.jpg", "image 102")]


@pytest.mark.parametrize("kind, plant, path, item", OPENED, ids=[kind for kind, *_ in OPENED])
def test_what_is_wrong_with_an_image_file_is_found_when_it_is_opened(tmp_path, kind, plant, path, item):
    checked_folder.write(tmp_path)
    plant(tmp_path)
    assert checked_folder.found(tmp_path) == []
    (problem,) = checked_folder.found(tmp_path, open_images=True)
    assert (problem.kind, problem.item) == (kind, item) and problem.path.endswith(path)


def test_many_images_are_opened_in_several_processes_with_the_same_result(tmp_path, monkeypatch):
    checked_folder.write(tmp_path)
    cut_short(tmp_path)
    one_process = checked_folder.found(tmp_path, open_images=True)
    monkeypatch.setattr(pictures, "AT_ONCE", 1)
    monkeypatch.setattr(pictures, "num_cores", lambda: 3)
    assert checked_folder.found(tmp_path, open_images=True) == one_process != []


# all of them --------------------------------------------------------------------------------------------------------
def test_a_clean_data_set_has_no_problem(tmp_path):
    checked_folder.write(tmp_path)
    assert checked_folder.found(tmp_path, open_images=True) == []


def test_keypoints_outside_of_the_image_and_of_unknown_visibility_are_found():
    keypoints = np.array([[[20.0, 20, 2], [90, 20, 0]], [[20, 20, 3], [20, 20, 2]], [[81.5, 20, 1], [20, 20, 2]]])
    record = data.Record("a.jpg", 7, HEIGHT, WIDTH, np.tile([10.0, 10, 20, 20], (3, 1)), np.full(3, 400.0),
                         np.ones(3, np.int32), np.zeros(3, bool), 3 * [None], keypoints)
    dataset = data.Dataset("train", ("person",), (1,), "train.json", [record])
    found = [(p.kind, p.item) for p in rules.check_split(make_split(dataset, True), needs_masks=False)
             if p.kind.startswith("keypoint")]
    assert found == [("keypoints", "object 2 of image 7"), ("keypoint-outside", "object 3 of image 7")]


def test_keypoints_as_they_should_be_are_no_problem(tmp_path):
    contents = checked_folder.clean_content()
    for content in contents.values():
        content["categories"][0]["keypoints"] = ["nose", "tail"]
        for fields in content["annotations"][:1]:
            fields.update(keypoints=[20, 20, 2, 30, 41, 1], num_keypoints=2)
    checked_folder.write(tmp_path, contents)
    assert checked_folder.found(tmp_path) == []


def test_one_data_set_with_many_problems_has_all_of_them_though_training_would_refuse_it(tmp_path):
    contents = checked_folder.clean_content()
    for fields in contents["train"]["annotations"]:
        fields["bbox"] = [10, 10, -1, 20]
    checked_folder.write(tmp_path, contents)
    empty = [problem for problem in checked_folder.found(tmp_path) if problem.kind == "box-empty"]
    assert [problem.item for problem in empty] == ["annotation 1001", "annotation 1002", "annotation 1003"]
    with pytest.raises(UserError, match="3 of 3 annotations cannot be used"):
        data.load_datasets(checked_folder.make_config(tmp_path), ["train"])


def test_a_few_objects_without_a_mask_are_named_and_many_are_counted(tmp_path):
    contents = checked_folder.clean_content()
    good = contents["train"]["annotations"]
    good += [{**good[0], "id": 2000 + i, "bbox": [9 + i / 10, 10, 20, 20.5]} for i in range(20)]
    good[1]["segmentation"] = None
    checked_folder.write(tmp_path, contents)
    (problem,) = checked_folder.found(tmp_path)
    assert (problem.kind, problem.item) == ("no-mask", "annotation 1002 of image 2")
    assert checked_folder.found(tmp_path, "MODE_MASK=False") == []


def test_every_kind_that_the_program_names_is_described():
    named = set()
    for path in pathlib.Path(ROOT, "data").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                place = {"Unusable": 1, "problem": 0, "image_problem": 0, "set_problem": 0, "Problem": 0}.get(
                    getattr(node.func, "attr", getattr(node.func, "id", None)), len(node.args))
                named |= {word.value for word in node.args[place:place + 1] if isinstance(word, ast.Constant)}
    assert len(named) >= 25 and named - set(KINDS) == set()


def test_nearly_every_kind_is_planted_by_a_test():
    planted = {kind for kind, *_ in [*ANNOTATED, *OPENED]}
    assert set(KINDS) - planted == {"unusable"}


def test_no_data_set_to_check_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="no data set to check"):
        check(checked_folder.make_config(tmp_path, "DATA.TRAIN=()", "DATA.VAL=()"))
