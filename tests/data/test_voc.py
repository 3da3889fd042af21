import json
import os
import shutil

from common import UserError

import numpy as np
import pytest

import data
from coco_folder import HEIGHT, WIDTH, write_image
from config import new_config
from data import records, voc
from data.voc import VOC_CLASS_NAMES, load_voc, load_voc_folder
from predict import evaluate_model
from training_runs import SMALLEST, TINY, final_state, train_here
from voc_folder import make_object, make_xml, write_images, write_voc


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def load(folder, *changed, num_images=10):
    """A data set of good images and then those of XML texts."""
    write_images(folder, num_images, *changed)
    return load_voc_folder(str(folder), "train")


def load_last(folder, *objects, **fields):
    """The record of an image with these objects, behind good ones."""
    return load(folder, make_xml(*objects, **fields)).records[-1]


# what is read -----------------------------------------------------------------------------------------------------
def test_corners_become_the_outer_edges_of_the_first_and_the_last_pixel(tmp_path):
    record = load_last(tmp_path, make_object(corners=(1, 1, WIDTH, HEIGHT)), make_object(corners=(5, 6, 5, 7)))
    assert record.boxes.tolist() == [[0, 0, WIDTH, HEIGHT], [4, 5, 5, 7]]
    assert record.bboxes.tolist() == [[0, 0, WIDTH, HEIGHT], [4, 5, 1, 2]]
    assert record.areas.tolist() == [WIDTH * HEIGHT, 2]


def test_corners_may_have_decimals(tmp_path):
    record = load_last(tmp_path, make_object(corners=("45.70000076293945", "6.5", "50.25", " 20 ")))
    np.testing.assert_allclose(record.boxes, [[44.7, 5.5, 50.25, 20]])


def test_boxes_are_clipped_to_the_image(tmp_path):
    assert load_last(tmp_path, make_object(corners=(0, -5, 500, 20))).boxes.tolist() == [[0, 0, WIDTH, 20]]


@pytest.mark.parametrize("fields, is_difficult", [({}, False), ({"difficult": 0}, False), ({"difficult": 1}, True)])
def test_difficult_objects_are_marked(tmp_path, fields, is_difficult):
    record = load_last(tmp_path, make_object(**fields))
    assert record.is_difficult.tolist() == [is_difficult] and record.is_crowd.tolist() == [False]


def test_the_parts_of_an_object_are_no_objects(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    dataset = load(tmp_path, make_xml(make_object().replace("</object>", part + "</object>")))
    assert len(dataset.records[-1].labels) == 1 and dataset.class_names == ("cat",)


def test_an_image_without_objects_has_empty_arrays(tmp_path):
    record = load_last(tmp_path)
    assert record.boxes.shape == (0, 4) and record.labels.shape == record.is_difficult.shape == (0,)


def test_a_size_that_the_annotation_lacks_is_that_of_the_file(tmp_path):
    assert load_last(tmp_path, size=None).size == load_last(tmp_path, size=(0, 0)).size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("names, ids", [
    (["000005", "000012"], [5, 12]), (["2008_000002", "2010_000123"], [2008000002, 2010000123]),
    (["b", "a"], [1, 2]), (["1", "01"], [1, 2]), (["1" * 30, "5"], [1, 2])])
def test_images_have_the_digits_of_their_names_as_ids_or_else_their_place_in_the_list(tmp_path, names, ids):
    write_voc(tmp_path, dict.fromkeys(names, make_xml(make_object())))
    assert [record.image_id for record in load_voc_folder(str(tmp_path), "train").records] == ids


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".tif"])
def test_images_may_be_of_other_kinds(tmp_path, suffix):
    write_voc(tmp_path, {"one": make_xml(make_object())}, suffix=suffix)
    (record,) = load_voc_folder(str(tmp_path), "train").records
    assert record.file_name == str(tmp_path / "JPEGImages" / f"one{suffix}")


def test_an_image_may_have_the_name_that_its_annotation_says(tmp_path):
    write_voc(tmp_path, {"one": make_xml(make_object(), file_name="sub/other.jpg")})
    (tmp_path / "JPEGImages" / "one.jpg").unlink()
    write_image(tmp_path / "JPEGImages" / "sub" / "other.jpg")
    assert load_voc_folder(str(tmp_path), "train").records[0].file_name.endswith("sub/other.jpg")


@pytest.mark.parametrize("text", ["000001\n\n000002\n000001", "000001.jpg\r\n000002", " 000001  1\n000002 -1"])
def test_a_list_may_have_suffixes_or_be_that_of_a_class(tmp_path, text):
    write_images(tmp_path, 2)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(text)
    assert [record.image_id for record in load_voc_folder(str(tmp_path), "train").records] == [1, 2]


def test_names_of_images_may_end_in_a_number_behind_a_space(tmp_path):
    write_voc(tmp_path, dict.fromkeys(["photo 0", "photo 1"], make_xml(make_object())))
    assert len(load_voc_folder(str(tmp_path), "train").records) == 2


