import itertools
import json
import os

from common import UserError

import numpy as np
import pycocotools.mask as mask_utils
import pytest

import data
from coco_folder import HEIGHT, SQUARE, WIDTH, make_annotation, make_content, write
from data import coco, records


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def load(folder, content):
    write(folder, content)
    return coco.load_coco(str(folder), "train")


def load_with_annotation(folder, num_good=20, **changes):
    """A data set with good annotations, and one with id 999 of image 1 that has some of its keys changed."""
    content = make_content(num_good)
    content["annotations"].append({**make_annotation(999, 1), **changes})
    return load(folder, content)


# what is read -----------------------------------------------------------------------------------------------------
def test_classes_are_numbered_in_the_order_of_category_ids_with_gaps(tmp_path):
    dataset = load(tmp_path, make_content())
    assert dataset.class_names == ("dog", "cat", "cow")
    assert dataset.category_ids == (3, 7, 90)
    assert dataset.records[0].labels.tolist() == [2]


def test_coco_classes_are_known_without_data():
    assert len(data.COCO_CLASS_NAMES) == len(data.COCO_CATEGORY_IDS) == 80
    assert data.COCO_CLASSES[1] == "person" and data.COCO_CLASSES[90] == "toothbrush"
    assert list(data.COCO_CATEGORY_IDS) == sorted(data.COCO_CATEGORY_IDS)


def test_boxes_become_corners_clipped_to_the_image(tmp_path):
    record = load_with_annotation(tmp_path, bbox=[-5, 50.5, 200, 20]).records[0]
    assert record.boxes.dtype == np.float32
    assert record.boxes.tolist() == [[10, 10, 30, 30], [0, 50.5, WIDTH, HEIGHT]]


def test_boxes_and_areas_are_kept_as_annotated(tmp_path):
    record = load_with_annotation(tmp_path, bbox=[-5, 50.5, 200, 20.3], area=None).records[0]
    assert record.bboxes.dtype == record.areas.dtype == np.float64
    assert record.bboxes.tolist() == [[10, 10, 20, 20], [-5, 50.5, 200, 20.3]]
    assert record.areas.tolist() == [400, 200 * 20.3]


def test_polygons_become_arrays_with_all_their_digits(tmp_path):
    (segmentation,) = load(tmp_path, make_content()).records[0].segmentations
    assert len(segmentation) == 1 and segmentation[0].dtype == np.float64
    assert segmentation[0].tolist() == SQUARE


@pytest.mark.parametrize("is_compressed", [True, False])
def test_rle_is_kept_as_it_is(tmp_path, is_compressed):
    rle = {"size": [HEIGHT, WIDTH], "counts": [100, 50, HEIGHT * WIDTH - 150]}
    if is_compressed:
        rle["counts"] = mask_utils.frPyObjects(rle, HEIGHT, WIDTH)["counts"].decode("ascii")
    assert load_with_annotation(tmp_path, segmentation=rle).records[0].segmentations[1] == rle


def test_crowd_regions_are_marked(tmp_path):
    record = load_with_annotation(tmp_path, iscrowd=1).records[0]
    assert record.is_crowd.tolist() == [False, True]


@pytest.mark.parametrize("segmentation", [None, [], [[]]])
def test_an_object_may_lack_a_segmentation(tmp_path, segmentation):
    assert load_with_annotation(tmp_path, segmentation=segmentation).records[0].segmentations[1] is None


def test_an_image_without_annotations_has_empty_arrays(tmp_path):
    content = make_content(3)
    content["annotations"] = content["annotations"][:2]
    record = load(tmp_path, content).records[2]
    assert record.boxes.shape == (0, 4) and record.labels.shape == record.is_crowd.shape == (0,)


def test_image_ids_and_sizes_are_those_of_the_file(tmp_path):
    record = load(tmp_path, make_content()).records[4]
    assert (record.image_id, record.height, record.width) == (5, HEIGHT, WIDTH)


# where it is found ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("annotations, images", [
    *itertools.product(["annotations/instances_{}.json", "annotations/{}.json", "{}.json"],
                       ["{}", "images/{}", "images"]),
    ("{}/_annotations.coco.json", "{}")])
def test_common_layouts_are_found(tmp_path, annotations, images):
    write(tmp_path, make_content(1), annotations=annotations, images=images)
    (record,) = coco.load_coco(str(tmp_path), "train").records
    assert record.file_name == str(tmp_path / images.format("train") / "1.jpg")


def test_names_of_images_may_have_the_folder_of_the_split(tmp_path):
    content = make_content(1)
    content["images"][0]["file_name"] = "train/1.jpg"
    write(tmp_path, content, images=".")
    assert coco.load_coco(str(tmp_path), "train").records[0].file_name == str(tmp_path / "train" / "1.jpg")


