import json

import numpy as np
import pytest

from coco_folder import write_image
from data.coco import load_coco
from data.convert.left_out import LeftOut
from data.convert.objects import Contents, Object, Picture
from data.convert.source import Source
from data.convert.write import convert, split_pictures


def make_object(name="cat", **kwargs):
    return Object(name, np.array([1, 2, 3, 4 / 3]), 4, **kwargs)


def pictures(*files, split=None):
    return [Picture(file, (60, 80), [make_object()], split) for file in files]


def numbered(count, split=None):
    return pictures(*(f"{number:03d}.jpg" for number in range(count)), split=split)


def convert_all(folder, some, class_names=(), keypoint_names=None):
    """Convert pictures, whose files are made. Returns: dict of the json of train"""
    for picture in some:
        write_image(folder / "source" / picture.file)
    source = Source(str(folder / "source"))
    contents = Contents(iter(some), len(some), class_names, keypoint_names or {})
    convert(contents, source, str(folder / "target"), LeftOut(), val_share=0)
    return json.loads((folder / "target" / "annotations" / "instances_train.json").read_text())


# splits -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count, share, num_val", [(100, 0.1, 10), (10, 0.25, 2), (3, 0.1, 1), (3, 0.9, 2), (1, 0.1, 0),
                                                   (10, 0, 0)])
def test_a_share_of_the_images_becomes_val(count, share, num_val):
    splits = split_pictures(numbered(count), share)
    assert {split: len(some) for split, some in splits.items()} == {
        "train": count - num_val, **({"val": num_val} if num_val else {})}
    assert sorted(picture.file for some in splits.values() for picture in some) == [p.file for p in numbered(count)]


def test_the_same_images_become_val_each_time_in_whatever_order_they_come():
    first, again = [[p.file for p in split_pictures(some, 0.2)["val"]] for some in (numbered(50), numbered(50)[::-1])]
    assert first == again and first != [p.file for p in numbered(10)]


def test_splits_of_the_source_stay():
    splits = split_pictures([*numbered(20, "train"), *pictures("a.jpg", split="val"), *pictures("b.jpg", split="test")],
                            0.5)
    assert {split: len(some) for split, some in splits.items()} == {"train": 20, "val": 1, "test": 1}


def test_train_alone_is_split_and_val_alone_is_not():
    assert split_pictures(numbered(10, "train"), 0.1).keys() == {"train", "val"}
    assert split_pictures(numbered(10, "val"), 0.1).keys() == {"val"}


# files --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("files, short", [
    (["images/train/1.jpg", "images/train/2.jpg"], ["1.jpg", "2.jpg"]),
    (["a/day/1.jpg", "a/night/1.jpg"], ["day/1.jpg", "night/1.jpg"]), (["1.jpg", "a/1.jpg"], ["1.jpg", "a/1.jpg"])])
def test_images_keep_the_folders_that_tell_them_apart(tmp_path, files, short):
    content = convert_all(tmp_path, pictures(*files))
    assert [image["file_name"] for image in content["images"]] == short
    assert all((tmp_path / "target" / "train" / name).is_file() for name in short)


def test_an_image_that_is_annotated_twice_is_taken_once(tmp_path):
    assert len(convert_all(tmp_path, 2 * pictures("1.jpg"))["images"]) == 1


def test_classes_are_in_the_order_of_the_formats_list_then_of_the_alphabet(tmp_path):
    some = [Picture("1.jpg", (60, 80), [make_object(name) for name in ("cow", "ant", "zebra")])]
    content = convert_all(tmp_path, some, ["zebra", "dog"])
    assert content["categories"] == [{"id": number, "name": name} for number, name in
                                     enumerate(["zebra", "dog", "ant", "cow"], start=1)]
    assert [annotation["category_id"] for annotation in content["annotations"]] == [4, 3, 1]


def test_coordinates_have_a_thousandth_of_a_pixel(tmp_path):
    found = make_object(segmentation=[np.array([0, 0, 1 / 3, 0, 0, 2 / 3])], is_difficult=True)
    (annotation,) = convert_all(tmp_path, [Picture("1.jpg", (60, 80), [found])])["annotations"]
    assert annotation == {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 1.333], "area": 4, "iscrowd": 0,
                          "segmentation": [[0, 0, 0.333, 0, 0, 0.667]], "difficult": 1}


def test_keypoints_are_written_in_the_order_of_their_category_as_coco_counts_pixels(tmp_path):
    points = {"tail": (2.5, 3.25, 1), "ear": (4, 5, 2)}
    some = [Picture("a.jpg", (60, 80), [make_object(keypoints=points), make_object(), make_object("dog")])]
    content = convert_all(tmp_path, some, keypoint_names={"cat": ["tail", "nose"]})
    assert content["categories"] == [
        {"id": 1, "name": "cat", "keypoints": ["tail", "nose", "ear"], "skeleton": []}, {"id": 2, "name": "dog"}]
    found = [[annotation.get(key) for key in ("keypoints", "num_keypoints")] for annotation in content["annotations"]]
    assert found == [[[2, 2.75, 1, 0, 0, 0, 3.5, 4.5, 2], 2], [[0] * 9, 0], [None, None]]


def test_converted_keypoints_are_read_where_they_were_drawn(tmp_path):
    points = {"tail": (2.5, 3.25, 1), "ear": (80, 60, 2)}
    convert_all(tmp_path, [Picture("a.jpg", (60, 80), [make_object(keypoints=points)])])
    dataset = load_coco(str(tmp_path / "target"), "train")
    assert dataset.skeleton.names == ("ear", "tail")
    assert dataset.records[0].keypoints.tolist() == [[[80, 60, 2], [2.5, 3.25, 1]]]
