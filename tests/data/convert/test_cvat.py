import numpy as np
import pycocotools.mask as mask_utils
import pytest

from coco_folder import write_image
from convert_folders import Image, cvat_box, cvat_image, cvat_polygon, cvat_shape, cvat_xml, write_text
from data.convert import cvat
from data.convert.left_out import LeftOut
from data.convert.source import Source

IMAGE = Image("1.jpg", 60, 80, [])
TRIANGLE = [10, 10, 30, 10, 10, 40]


def read(folder):
    """Returns: list of Picture, the names of classes, and counts of what was left out"""
    left_out = LeftOut()
    contents = cvat.read(Source(str(folder)), left_out)
    return list(contents.pictures), contents.class_names, left_out.counts


def objects_of(folder, *shapes):
    write_image(folder / "images" / IMAGE.name, IMAGE.height, IMAGE.width)
    write_text(folder / "annotations.xml", cvat_xml(cvat_image(0, IMAGE, *shapes)))
    (picture,), _, counts = read(folder)
    return picture.objects, counts


def mask_shape(mask, left, top, **changes):
    flat = np.concatenate([[0], mask.ravel(), [2]])
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(edges, prepend=1)
    keys = dict(rle=", ".join(map(str, runs)), left=left, top=top, width=mask.shape[1], height=mask.shape[0])
    return cvat_shape("mask", "cat", **{**keys, **changes})


# shapes -------------------------------------------------------------------------------------------------------------
def test_a_box_has_no_mask(tmp_path):
    (found,), counts = objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50.5]))
    assert (found.name, found.bbox.tolist(), found.area, found.segmentation) == ("cat", [10, 20, 30, 30.5], 915, None)
    assert not counts


def test_around_a_box_that_is_turned_is_a_box_and_the_rotation_is_said(tmp_path):
    (found,), counts = objects_of(tmp_path, cvat_box("cat", [30, 25, 50, 35], rotation=90.0))
    assert found.bbox.tolist() == pytest.approx([35, 20, 10, 20]) and counts == {"rotation of a box": 1}


def test_a_polygon_is_a_mask(tmp_path):
    (found,), _ = objects_of(tmp_path, cvat_polygon("cat", TRIANGLE))
    assert found.segmentation[0].tolist() == TRIANGLE and found.area == 300


def test_an_ellipse_turns_clockwise(tmp_path):
    (found,), counts = objects_of(tmp_path, cvat_shape("ellipse", "cat", cx=40, cy=30, rx=20, ry=5, rotation=45))
    corners = np.reshape(found.segmentation[0], (-1, 2)) - [40, 30]
    farthest = corners[np.hypot(*corners.T).argmax()]
    assert farthest[0] == pytest.approx(farthest[1], abs=1e-6) and np.hypot(*farthest) == pytest.approx(20)
    assert 0.998 * np.pi * 100 < found.area < np.pi * 100 and not counts


@pytest.mark.parametrize("first", [0, 1])
def test_a_mask_goes_row_by_row_through_its_own_box(tmp_path, first):
    mask = (np.random.default_rng(0).random((12, 20)) < 0.5).astype(int)
    mask[0, 0] = first
    (found,), _ = objects_of(tmp_path, mask_shape(mask, 7, 3))
    expected = np.zeros((60, 80))
    expected[3:15, 7:27] = mask
    np.testing.assert_array_equal(mask_utils.decode(found.segmentation), expected)


@pytest.mark.parametrize("kind", cvat.NO_AREA)
def test_other_kinds_are_left_out_and_said(tmp_path, lines, kind):
    found, counts = objects_of(tmp_path, cvat_shape(kind, "cat", points="1,2"))
    assert found == [] and counts == {f"shape that is a {kind}": 1}
    assert f"image '1.jpg': {kind} 1: left out" in lines[0]


def test_attributes_are_counted(tmp_path):
    inside = '<attribute name="colour">red</attribute><attribute name="age">3</attribute>'
    found, counts = objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50], inside))
    assert len(found) == 1 and counts == {"attribute of an object": 2}