def test_images_may_lie_beside_the_annotations(tmp_path):
    write(tmp_path, make_content(1), annotations="{}.json", images=".")
    assert coco.load_coco(str(tmp_path), "train").records[0].file_name == str(tmp_path / "1.jpg")


def test_a_coco_prefix_may_be_added_to_the_name(tmp_path):
    write(tmp_path, make_content(1))
    assert coco.load_coco(str(tmp_path), "coco_train").name == "coco_train"


def test_a_missing_basedir_is_named(tmp_path):
    with pytest.raises(UserError, match="DATA.BASEDIR=.*nowhere is not a folder"):
        coco.load_coco(str(tmp_path / "nowhere"), "train")


def test_a_missing_annotation_file_is_named(tmp_path):
    with pytest.raises(UserError, match="data set train: none of annotations/instances_train.json"):
        coco.load_coco(str(tmp_path), "train")


# files that are not COCO's ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("text, message", [
    ("{\"images\": [", "not a json file"),
    ("\xff\xfe", "not a json file"),
    ("[" * 100_000, "not a json file"),
    ("[]", "not in COCO's format"),
    ("{\"images\": [], \"annotations\": []}", "no list \"categories\""),
    ("{\"images\": {}, \"annotations\": [], \"categories\": []}", "no list \"images\""),
    ("{\"images\": [], \"annotations\": [], \"categories\": []}", "\"categories\" is empty"),
    (json.dumps({"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}), "category .* must have"),
    (json.dumps({"images": [], "annotations": [], "categories": 2 * [{"id": 1, "name": "a"}]}), "id 1 appears twice"),
])
def test_a_file_that_is_not_cocos_is_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "train.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=message) as error:
        coco.load_coco(str(tmp_path), "train")
    assert str(tmp_path / "train.json") in str(error.value) and "\n" not in str(error.value)


def test_a_value_that_is_nested_too_deeply_is_refused_in_one_line(tmp_path):
    path = write(tmp_path, make_content(3))
    path.write_text(path.read_text().replace('"id": 1,', '"id": ' + "[" * 1000 + "]" * 1000 + ",", 1))
    with pytest.raises(UserError, match="nested too deeply"):
        coco.load_coco(str(tmp_path), "train")


# bad annotations and images -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes, reason", [
    ({"bbox": [1, 2, 3]}, "not 4 numbers"),
    ({"bbox": [1, 2, 3, "4"]}, "not 4 numbers"),
    ({"bbox": None}, "not 4 numbers"),
    ({"bbox": [1, 2, float("nan"), 4]}, "not 4 numbers"),
    ({"bbox": [1, 2, float("inf"), 4]}, "not 4 numbers"),
    ({"bbox": [1, 2, 0, 4]}, "must be positive"),
    ({"bbox": [1, 2, 3, -4]}, "must be positive"),
    ({"bbox": [WIDTH, 2, 3, 4]}, "outside of the image"),
    ({"bbox": [60, 2, 1e-9, 4]}, "outside of the image"),
    ({"category_id": 1}, "no category 1"),
    ({"category_id": [7]}, "no category"),
    ({"image_id": 1234}, "no image 1234"),
    ({"image_id": [1]}, "no image"),
    ({"iscrowd": "no"}, "iscrowd"),
    ({"segmentation": [[1, 2, 3, 4]]}, "4 numbers"),
    ({"segmentation": [SQUARE, [1, 2, 3, 4, 5, 6, 7]]}, "7 numbers"),
    ({"segmentation": [[1, 2, 3, 4, 5, None]]}, "not a"),
    ({"segmentation": [[1, 2, 3, 4, 5, [6]]]}, "not a number"),
    ({"segmentation": "polygon"}, "neither polygons nor RLE"),
    ({"segmentation": {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}}, "RLE has size"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5]}}, "do not add up"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [-5, WIDTH * HEIGHT + 5]}}, "do not add up"),
    ({"segmentation": {"size": [HEIGHT, WIDTH]}}, "no counts"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "0123oooo"}}, "do not add up"),
    ({"segmentation": [[1, 2, 3, 4, 5, 1e9]]}, "far outside"),
    ({"area": "large"}, "area is large, not a number"),
])
def test_a_bad_annotation_is_skipped_with_one_line_that_names_it(tmp_path, warnings, changes, reason):
    dataset = load_with_annotation(tmp_path, **changes)
    assert sum(len(r.labels) for r in dataset.records) == 20
    (line,) = warnings
    assert "instances_train.json" in line and "annotation 999" in line and reason in line