# classes ----------------------------------------------------------------------------------------------------------
def test_the_classes_are_those_of_all_annotations_so_that_splits_have_the_same(tmp_path):
    write_voc(tmp_path, {"1": make_xml(make_object("zebra")), "2": make_xml(make_object("cat"))})
    write_voc(tmp_path, {"3": make_xml(make_object("dog"))}, split="val")
    cfg = new_config()
    cfg.DATA.BASEDIR = str(tmp_path)
    train, val = data.load_datasets(cfg, ("train", "val"))
    assert train.class_names == val.class_names == ("cat", "dog", "zebra") and train.category_ids == (1, 2, 3)
    assert [record.labels.tolist() for record in (*train.records, *val.records)] == [[3], [1], [2]]


def test_a_file_of_classes_says_their_order(tmp_path):
    write_voc(tmp_path, {"1": make_xml(make_object("zebra")), "2": make_xml(make_object("cat"))})
    (tmp_path / "classes.txt").write_text("zebra\n\ncat\nhorse\n")
    assert load_voc_folder(str(tmp_path), "train").class_names == ("zebra", "cat", "horse")


def test_vocs_classes_are_in_the_order_of_the_alphabet():
    assert len(VOC_CLASS_NAMES) == 20 and list(VOC_CLASS_NAMES) == sorted(VOC_CLASS_NAMES)


# names and folders ------------------------------------------------------------------------------------------------
def write_devkit(folder):
    write_voc(folder / "VOC2007", {"000005": make_xml(make_object("person"))}, "trainval")
    write_voc(folder / "VOC2007", {"000001": make_xml(make_object("dog"))}, "test")
    write_voc(folder / "VOC2012", {"2008_000002": make_xml(make_object("tvmonitor"))}, "trainval")
    write_voc(folder / "VOC2012", {"2008_000001": None}, "test")


@pytest.mark.parametrize("basedir", ["", "data", "data/VOCdevkit"])
def test_the_devkit_or_the_folder_that_it_is_in_may_be_given(tmp_path, basedir):
    write_devkit(tmp_path if not basedir else tmp_path / "data" / "VOCdevkit")
    cfg = new_config()
    cfg.DATA.BASEDIR = str(tmp_path / basedir)
    first, second = data.load_datasets(cfg, ("voc_2007_trainval", "voc_2012_trainval"))
    assert first.class_names == second.class_names == VOC_CLASS_NAMES
    assert first.category_ids == tuple(range(1, 21)) and first.metric == "voc"
    assert first.records[0].labels.tolist() == [15] and second.records[0].labels.tolist() == [20]


@pytest.mark.parametrize("name", ["{}/VOCdevkit/voc_2007_test", "{}/VOCdevkit/VOC2007/voc_2007_test",
                                  "{}/VOCdevkit/VOC2007/test"])
def test_a_name_may_have_a_folder_of_its_own(tmp_path, name):
    write_devkit(tmp_path / "VOCdevkit")
    (dataset,) = data.load_datasets(new_config(), [name.format(tmp_path)])
    assert [record.image_id for record in dataset.records] == [1]


def test_the_test_set_of_2012_has_no_ground_truth(tmp_path):
    write_devkit(tmp_path)
    dataset = load_voc(str(tmp_path), "voc_2012_test")
    assert not dataset.has_ground_truth and dataset.records[0].size == (HEIGHT, WIDTH)
    assert load_voc(str(tmp_path), "voc_2007_test").has_ground_truth


def test_a_json_file_in_cocos_format_comes_before_the_annotations_of_voc(tmp_path):
    write_images(tmp_path, 1)
    (tmp_path / "train.json").write_text('{"images": [], "annotations": [], "categories": [{"id": 4, "name": "a"}]}')
    assert data.load_datasets(new_config(), [f"{tmp_path}/train"])[0].metric == "coco"


@pytest.mark.parametrize("missing, message", [
    ("ImageSets/Main/train.txt", r"train.txt: cannot be read \(.*\); take another list \(val\), or write the name"),
    ("ImageSets", r"Main/train.txt: cannot be read \(No such file or directory\); write the name of an image"),
    ("Annotations", "there is no folder Annotations"),
    ("JPEGImages", "there is no folder JPEGImages")])
def test_what_a_folder_lacks_is_said_in_one_line(tmp_path, missing, message):
    write_images(tmp_path, 1)
    write_images(tmp_path, 1, split="val")
    path = tmp_path / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=message) as error:
        data.load_datasets(new_config(), [f"{tmp_path}/train"])
    assert "\n" not in str(error.value)


def test_a_devkit_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="voc_2007_train: there is no folder VOC2007 in .*; set DATA.BASEDIR to"):
        load_voc(str(tmp_path), "voc_2007_train")


def test_a_folder_without_any_object_has_no_classes(tmp_path):
    write_voc(tmp_path, {"1": make_xml()})
    with pytest.raises(UserError, match="no annotation has an object; .* classes.txt"):
        load_voc_folder(str(tmp_path), "train")


