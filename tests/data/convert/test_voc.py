import pytest

from coco_folder import write_image
from convert_folders import write_text
from data.convert import voc
from data.convert.left_out import LeftOut
from data.convert.source import Source
from voc_folder import make_object, make_xml, write_images


def read(folder):
    """Returns: list of Picture, and counts of what was left out"""
    left_out = LeftOut()
    return list(voc.read(Source(str(folder)), left_out).pictures), left_out.counts


def splits_of(pictures):
    return {picture.file: picture.split for picture in pictures}


# objects ------------------------------------------------------------------------------------------------------------
def test_corners_are_pixels_counted_from_1(tmp_path):
    write_images(tmp_path, 0, make_xml(make_object("my cat", (11, 21, 30, 50))))
    ((picture,), counts) = read(tmp_path)
    assert picture.size == (60, 80) and not counts
    (found,) = picture.objects
    assert (found.name, found.bbox.tolist(), found.area) == ("my cat", [10, 20, 20, 30], 600)


def test_difficult_objects_are_marked_and_said(tmp_path):
    write_images(tmp_path, 0, make_xml(make_object(difficult=1), make_object(difficult=0)))
    ((picture,), counts) = read(tmp_path)
    assert [o.is_difficult for o in picture.objects] == [True, False] and sum(counts.values()) == 1


@pytest.mark.parametrize("bad, reason", [(make_object("", (1, 1, 9, 9)), "its class"),
                                         (make_object("cat", (9, 9, 1, 1)), "no width"),
                                         (make_object("cat", ("x", 1, 9, 9)), "not a number"),
                                         ("<object><name>cat</name></object>", "not a number")])
def test_an_object_that_cannot_be_used_is_left_out_with_its_number(tmp_path, lines, bad, reason):
    write_images(tmp_path, 0, make_xml(make_object(), bad))
    ((picture,), counts) = read(tmp_path)
    assert len(picture.objects) == 1 and counts == {"object": 1}
    assert reason in lines[0] and f"{tmp_path}/Annotations/000001.xml: object 2: left out" in lines[0]


@pytest.mark.parametrize("text, reason", [("<annotation>", "not whole XML"), ("<html/>", "its root is 'html'"),
                                          (make_xml(size=(61, 80)), "annotated as 80 and 61")])
def test_a_file_that_cannot_be_used_is_left_out(tmp_path, lines, text, reason):
    write_images(tmp_path, 1, text)
    pictures, counts = read(tmp_path)
    assert len(pictures) == 1 and counts == {"file": 1} and reason in lines[0]


# files --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("xml, image", [
    ("Annotations/1.xml", "JPEGImages/1.png"), ("1.xml", "1.jpg"), ("train/1.xml", "train/1.jpg"),
    ("annotations/1.xml", "images/1.jpg"), ("Annotations/1.xml", "JPEGImages/a.jpg"), ("1.xml", "a.jpg")])
def test_images_are_found_beside_and_in_folders_of_their_own(tmp_path, xml, image):
    write_image(tmp_path / image)
    write_text(tmp_path / xml, make_xml(make_object(), file_name="a.jpg", size=None))
    assert [picture.file for picture in read(tmp_path)[0]] == [image]


def test_lists_say_the_splits_and_trainval_only_where_they_are_alone(tmp_path):
    write_images(tmp_path, 4)
    lists = tmp_path / "ImageSets" / "Main"
    write_text(lists / "train.txt", "000001\n000002\n")
    write_text(lists / "val.txt", "000003\n")
    write_text(lists / "trainval.txt", "000001\n000002\n000003\n")
    write_text(lists / "cat_train.txt", "000004 1\n")
    pictures, counts = read(tmp_path)
    assert splits_of(pictures) == {"JPEGImages/000001.jpg": "train", "JPEGImages/000002.jpg": "train",
                                   "JPEGImages/000003.jpg": "val"}
    assert sum(counts.values()) == 1
    (lists / "train.txt").unlink()
    (lists / "val.txt").unlink()
    assert set(splits_of(read(tmp_path)[0]).values()) == {"train"} and len(read(tmp_path)[0]) == 3


def test_each_year_has_lists_of_its_own(tmp_path):
    write_images(tmp_path / "VOC2007", 1, split="train")
    write_images(tmp_path / "VOC2012", 1, split="val")
    assert splits_of(read(tmp_path)[0]) == {"VOC2007/JPEGImages/000001.jpg": "train",
                                            "VOC2012/JPEGImages/000001.jpg": "val"}


def test_without_lists_folders_name_the_splits(tmp_path):
    for folder in ("train", "valid", "other"):
        write_image(tmp_path / folder / "1.jpg")
        write_text(tmp_path / folder / "1.xml", make_xml(make_object()))
    assert splits_of(read(tmp_path)[0]) == {"train/1.jpg": "train", "valid/1.jpg": "val", "other/1.jpg": None}
