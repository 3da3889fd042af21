"""Where COCO's own data sets lie, and those that are named by a path."""
import json
import os
import shutil

from common import UserError

import pytest

import data
from coco_folder import make_content, write
from config import new_config
from data import coco, coco_files


def load(basedir, *names):
    cfg = new_config()
    cfg.DATA.BASEDIR = str(basedir)
    return data.load_datasets(cfg, names)


def image_of(basedir, name):
    """The path of the only image of a data set, from the folder of all."""
    (dataset,) = load(basedir, name)
    (record,) = dataset.records
    return os.path.relpath(record.file_name, basedir)


# COCO's names -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, images", [
    *((name, name) for name in ("train2014", "val2014", "train2017", "val2017")), ("minival2014", "val2014"),
    ("valminusminival2014", "val2014"), ("val2017_100", "val2017"), ("coco_minival2014", "val2014")])
def test_cocos_sets_have_annotation_files_of_their_own_and_images_where_coco_has_them(tmp_path, name, images):
    path = write(tmp_path, make_content(1), name=images)
    path.rename(tmp_path / "annotations" / f"instances_{name.removeprefix('coco_')}.json")
    assert image_of(tmp_path, name) == f"{images}/1.jpg"


@pytest.mark.parametrize("name, images", [
    ("test-dev2017", "test2017"), ("test-dev2015", "test2015"), ("test2017", "test2017")])
def test_a_test_set_has_images_and_no_ground_truth(tmp_path, name, images):
    content = make_content(2)
    del content["annotations"]
    path = write(tmp_path, content, name=images)
    path.rename(tmp_path / "annotations" / f"image_info_{name}.json")
    (dataset,) = load(tmp_path, name)
    assert not dataset.has_ground_truth and dataset.class_names == ("dog", "cat", "cow")
    assert [os.path.relpath(r.file_name, tmp_path) for r in dataset.records] == [f"{images}/{i}.jpg" for i in (1, 2)]
    assert [len(record.labels) for record in dataset.records] == [0, 0]


def test_a_test_set_cannot_be_trained_on_or_be_compared_with():
    test_set = data.Dataset("test-dev2017", ("a",), (1,), "a.json", [], has_ground_truth=False)
    with pytest.raises(UserError, match="data set test-dev2017 has no ground truth, so a training cannot use it"):
        data.require_ground_truth([test_set])


@pytest.mark.parametrize("name", ["trainval35k", "coco_trainval35k", "coco/trainval35k"])
def test_trainval35k_is_two_sets_each_of_which_is_evaluated_by_itself(tmp_path, name):
    folder = tmp_path / os.path.dirname(name)
    write(folder, make_content(2), name="train2014")
    write(folder, make_content(3), name="valminusminival2014", images="val2014")
    datasets = load(tmp_path, name)
    assert [os.path.basename(d.name) for d in datasets] == [
        name.rpartition("trainval35k")[0].removeprefix("coco_").replace("/", "_") + part
        for part in ("train2014", "valminusminival2014")]
    assert [len(d.records) for d in datasets] == [2, 3]


def test_sets_with_other_keypoints_cannot_be_joined(tmp_path):
    for name, keypoints in (("a", ["nose", "tail"]), ("b", ["nose", "ear"])):
        content = make_content(1)
        for category in content["categories"]:
            category["keypoints"] = keypoints
        write(tmp_path, content, name=name)
    with pytest.raises(UserError, match="a and b have different keypoints: .nose, tail. and .nose, ear."):
        load(tmp_path, "a", "b")


# a path alone -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("annotations, images, given", [
    ("labels.json", ".", "labels.json"),
    ("labels.json", ".", ""),
    ("labels.json", ".", "/"),
    ("labels.json", "images", ""),
    ("annotations/labels.json", "images", ""),
    ("annotations/instances_default.json", "images", "annotations/instances_default.json"),
    ("annotations/instances_default.json", ".", "annotations/instances_default.json"),
    ("annotations/instances_a.json", "a", ""),
    ("train/_annotations.coco.json", "train", "train"),
    ("train/_annotations.coco.json", "train", ""),
    ("train/_annotations.coco.json", "train", "train/_annotations.coco.json")])
def test_a_folder_with_one_json_file_or_that_file_is_a_data_set(tmp_path, monkeypatch, annotations, images, given):
    write(tmp_path / "mine", make_content(1), annotations=annotations, images=images)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert image_of(tmp_path, f"~/mine/{given}".rstrip("/") + "/" * given.endswith("/")) == \
        os.path.normpath(f"mine/{images}/1.jpg")


def test_results_are_named_after_the_file_without_its_suffix(tmp_path):
    write(tmp_path / "mine", make_content(1), annotations="labels.json", images=".")
    assert load(tmp_path, str(tmp_path / "mine" / "labels.json"))[0].name == "mine_labels"


def test_a_folder_with_several_json_files_asks_which(tmp_path):
    for part in ("train", "valid"):
        write(tmp_path / "mine", make_content(1), name=part, annotations="{}/_annotations.coco.json")
    with pytest.raises(UserError, match=r"has 2 json files \(train/_annotations.coco.json, valid/_annotations.coco.json"
                                        r"\); name the one"):
        load(tmp_path, "mine")


def test_the_folder_is_taken_that_has_the_images(tmp_path):
    content = make_content(1)
    content["images"][0]["file_name"] = "images/1.jpg"    # as some tools write, beside a folder of that name
    write(tmp_path, content, annotations="labels.json", images=".")
    assert image_of(tmp_path, "labels.json") == "images/1.jpg"


def test_images_that_are_nowhere_are_asked_for_in_one_line(tmp_path):
    write(tmp_path, make_content(3), name="val2014")
    shutil.rmtree(tmp_path / "val2014")
    (tmp_path / "val2014").mkdir()
    with pytest.raises(UserError, match="3 of 3 images cannot be used, .* put the images into .*val2014, or mend"):
        load(tmp_path, "val2014")


# json ---------------------------------------------------------------------------------------------------------------
def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = write(tmp_path, make_content(1))
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(coco.load_coco(str(tmp_path), "train").records) == 1


def test_what_the_fast_reader_refuses_is_read_by_pythons(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": [NaN], "annotations": ["\\ud800"], "categories": []}')
    assert coco_files.read_json(str(path))["annotations"] == ["\ud800"]
    assert json.dumps(coco_files.read_json(str(path))["images"]) == "[NaN]"
