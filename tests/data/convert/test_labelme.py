import numpy as np
import pycocotools.mask as mask_utils
import pytest

from coco_folder import write_image
from convert_folders import (
    Image,
    labelme_shape,
    png_base64,
    random_images,
    write_labelme,
    write_labelme_file,
    write_text,
)
from data.convert import labelme
from data.convert.left_out import LeftOut
from data.convert.source import Source

IMAGE = Image("1.jpg", 60, 80, [])
TRIANGLE = [10, 10, 30, 10, 10, 40]


def read(folder):
    """Returns: list of Picture, and counts of what was left out"""
    left_out = LeftOut()
    pictures = list(labelme.read(Source(str(folder)), left_out).pictures)
    return pictures, left_out.counts


def objects_of(folder, *shapes):
    write_image(folder / IMAGE.name, IMAGE.height, IMAGE.width)
    write_labelme_file(folder / "1.json", IMAGE, shapes)
    (picture,), counts = read(folder)
    return picture.objects, counts


def decode(found):
    return mask_utils.decode(found.segmentation)


def test_points_in_the_group_of_an_object_are_its_keypoints(tmp_path):
    shapes = [labelme_shape("cat", TRIANGLE, "polygon", group_id=1), labelme_shape("cat", [0, 0, 9, 9], "rectangle"),
              *(labelme_shape(name, place, "point", group_id=1) for name, place in (("nose", [12, 13]),
                                                                                    ("tail", [14.5, 15])))]
    (found, other), counts = objects_of(tmp_path, *shapes)
    assert found.keypoints == {"nose": (12, 13, 2), "tail": (14.5, 15, 2)} and found.bbox.tolist() == [10, 10, 20, 30]
    assert other.keypoints is None and not counts


@pytest.mark.parametrize("groups", [(2,), (1, 1)])
def test_a_point_in_the_group_of_no_one_object_is_left_out(tmp_path, lines, groups):
    shapes = [labelme_shape(f"cat {i}", TRIANGLE, "polygon", group_id=group) for i, group in enumerate(groups)]
    found, counts = objects_of(tmp_path, *shapes, labelme_shape("nose", [12, 13], "point", group_id=1))
    assert all(o.keypoints is None for o in found) and counts == {"shape that is a point": 1}
    assert f"{groups.count(1)} objects have its group, not one" in lines[0]


# shapes -------------------------------------------------------------------------------------------------------------
def test_a_polygon_is_an_object_with_a_mask(tmp_path):
    (found,), _ = objects_of(tmp_path, labelme_shape("cat", TRIANGLE, "polygon"))
    assert found.name == "cat" and found.segmentation[0].tolist() == TRIANGLE
    assert found.bbox.tolist() == [10, 10, 20, 30] and found.area == 300


@pytest.mark.parametrize("points", [[10, 20, 40, 50], [40, 50, 10, 20], [10, 20, 40, 20, 40, 50, 10, 50]])
def test_a_rectangle_is_a_box_without_a_mask(tmp_path, points):
    (found,), _ = objects_of(tmp_path, labelme_shape("cat", points, "rectangle"))
    assert found.bbox.tolist() == [10, 20, 30, 30] and found.area == 900 and found.segmentation is None


def test_a_circle_is_a_polygon_around_its_centre(tmp_path):
    (found,), _ = objects_of(tmp_path, labelme_shape("cat", [40, 30, 40, 50], "circle"))
    assert found.bbox.tolist() == pytest.approx([20, 10, 40, 40])
    assert 0.998 * np.pi * 400 < found.area < np.pi * 400
    corners = np.reshape(found.segmentation[0], (-1, 2))
    np.testing.assert_allclose(np.hypot(*(corners - [40, 30]).T), 20)


def test_a_mask_is_placed_where_it_belongs(tmp_path):
    mask = np.eye(20, 30) + np.eye(20, 30, 8)
    (found,), _ = objects_of(tmp_path, labelme_shape("cat", [5, 7, 34, 26], "mask", mask=png_base64(mask)))
    expected = np.zeros((60, 80))
    expected[7:27, 5:35] = mask
    np.testing.assert_array_equal(decode(found), expected)
    assert found.area == mask.sum() and found.bbox.tolist() == [5, 7, 28, 20]