# bad annotations --------------------------------------------------------------------------------------------------
BOMB = ('<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        "<annotation><filename>&b;</filename></annotation>")
EXTERNAL = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation><filename>&a;</filename></annotation>'


@pytest.mark.parametrize("changed, reason", [
    (make_object("unicorn"), "there is no class 'unicorn'"),
    (make_object(corners=("one", 1, 2, 3)), "its bndbox/xmin is 'one', not a number"),
    (make_object(corners=(1, "nan", 2, 3)), "its bndbox/ymin is 'nan'"),
    (make_object(corners=(1, 2, "inf", 3)), "its bndbox/xmax is 'inf'"),
    (make_object(corners=(1, 2, 3)), "its bndbox/ymax is ''"),
    (make_object(corners=(30, 1, 20, 9)), "has no width or no height"),
    (make_object(corners=(WIDTH + 1, 1, WIDTH + 9, 9)), "is outside of the image")])
def test_a_bad_object_is_skipped_with_one_line_that_names_it(tmp_path, warnings, changed, reason):
    write_images(tmp_path, 19, make_xml(make_object(), changed))
    (tmp_path / "classes.txt").write_text("cat\n")
    dataset = load_voc_folder(str(tmp_path), "train")
    assert sum(len(record.labels) for record in dataset.records) == 20
    (line,) = warnings
    assert line.startswith(str(tmp_path / "Annotations")) and "object 2 of image 000020" in line and reason in line


@pytest.mark.parametrize("text, reason", [
    ("<annotation><object>", "not whole XML"), ("", "not whole XML"), ("<a>&b;</a>", "not whole XML"),
    ('<?xml version="1.0" encoding="no-such"?><a/>', "not whole XML"),
    (BOMB, "declares a document type 'a'"), (EXTERNAL, "declares a document type 'a'"),
    ("<a>" * 200 + "</a>" * 200, "nested more than 100 deep"), (None, "there is no file")])
def test_an_image_with_a_bad_xml_file_is_skipped_with_one_line(tmp_path, warnings, text, reason):
    dataset = load(tmp_path, text)
    assert len(dataset.records) == 10
    (line,) = warnings
    assert "image 000011" in line and reason in line


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside"])
def test_a_name_in_a_list_leads_nowhere_out_of_the_folder(tmp_path, warnings, name):
    write_images(tmp_path / "set", 10)
    write_image(tmp_path / "outside.jpg")
    (tmp_path / "outside.xml").write_text(make_xml(make_object()))
    with open(tmp_path / "set" / "ImageSets" / "Main" / "train.txt", "a") as f:
        f.write(name + "\n")
    assert len(load_voc_folder(str(tmp_path / "set"), "train").records) == 10
    assert "leads out of" in warnings[0]


@pytest.mark.parametrize("name", ["../outside.jpg", "/etc/hostname"])
def test_a_file_name_in_an_annotation_leads_nowhere_out_of_the_folder(tmp_path, warnings, name):
    write_images(tmp_path / "set", 10, make_xml(make_object(), file_name=name))
    os.rename(tmp_path / "set" / "JPEGImages" / "000011.jpg", tmp_path / "outside.jpg")
    assert len(load_voc_folder(str(tmp_path / "set"), "train").records) == 10
    assert "leads out of" in warnings[0]


def test_more_than_a_tenth_of_bad_objects_is_refused(tmp_path):
    bad = make_xml(make_object(corners=(30, 1, 20, 9)))
    with pytest.raises(UserError, match="2 of 12 objects cannot be used, .* first is object 1 of image 000011"):
        load(tmp_path, bad, bad)


def test_a_file_that_is_too_large_is_not_parsed(monkeypatch, tmp_path, warnings):
    monkeypatch.setattr(voc.safe_xml, "MAX_BYTES", 1000)
    load(tmp_path, make_xml(make_object(), file_name="x" * 1000))
    assert "bytes, more than 1000" in warnings[0]


# training ---------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_folder_is_trained_on_for_20_steps_and_evaluated(tmp_path):
    folder, logdir = tmp_path / "mine", tmp_path / "run"
    write_images(folder, 6, make_xml(make_object("dog", (20, 5, 60, 50)), make_object(difficult=1)))
    write_images(folder, 3, make_xml(make_object("dog", (20, 5, 60, 50)), make_object(difficult=1)), split="val")
    words = [f"DATA.TRAIN={folder}/train", f"DATA.VAL={folder}/val", "MODE_MASK=False"]
    train_here(["--logdir", logdir, "--config", *TINY, *SMALLEST, *words])
    assert final_state(logdir)[0] == 20
    with open(logdir / "eval.json") as f:
        report = json.load(f)["mine_val"]
    assert report["step"] == 20 and 0 <= report["bbox"]["VOC07"] <= 1 and {"AP", "AP50", "VOC10"} <= set(report["bbox"])
    evaluated = evaluate_model(str(logdir), [], str(tmp_path / "out.json"))["mine_val"]["bbox"]
    assert evaluated == report["bbox"] and json.loads((tmp_path / "out.json").read_text())
