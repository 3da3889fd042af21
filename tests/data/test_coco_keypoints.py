import common  # noqa: F401

import numpy as np
import pytest

import data
from coco_folder import make_annotation, make_content, write
from data import coco
from data.coco_keypoints import Layout, parse_skeleton
from data.records import Unusable

BODY = {"keypoints": ["nose", "left_ear", "right_ear"], "skeleton": [[1, 2], [1, 3]]}
TAIL = {"keypoints": ["tail", "nose"], "skeleton": [[2, 1]]}
JOINED = data.Skeleton(("nose", "left_ear", "right_ear", "tail"), ((0, 1), (0, 2), (0, 3)), ((0, 1, 2), (3, 0), ()))


def categories(*keypoints):
    """Categories 1.., in the file by falling ids"""
    return [{"id": i + 1, "name": str(i + 1), **fields} for i, fields in enumerate(keypoints)][::-1]


def test_keypoints_of_categories_are_joined_by_name_in_the_order_of_the_classes():
    assert parse_skeleton(categories(BODY, TAIL, {})) == JOINED


def test_every_class_has_all_where_all_list_the_same():
    assert parse_skeleton(categories(BODY, BODY)) == JOINED._replace(
        names=tuple(BODY["keypoints"]), edges=((0, 1), (0, 2)), of_class=())


def test_the_same_keypoints_in_another_order_are_the_same_keypoints():
    turned = {"keypoints": BODY["keypoints"][::-1], "skeleton": [[1, 3]]}
    assert parse_skeleton(categories(BODY, turned))[1:] == (((0, 1), (0, 2)), ((0, 1, 2), (2, 1, 0)))


def test_a_name_that_a_category_has_twice_is_two_keypoints():
    skeleton = parse_skeleton(categories({"keypoints": ["leg", "leg"]}, {"keypoints": ["leg"]}))
    assert skeleton == (("leg", "leg"), (), ((0, 1), (0,)))


@pytest.mark.parametrize("fields", [{}, {"keypoints": []}, {"keypoints": "nose"}, {"keypoints": [1]},
                                    {"keypoints": 1001 * ["nose"]}])
def test_categories_without_keypoints_have_no_skeleton(fields):
    assert parse_skeleton(categories(fields, fields)) is None


@pytest.mark.parametrize("edges", ["12", [[1, 4]], [[0, 1]], [[1, "2"]], [[1, 2, 3]], [1, 2]])
def test_lines_that_lead_nowhere_are_left_out(edges):
    assert parse_skeleton(categories({**BODY, "skeleton": edges})).edges == ()


def test_the_skeleton_of_a_person_has_17_keypoints_and_19_lines():
    assert len(data.COCO_KEYPOINT_NAMES) == 17 and len({frozenset(edge) for edge in data.COCO_KEYPOINT_EDGES}) == 19
    assert {number for edge in data.COCO_KEYPOINT_EDGES for number in edge} == set(range(17))


# annotations --------------------------------------------------------------------------------------------------------
LAYOUT = Layout.of(JOINED, (1, 2, 3))
BLOCK = [{"category_id": 2, "keypoints": [5, 6, 2, 3, 4, 1]}, {"category_id": 3, "keypoints": [7, 7, 2]},
         {"category_id": 1, "keypoints": [1, 2, 2, 0, 0, 0, 9, 8, 1]}, {"category_id": 1}, {"category_id": 2,
                                                                                          "keypoints": None}]
PLACED = [[[3, 4, 1], [0] * 3, [0] * 3, [5, 6, 2]], [[0] * 3] * 4, [[1, 2, 2], [0] * 3, [9, 8, 1], [0] * 3],
          [[0] * 3] * 4, [[0] * 3] * 4]


def test_an_objects_keypoints_get_their_places_in_the_joined_list():
    assert LAYOUT.column(BLOCK).tolist() == PLACED


def test_one_annotation_alone_is_read_as_a_block_is():
    for annotation, placed in zip(BLOCK, np.array(PLACED, dtype=float)):
        placed[placed[:, 2] > 0, :2] += 0.5
        parsed = LAYOUT.parse(annotation.get("keypoints"), annotation["category_id"], 20, 20)
        np.testing.assert_array_equal(parsed, placed)


def test_a_category_wants_as_many_numbers_as_it_has_keypoints():
    with pytest.raises(Unusable, match="not 6 numbers"):
        LAYOUT.parse([1, 2, 2] * 3, 2, 20, 20)
    with pytest.raises(ValueError):
        LAYOUT.column([{"category_id": 2, "keypoints": [1, 2, 2] * 3}])


@pytest.mark.parametrize("has_odd_one", [False, True])
def test_a_file_whose_classes_have_other_keypoints_is_read(tmp_path, has_odd_one):
    content = make_content(2)
    for category, fields in zip(content["categories"], (TAIL, BODY, {})):    # 7, 3 and 90
        category.update(fields)
    content["annotations"][0]["keypoints"] = [10, 20, 2, 11, 12, 1]
    content["annotations"].append({**make_annotation(300, 1), "category_id": 3, "keypoints": [1, 2, 2] + [0] * 6})
    if has_odd_one:    # which is not of the usual form
        content["annotations"].append({**make_annotation(301, 2), "iscrowd": True})
    write(tmp_path, content)
    dataset = coco.load_coco(str(tmp_path), "train")
    assert dataset.skeleton == JOINED
    assert dataset.records[0].keypoints.tolist() == [
        [[11.5, 12.5, 1], [0] * 3, [0] * 3, [10.5, 20.5, 2]], [[1.5, 2.5, 2], [0] * 3, [0] * 3, [0] * 3]]
    assert not dataset.records[1].keypoints.any()
