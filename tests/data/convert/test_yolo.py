import common

import cv2
import numpy as np
import pytest

from coco_folder import write_image
from convert_folders import CLASSES, random_images, write_text, write_yolo
from data.convert import yolo
from data.convert.left_out import LeftOut
from data.convert.source import Source

HEIGHT, WIDTH = 60, 80


def read(folder):
    """Returns: list of Picture, the names of classes, and counts of what was left out"""
    left_out = LeftOut()
    contents = yolo.read(Source(str(folder)), left_out)
    return list(contents.pictures), contents.class_names, left_out.counts


def write_one(folder, label, image="images/train/1.jpg", text=None, yaml="train: images/train\nnames: [cat, dog]"):
    """A data set of one image. `label` is a path or None."""
    write_image(folder / image, HEIGHT, WIDTH)
    if yaml:
        write_text(folder / "data.yaml", yaml)
    if label:
        write_text(folder / label, text)


def objects_of(folder, text, **kwargs):
    write_one(folder, "labels/train/1.txt", text=text, **kwargs)
    (picture,), _, counts = read(folder)
    return picture.objects, counts


# objects ------------------------------------------------------------------------------------------------------------
def test_a_box_is_its_centre_and_size_in_shares_of_the_image(tmp_path):
    (found,), _ = objects_of(tmp_path, "1 0.5 0.25 0.25 0.1")
    assert found.name == "dog" and found.segmentation is None
    assert found.bbox.tolist() == pytest.approx([30, 12, 20, 6]) and found.area == pytest.approx(120)


def test_a_polygon_gives_box_and_area(tmp_path):
    (found,), _ = objects_of(tmp_path, "0 0.25 0.5 0.75 0.5 0.25 0.9")
    assert found.segmentation[0].tolist() == pytest.approx([20, 30, 60, 30, 20, 54])
    assert found.bbox.tolist() == pytest.approx([20, 30, 40, 24]) and found.area == pytest.approx(480)


def test_a_box_ends_at_the_edge_of_the_image(tmp_path):
    (found,), _ = objects_of(tmp_path, "0 0.5 0.5 1.005 1")
    assert found.bbox.tolist() == pytest.approx([0, 0, WIDTH, HEIGHT])


def test_of_a_pose_the_box_is_taken_and_the_keypoints_are_counted(tmp_path):
    (found,), counts = objects_of(tmp_path, "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.2 0.2 2 0.3 0.3 1",
                                  yaml="train: images/train\nnames: [cat]\nkpt_shape: [3, 3]")
    assert found.bbox.tolist() == pytest.approx([20, 15, 40, 30]) and found.segmentation is None
    assert counts == {"keypoints of an object": 1}


@pytest.mark.parametrize("line, reason", [
    ("2 0.5 0.5 0.1 0.1", "no class 2"),
    ("nan 0.5 0.5 0.1 0.1", "no class nan"),
    ("0 0.5 0.5 0.1", "neither a class and a box"),
    ("0 0.5 0.5 0.1 0.1 0.9", "neither a class and a box"),
    ("0 0.5 0.5 x 0.1", "not a number"),
    ("0 320 240 100 50", "no share of the image"),
    ("0 0.5 0.5 nan 0.1", "no share of the image"),
    ("0 0.5 0.5 0 0.1", "no area"),
    ("1 0.5 0.5 0.25 0.25", "there twice")])
def test_a_line_that_cannot_be_used_is_left_out_with_its_number(tmp_path, lines, line, reason):
    found, counts = objects_of(tmp_path, f"1 0.5 0.5 0.25 0.25\n\n{line}\n")
    assert len(found) == 1 and counts == {"object": 1}
    assert reason in lines[0] and lines[0].startswith(f"{tmp_path}/labels/train/1.txt:3: left out")


def test_shares_are_of_the_image_as_a_person_sees_it(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"    # orientation 6
    write_one(tmp_path, "labels/train/1.txt", text="0 0.5 0.5 1 0.5")
    (tmp_path / "images/train/1.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    ((picture,), _, _) = read(tmp_path)
    assert picture.size == (WIDTH, HEIGHT) and picture.objects[0].bbox[2] == HEIGHT


# files --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("image, label", [
    ("images/train/1.jpg", "labels/train/1.txt"), ("train/images/1.JPG", "train/labels/1.txt"),
    ("images/images/1.jpg", "images/labels/1.txt"), ("train/1.jpg", "train/1.txt"),
    ("images/train/a/b/1.x.png", "labels/train/a/b/1.x.txt")])