def test_shapes_of_a_group_and_class_are_one_object(tmp_path):
    other = [50, 10, 60, 10, 60, 20]
    shapes = [("cat", TRIANGLE, 4), ("dog", TRIANGLE, 4), ("cat", other, 4), ("cat", TRIANGLE, 0), ("cat", TRIANGLE, 0)]
    found, _ = objects_of(tmp_path, *(cvat_polygon(name, points, group_id=group) for name, points, group in shapes))
    assert [(o.name, len(o.segmentation)) for o in found] == [("cat", 2), ("dog", 1), ("cat", 1), ("cat", 1)]


@pytest.mark.parametrize("bad, reason", [
    (cvat_box("", [10, 20, 40, 50]), "its class"), (cvat_box("cat", [10, 20, "x", 50]), "its xbr is 'x'"),
    (cvat_box("cat", [10, 20, "nan", 50]), "its xbr is 'nan'"), (cvat_box("cat", [10, 20, 10, 50]), "no area"),
    (cvat_box("cat", [10, 20, 40, 50], rotation="inf"), "its rotation is"),
    (cvat_shape("star", "cat"), "no known kind"), (cvat_shape("polygon", "cat"), "not a number"),
    (cvat_shape("polygon", "cat", points="1,2;3;4,5"), "not two numbers"),
    (cvat_shape("polygon", "cat", points="1,2;3,4"), "a polygon has 4 numbers"),
    (mask_shape(np.ones((3, 3)), 5, 5, rle="1, 5"), "add up to 6"),
    (mask_shape(np.ones((3, 3)), 5, 5, rle=""), "not a list"),
    (mask_shape(np.ones((3, 3)), 5, 5, rle="-1,10"), "not a list"),
    (mask_shape(np.zeros((3, 3)), 5, 5), "mask is empty"),
    (mask_shape(np.ones((3, 3)), 5, 5, width=10**6), "not within the image")])
def test_a_shape_that_cannot_be_used_is_left_out_with_its_number(tmp_path, lines, bad, reason):
    found, counts = objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50]), bad)
    assert len(found) == 1 and counts == {"shape": 1} and reason in lines[0]


# skeletons ----------------------------------------------------------------------------------------------------------
def skeleton(*points, **keys):
    points = "".join(f'<points label="{name}" points="{x},{y}" {state}/>' for name, x, y, state in points)
    return cvat_shape("skeleton", "cat", points, **keys)


def test_a_skeleton_is_an_object_with_the_box_around_its_points(tmp_path):
    (found,), counts = objects_of(tmp_path, skeleton(
        ("nose", 10, 20, 'occluded="0"'), ("tail", 30.5, 40, 'occluded="1" outside="0"'), ("ear", 1, 2, 'outside="1"')))
    assert found.keypoints == {"nose": (10, 20, 2), "tail": (30.5, 40, 1)} and not counts
    assert found.bbox.tolist() == [10, 20, 20.5, 20] and found.segmentation is None


def test_a_skeleton_and_a_polygon_of_one_group_are_one_object(tmp_path):
    polygon = cvat_polygon("cat", TRIANGLE, group_id=3)
    (found,), _ = objects_of(tmp_path, polygon, skeleton(("nose", 10, 20, ""), ("tail", 90, 20, ""), group_id=3))
    assert found.bbox.tolist() == [10, 10, 20, 30] and found.segmentation
    assert found.keypoints == {"nose": (10, 20, 2)}    # the other one is not in the image


def test_the_points_of_skeletons_are_keypoints_in_the_order_of_the_labels(tmp_path):
    write_image(tmp_path / "images" / IMAGE.name, IMAGE.height, IMAGE.width)
    text = cvat_xml(cvat_image(0, IMAGE, skeleton(("nose", 10, 20, ""), ("ear", 20, 30, ""))))
    points = "".join(f"<label><name>{name}</name><type>points</type><parent>cat</parent></label>"
                     for name in ("tail", "nose", "ear"))
    write_text(tmp_path / "annotations.xml", text.replace("</labels>", f"{points}</labels>"))
    contents = cvat.read(Source(str(tmp_path)), LeftOut())
    assert contents.keypoint_names == {"cat": ["tail", "nose", "ear"]} and "nose" not in contents.class_names