def test_more_than_a_tenth_of_bad_annotations_is_refused(tmp_path):
    content = make_content(20)
    for annotation in content["annotations"][:3]:
        annotation["category_id"] = 1
    with pytest.raises(UserError, match="3 of 20 annotations cannot be used, more than 10%"):
        load(tmp_path, content)


def test_a_tenth_of_bad_annotations_is_skipped(tmp_path):
    content = make_content(20)
    for annotation in content["annotations"][:2]:
        annotation["category_id"] = 1
    assert sum(len(r.labels) for r in load(tmp_path, content).records) == 18


def test_more_than_20_bad_annotations_end_in_their_total(tmp_path, warnings):
    content = make_content(300)
    for annotation in content["annotations"][:25]:
        annotation["category_id"] = 1
    load(tmp_path, content)
    assert len(warnings) == 21 and "25 of 300 annotations" in warnings[-1]


@pytest.mark.parametrize("changes, reason", [
    ({"height": None}, "height and width"),
    ({"width": 0}, "height and width"),
    ({"width": 80.5}, "height and width"),
    ({"height": "60"}, "height and width"),
    ({"id": 2}, "its id appears twice"),
    ({"id": "0021"}, "\"id\" is \"0021\", not a whole number"),
    ({"id": 2 ** 63}, "not a whole number"),
    ({"file_name": None}, "file_name is None"),
    ({"file_name": "absent.jpg"}, "there is no file"),
    ({"file_name": "/etc/hostname"}, "leads out of"),
    ({"file_name": "../outside.jpg"}, "leads out of"),
    ({"file_name": "a/../../outside.jpg"}, "leads out of"),
    ({"file_name": "linked_folder/../../outside.jpg"}, "leads out of"),
    ({"file_name": "."}, "there is no file"),
    ({"file_name": "broken_link.jpg"}, "there is no file"),
])
def test_a_bad_image_is_skipped_with_its_annotations_and_one_line(tmp_path, warnings, changes, reason):
    basedir = tmp_path / "set"
    path = write(basedir, make_content(20))
    (tmp_path / "outside.jpg").write_bytes((basedir / "train" / "1.jpg").read_bytes())
    (basedir / "train" / "broken_link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (basedir / "train" / "linked_folder").symlink_to(tmp_path)
    content = make_content(21)
    content["images"][20].update(changes)
    content["annotations"].pop()    # image 21 has none, so that only the image is bad
    path.write_text(json.dumps(content), encoding="utf-8")

    dataset = coco.load_coco(str(basedir), "train")
    assert len(dataset.records) == 20
    (line,) = warnings
    assert "skipped image" in line and reason in line


def test_annotations_of_a_bad_image_go_with_it(tmp_path, warnings):
    content = make_content(20)
    content["images"][3]["width"] = 0
    path = write(tmp_path, make_content(20))
    path.write_text(json.dumps(content), encoding="utf-8")
    assert sum(len(r.labels) for r in coco.load_coco(str(tmp_path), "train").records) == 19
    assert len(warnings) == 1


def test_images_and_folders_may_be_links_to_elsewhere(tmp_path):
    content = make_content(4)
    path = write(tmp_path / "set", content)
    os.rename(tmp_path / "set" / "train", tmp_path / "elsewhere")
    (tmp_path / "set" / "real").mkdir()
    (tmp_path / "set" / "train").symlink_to(tmp_path / "set" / "real")
    (tmp_path / "set" / "real" / "sub").symlink_to(tmp_path / "elsewhere")
    for image in content["images"][:2]:
        (tmp_path / "set" / "real" / image["file_name"]).symlink_to(tmp_path / "elsewhere" / image["file_name"])
    for image in content["images"][2:]:
        image["file_name"] = "sub/" + image["file_name"]
    path.write_text(json.dumps(content), encoding="utf-8")
    loaded = coco.load_coco(str(tmp_path / "set"), "train").records
    assert [os.path.isfile(record.file_name) for record in loaded] == [True] * 4


def test_ids_that_are_texts_are_refused_in_one_line(tmp_path):
    content = make_content(4)
    path = write(tmp_path, content)
    for image in content["images"]:
        image["id"] = f"{image['id']:04}"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match="4 of 4 images .* first is image number 1: .*\"0001\", not a whole number"):
        coco.load_coco(str(tmp_path), "train")


def test_more_than_a_tenth_of_bad_images_is_refused(tmp_path):
    path = write(tmp_path, make_content(10))
    os.remove(tmp_path / "train" / "1.jpg")
    os.remove(tmp_path / "train" / "2.jpg")
    with pytest.raises(UserError, match="2 of 10 images cannot be used, more than 10%") as error:
        coco.load_coco(str(tmp_path), "train")
    assert str(path) in str(error.value)