@pytest.mark.parametrize("corner", [(-10, -5), (70, 55)])
def test_of_a_mask_that_leaves_the_image_the_rest_is_cut_off(tmp_path, corner):
    shape = labelme_shape("cat", [*corner, *corner], "mask", mask=png_base64(np.ones((20, 20))))
    (found,), _ = objects_of(tmp_path, shape)
    assert found.area == {(-10, -5): 10 * 15, (70, 55): 10 * 5}[corner]


@pytest.mark.parametrize("kind", ["point", "points", "line", "linestrip"])
def test_what_has_no_area_is_left_out_and_said(tmp_path, lines, kind):
    found, counts = objects_of(tmp_path, labelme_shape("cat", TRIANGLE, kind))
    assert found == [] and counts == {f"shape that is a {kind}": 1}
    assert f"{tmp_path}/1.json: shape 1: left out" in lines[0]


@pytest.mark.parametrize("changes, reason", [
    ({"label": None}, "its class is"), ({"label": " "}, "its class is"), ({"label": "x" * 1000}, "1000 characters"),
    ({"points": 3}, "no points"), ({"points": []}, "no points"),
    ({"points": [[1, 2], [3]]}, "a point is not 2 numbers"),
    ({"points": [[1, 2], ["3", 4], [5, 6]]}, "a point is not 2 numbers"),
    ({"points": [[1, 2], [3, float("nan")], [5, 6]]}, "a point is not 2 numbers"),
    ({"points": [[1, 2], [3, 4]]}, "a polygon has 4 numbers"),
    ({"points": [[1, 2], [1, 4], [1, 6]]}, "no area"),
    ({"points": [[100, 2], [110, 4], [100, 6]]}, "no area within the image"),
    ({"shape_type": "star"}, "shape_type is 'star'"), ({"shape_type": ["polygon"]}, "shape_type is"),
    ({"shape_type": "rectangle"}, "points of a rectangle"), ({"shape_type": "circle"}, "points of a circle"),
    ({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "?"}, "not base64"),
    ({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "AAAA"}, "not an image"),
    ({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": png_base64(np.zeros((3, 3)))}, "mask is empty")])
def test_a_shape_that_cannot_be_used_is_left_out_with_its_number(tmp_path, lines, changes, reason):
    good = labelme_shape("cat", TRIANGLE, "polygon")
    found, counts = objects_of(tmp_path, good, {**good, **changes})
    assert len(found) == 1 and counts == {"shape": 1}
    assert reason in lines[0] and lines[0].startswith(f"{tmp_path}/1.json: shape 2: left out")


def test_flags_are_counted(tmp_path):
    _, counts = objects_of(tmp_path, labelme_shape("cat", TRIANGLE, "polygon", flags={"wild": True, "tame": False}))
    assert counts == {"flag": 1}


# groups -------------------------------------------------------------------------------------------------------------
def test_shapes_of_a_group_are_one_object(tmp_path):
    other = [50, 10, 60, 10, 60, 20]
    (found, alone), _ = objects_of(tmp_path, labelme_shape("cat", TRIANGLE, "polygon", group_id=1),
                                   labelme_shape("cat", TRIANGLE, "polygon"),
                                   labelme_shape("cat", other, "polygon", group_id=1))
    assert [polygon.tolist() for polygon in found.segmentation] == [TRIANGLE, other]
    assert found.bbox.tolist() == [10, 10, 50, 30] and alone.segmentation[0].tolist() == TRIANGLE


def test_the_area_of_a_group_counts_what_overlaps_once(tmp_path):
    square = [10, 10, 30, 10, 30, 30, 10, 30]
    (found,), _ = objects_of(tmp_path, *2 * [labelme_shape("cat", square, "polygon", group_id=1)])
    assert found.area == 400


def test_a_group_with_a_mask_and_a_box_is_a_mask(tmp_path):
    (found,), _ = objects_of(
        tmp_path, labelme_shape("cat", [5, 5, 14, 14], "mask", group_id=1, mask=png_base64(np.ones((10, 10)))),
        labelme_shape("cat", [40, 40, 50, 60], "rectangle", group_id=1))
    assert found.area == 100 + 200 and found.bbox.tolist() == [5, 5, 45, 55]


def test_shapes_of_two_classes_are_two_objects_in_one_group(tmp_path):
    found, _ = objects_of(tmp_path, labelme_shape("cat", TRIANGLE, "polygon", group_id=1),
                          labelme_shape("dog", TRIANGLE, "polygon", group_id=1))
    assert [o.name for o in found] == ["cat", "dog"]


# images -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("image_path", ["../images/1.jpg", "..\\images\\1.jpg", "../images/./1.jpg"])
def test_an_image_may_be_in_another_folder_of_the_source(tmp_path, image_path):
    write_image(tmp_path / "images" / "1.jpg", 60, 80)
    write_labelme_file(tmp_path / "labels" / "1.json", IMAGE, [], imagePath=image_path)
    assert read(tmp_path)[0][0].file == "images/1.jpg"


def test_an_image_may_have_been_moved_beside_its_file(tmp_path):
    write_image(tmp_path / "a" / "1.jpg", 60, 80)
    write_labelme_file(tmp_path / "a" / "1.json", IMAGE, [], imagePath="C:\\Users\\me\\1.jpg")
    assert read(tmp_path)[0][0].file == "a/1.jpg"


@pytest.mark.parametrize("image_path", ["../secret.jpg", "/etc/hostname", "a\0b", "", None, 3])
def test_no_name_leads_out_of_the_folder(tmp_path, lines, image_path):
    write_image(tmp_path / "secret.jpg", 60, 80)
    write_labelme_file(tmp_path / "source" / "1.json", IMAGE, [], imagePath=image_path)
    assert read(tmp_path / "source") == ([], {"file": 1}) and "there is no image" in lines[0]


def test_an_image_may_be_inside_the_file(tmp_path):
    (image,) = random_images(0, 1)
    write_labelme(tmp_path, [image], with_data=True)
    ((picture,), counts) = read(tmp_path)
    assert (picture.file, picture.size) == ("000.jpg", (image.height, image.width)) and not counts
    assert picture.content.startswith(b"\xff\xd8") and len(picture.objects) == 3


@pytest.mark.parametrize("text, reason", [
    ("{", "not json"), ('{"version": 1}', "not json"), ("\xff", "not json"),
    pytest.param("[" * 100_000, "not json", id="deep"),
    ('{"shapes": [], "imagePath": "1.jpg", "imageHeight": 61, "imageWidth": 80}', "annotated as 80 and 61"),
    ('{"shapes": [], "imagePath": "2.jpg", "imageData": "AAAA"}', "not an image"),
    ('{"shapes": [], "imagePath": "2.jpg", "imageData": "?"}', "not base64"),
    ('{"shapes": [], "imagePath": "bad.jpg"}', "not an image")])
def test_a_file_that_cannot_be_used_is_left_out(tmp_path, lines, text, reason):
    write_image(tmp_path / "1.jpg", 60, 80)
    write_text(tmp_path / "bad.jpg", "?")
    (tmp_path / "1.json").write_bytes(text.encode("latin-1"))
    assert read(tmp_path) == ([], {"file": 1})
    assert reason in lines[0] and lines[0].startswith(f"{tmp_path}/1.json: left out")


def test_folders_may_name_the_splits(tmp_path):
    write_labelme(tmp_path / "train" / "day", random_images(0, 1))
    write_labelme(tmp_path / "Validation", random_images(1, 1))
    assert sorted((p.split, p.file) for p in read(tmp_path)[0]) == [("train", "train/day/000.jpg"),
                                                                    ("val", "Validation/000.jpg")]