@pytest.mark.parametrize("bad", [skeleton(), skeleton(("nose", 10, 20, 'outside="1"')), skeleton(("nose", 100, 20, "")),
                                 skeleton(("nose", 10, "x", "")), skeleton(("nose", 10, "20;1,1", "")),
                                 skeleton(("", 10, 20, "")), skeleton(("nose", 10, 20, ""))])
def test_a_skeleton_that_cannot_be_used_is_left_out(tmp_path, lines, bad):
    found, counts = objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50]), bad)
    assert len(found) == 1 and counts == {"shape": 1}


# images -------------------------------------------------------------------------------------------------------------
def test_classes_are_those_of_the_list_without_the_points_of_skeletons(tmp_path):
    objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50]))
    text = (tmp_path / "annotations.xml").read_text()
    write_text(tmp_path / "annotations.xml", text.replace(
        "</labels>", "<label><name>nose</name><type>points</type><parent>person</parent></label></labels>"))
    assert read(tmp_path)[1] == ["traffic light", "cat", "no"]


@pytest.mark.parametrize("folder, name, subset", [
    ("", "1.jpg", "default"), ("images/", "a/1.jpg", "default"), ("images/Train/", "1.jpg", "Train"),
    ("elsewhere/", "1.jpg", "Train")])
def test_images_and_their_splits_are_found(tmp_path, folder, name, subset):
    write_image(tmp_path / folder / name)
    given = "elsewhere/1.jpg" if folder == "elsewhere/" else name
    write_text(tmp_path / "annotations.xml", cvat_xml(cvat_image(0, IMAGE._replace(name=given), subset=subset)))
    ((picture,), _, counts) = read(tmp_path)
    assert picture.file == folder + name and picture.split == {"Train": "train", "default": None}[subset]


@pytest.mark.parametrize("name, reason", [("2.jpg", "no image"), ("../1.jpg", "no image"), ("/etc/passwd", "no image"),
                                          ("bad.jpg", "not an image")])
def test_an_image_that_cannot_be_used_is_left_out(tmp_path, lines, name, reason):
    write_image(tmp_path / "1.jpg")
    write_text(tmp_path / "source" / "bad.jpg", "?")
    write_text(tmp_path / "source" / "annotations.xml", cvat_xml(cvat_image(0, IMAGE._replace(name=name))))
    assert read(tmp_path / "source")[::2] == ([], {"image": 1}) and reason in lines[0]


def test_an_image_without_a_name_is_left_out_with_its_number(tmp_path, lines):
    write_text(tmp_path / "annotations.xml", cvat_xml("<image/>"))
    assert read(tmp_path)[::2] == ([], {"image": 1}) and "image '0': left out" in lines[0]


def test_images_in_front_of_a_break_are_used(tmp_path):
    objects_of(tmp_path, cvat_box("cat", [10, 20, 40, 50]))
    text = (tmp_path / "annotations.xml").read_text()
    write_text(tmp_path / "annotations.xml", text.replace("</annotations>", "<image"))
    pictures, _, counts = read(tmp_path)
    assert len(pictures) == 1 and counts == {"rest of a file": 1}


# video --------------------------------------------------------------------------------------------------------------
def test_of_a_video_each_frame_is_an_image(tmp_path, lines):
    def box(frame, x, **keys):
        return cvat_box("", [x, 10, x + 20, 30], frame=frame, keyframe=1, **keys)

    tracks = [f'<track id="0" label="cat">{box(0, 5)}{box(1, 10)}{box(2, 15, outside=1)}</track>',
              f'<track id="1" label="no">{box(1, 40)}{box(7, 40)}</track>']
    write_text(tmp_path / "annotations.xml", cvat_xml(*tracks))
    for frame in range(4):
        write_image(tmp_path / "images" / f"frame_{frame:06d}.PNG")
    pictures, _, counts = read(tmp_path)
    assert [(p.file[-10:], [(o.name, o.bbox[0]) for o in p.objects]) for p in pictures] == [
        ("000000.PNG", [("cat", 5)]), ("000001.PNG", [("cat", 10), ("no", 40)]), ("000002.PNG", []), ("000003.PNG", [])]
    assert counts == {"image": 1} and "frame 7" in lines[0] and "export the video with its images" in lines[0]