def test_labels_are_found_beside_images_and_in_folders_of_their_own(tmp_path, image, label):
    folder = image.rpartition("/")[0]
    write_one(tmp_path, label, image, "0 0.5 0.5 0.5 0.5", f"train: {folder}\nnames: [cat]")
    ((picture,), _, counts) = read(tmp_path)
    assert picture.file == image and len(picture.objects) == 1 and not counts


def test_an_image_without_a_label_file_has_no_objects(tmp_path):
    write_one(tmp_path, None)
    ((picture,), _, counts) = read(tmp_path)
    assert picture.objects == [] and sum(counts.values()) == 1


@pytest.mark.parametrize("entry", ["images/train", "./images/train/", "../images/train", "/content/old/images/train",
                                   "C:\\old\\images\\train", "[images/train]", "images", ".", "list.txt"])
def test_splits_are_found_where_the_folder_was_moved(tmp_path, entry):
    write_one(tmp_path, "labels/train/1.txt", text="0 0.5 0.5 0.5 0.5", yaml=f"val: {entry}\nnames: [cat]")
    write_text(tmp_path / "list.txt", "/content/old/images/train/1.jpg\n./images/train/2.jpg\n")
    ((picture,), _, counts) = read(tmp_path)
    assert (picture.split, len(picture.objects)) == ("val", 1) and not counts


def test_a_split_that_is_not_there_is_said(tmp_path, lines):
    write_one(tmp_path, None, yaml="train: images/train\ntest: images/gone\nnames: [cat]")
    assert len(read(tmp_path)[0]) == 1 and "test: left out: split: there is no folder 'images/gone'" in lines[0]


@pytest.mark.parametrize("names", ["[no, 'yes']", "{0: no, 1: yes}", "\n  1: yes\n  0: no", "\n- no\n- yes"])
def test_classes_are_a_list_or_a_dict_of_texts(tmp_path, names):
    write_one(tmp_path, None, yaml=f"train: images\nnames: {names}")
    assert read(tmp_path)[1] == ["no", "yes"]


@pytest.mark.parametrize("file", ["classes.txt", "obj.names"])
def test_without_yaml_there_is_a_list_of_classes_and_folders_name_the_splits(tmp_path, file):
    write_yolo(tmp_path, random_images(0, 2), "train", yaml=False)
    write_yolo(tmp_path, random_images(1, 1), "valid", yaml=False)
    write_text(tmp_path / file, "\n".join(CLASSES) + "\n")
    pictures, class_names, _ = read(tmp_path)
    assert class_names == list(CLASSES) and [picture.split for picture in pictures] == ["train", "train", "val"]


@pytest.mark.parametrize("text, message", [
    ("names: [a, [b]]", "must be a list of texts"), ("names: {x: a}", "must be a list of texts"),
    ("names: {-1: a}", "must be a list of texts"), ("names: 3", "must be a list of texts"),
    ("names: []", "no classes"), ("names: [", "not YAML"), ("names: &a [*a]", "not YAML"),
    pytest.param("names: " + "[" * 1_000, "not YAML", id="deep"),
    pytest.param("names: [a]" + "\n#" * 1_000_000, "too many", id="long")])
def test_a_broken_description_is_refused_in_one_line(tmp_path, text, message):
    write_one(tmp_path, None, yaml=text)
    with pytest.raises(common.UserError, match=message) as error:
        read(tmp_path)
    assert str(tmp_path / "data.yaml") in str(error.value) and "\n" not in str(error.value)


def test_aliases_of_yaml_do_not_multiply(tmp_path):
    pairs = zip("abcdefghi", "bcdefghij")
    bomb = "\n".join(f"{key}: &{key} [{', '.join([f'*{before}'] * 9)}]" for before, key in pairs)
    write_one(tmp_path, None, yaml=f"a: &a [x]\n{bomb}\ntrain: *j\nnames: [cat]")
    assert read(tmp_path)[0] == []
