"""Annotations of a COCO file: as pycocotools reads them, and by the same rules alone and in blocks."""
import contextlib
import io
import json

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from hypothesis import given, settings, strategies as st
from pycocotools.coco import COCO

import data
from coco_folder import HEIGHT, SQUARE, WIDTH, make_annotation, make_content, write
from data import coco, coco_annotations, records
from data.segmentation import to_rle


def load(folder, content):
    """The content as a data set, whose images are empty files."""
    (folder / "train").mkdir(exist_ok=True)
    for image in content["images"]:
        (folder / "train" / image["file_name"]).touch()
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    return coco.load_coco(str(folder), "train")


# beside pycocotools -------------------------------------------------------------------------------------------------
NUMBER = st.integers(0, 100) | st.integers(0, 10_000).map(lambda k: k / 100) | st.floats(0, 100, width=32)


@st.composite
def an_rle(draw, size):
    rng, num_cuts = np.random.default_rng(draw(st.integers(0, 99))), draw(st.integers(0, 9))
    cuts = np.sort(rng.integers(0, size[0] * size[1] + 1, num_cuts))
    rle = {"size": size, "counts": np.diff(cuts, prepend=0, append=size[0] * size[1]).tolist()}
    if draw(st.booleans()):
        rle["counts"] = mask_utils.frPyObjects(rle, *size)["counts"].decode("ascii")
    return rle


@st.composite
def an_annotation(draw, images):
    image = draw(st.sampled_from(images))
    size = [image["height"], image["width"]]
    polygon = st.integers(3, 6).flatmap(lambda n: st.lists(NUMBER, min_size=2 * n, max_size=2 * n))
    annotation = {
        "image_id": image["id"], "category_id": draw(st.sampled_from([3, 7, 90])),
        "bbox": [draw(st.floats(-5, size[1] - 1)), draw(st.integers(0, size[0] - 1)), draw(st.floats(6, 90)),
                 draw(st.integers(1, 99))],
        "segmentation": draw(st.lists(polygon, min_size=1, max_size=3) | an_rle(size)),
        "iscrowd": draw(st.integers(0, 1))}
    # pycocotools has no area of its own where the file has none
    return {**annotation, "area": draw(st.floats(0, 1e4) | st.integers(0, 10_000))}


@st.composite
def a_content(draw):
    ids = draw(st.lists(st.integers(0, 2**53), min_size=1, max_size=4, unique=True))
    images = [{"id": i, "file_name": f"{i}.jpg", "height": draw(st.integers(6, 90)), "width": draw(st.integers(6, 90))}
              for i in ids]
    annotations = draw(st.lists(an_annotation(images), max_size=8))
    return {"images": images, "categories": [{"id": i, "name": str(i)} for i in (7, 3, 90)],
            "annotations": [{**annotation, "id": i} for i, annotation in enumerate(annotations, 1)]}


@settings(max_examples=60, deadline=None)
@given(a_content())
def test_areas_boxes_classes_and_masks_are_those_of_pycocotools(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("set")
    dataset = load(folder, content)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(folder / "train.json"))
    assert [record.image_id for record in dataset.records] == list(reference.imgs)
    for record in dataset.records:
        expected = reference.imgToAnns[record.image_id]
        assert record.bboxes.tolist() == [annotation["bbox"] for annotation in expected]
        assert record.areas.tolist() == [annotation["area"] for annotation in expected]
        assert [dataset.category_ids[label - 1] for label in record.labels] == [a["category_id"] for a in expected]
        assert record.is_crowd.tolist() == [annotation["iscrowd"] for annotation in expected]
        for segmentation, annotation in zip(record.segmentations, expected):
            mask = mask_utils.decode(to_rle(segmentation, *record.size))
            np.testing.assert_array_equal(mask, reference.annToMask(annotation))


# alone and in blocks ------------------------------------------------------------------------------------------------
ODD = [{"bbox": [1, 2, 3]}, {"bbox": [1, 2, 0, 4]}, {"bbox": [1, 2, True, 4]}, {"bbox": [WIDTH, 2, 3, 4]},
       {"bbox": [1, 2, float("nan"), 4]}, {"bbox": [60, 2, 1e-9, 4]}, {"category_id": 1}, {"category_id": True},
       {"category_id": 10**30}, {"image_id": 999}, {"image_id": "1"}, {"image_id": 20}, {"iscrowd": 2},
       {"iscrowd": True}, {"iscrowd": []}, {"area": None}, {"area": "1"}, {"area": float("nan")}, {"area": 10**400},
       {"segmentation": None}, {"segmentation": []}, {"segmentation": [[]]}, {"segmentation": {}},
       {"segmentation": ""}, {"segmentation": 5}, {"segmentation": [5]}, {"segmentation": [[1, 2, 3, 4]]},
       {"segmentation": [SQUARE, [1, 2, 3, 4, 5, 6, 7]]}, {"segmentation": [[1, 2, 3, 4, 5, None]]},
       {"segmentation": [[1, 2, 3, 4, 5, 1e9]]}, {"segmentation": [SQUARE, [.125, 3, 7, 1e-9, 6, 5]]},
       {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [7, HEIGHT * WIDTH - 7]}},
       {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [7]}}]


def read_with_lines(folder, monkeypatch, block_size):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    monkeypatch.setattr(coco_annotations, "BLOCK", block_size)
    content = make_content(300)
    content["images"][19]["width"] = 0
    for i, changes in enumerate(ODD):
        content["annotations"].insert(7 * i, {**make_annotation(1000 + i, i + 1), **changes})
    content["annotations"] += [5, {}]
    return load(folder, content), lines


def objects_of(dataset):
    def plain(segmentation):
        return [p.tolist() for p in segmentation] if isinstance(segmentation, list) else segmentation

    return [(r.image_id, r.bboxes.tolist(), r.areas.tolist(), r.labels.tolist(), list(map(plain, r.segmentations)))
            for r in dataset.records]


@pytest.mark.parametrize("block_size", [1, 5, 1000])
def test_what_is_read_and_what_is_skipped_does_not_depend_on_blocks(tmp_path, monkeypatch, block_size):
    dataset, lines = read_with_lines(tmp_path, monkeypatch, block_size)
    with monkeypatch.context() as m:
        m.setattr(coco_annotations, "_find_regular", lambda block, _: (np.zeros(0, dtype=np.int64), None))
        expected, expected_lines = read_with_lines(tmp_path, monkeypatch, block_size)
    assert objects_of(dataset) == objects_of(expected)
    assert lines == expected_lines and len(lines) == 1 + 20 + 1


def test_annotations_without_anything_odd_are_all_looked_at_in_blocks(tmp_path, monkeypatch):
    monkeypatch.delattr(coco_annotations._Reader, "_parse")
    assert load(tmp_path, make_content(20)).records.object_counts.tolist() == [1] * 20


# keypoints ----------------------------------------------------------------------------------------------------------
def with_keypoints(content, *keypoints):
    """A content whose categories have two keypoints; the first annotations get `keypoints`."""
    for category in content["categories"]:
        category.update(keypoints=["left", "right"], skeleton=[[1, 2], [2, 5]])
    for annotation, values in zip(content["annotations"], keypoints):
        annotation["keypoints"] = values
    return content


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def test_keypoints_are_in_the_middle_of_their_pixels_and_zero_where_not_labelled(tmp_path):
    dataset = load(tmp_path, with_keypoints(make_content(2), [10, 20, 2, 3, 4, 0]))
    assert [r.keypoints.tolist() for r in dataset.records] == [[[[10.5, 20.5, 2], [0, 0, 0]]], [[[0, 0, 0]] * 2]]
    assert dataset.skeleton == data.Skeleton(("left", "right"), ((0, 1),))


@pytest.mark.parametrize("keypoints, reason", [
    ([1, 2, 2], "keypoints is .1, 2, 2., not 6 numbers"), ([1, 2, 2, 3, 4, "2"], "not 6 numbers"), ("12", "not 6"),
    ([1, 2, 3, 1, 2, 2], "its third number is not 0, 1 or 2"), ([1e9, 2, 2, 1, 2, 2], "far outside of the image")])
def test_an_annotation_with_bad_keypoints_is_skipped_with_a_line(tmp_path, warnings, keypoints, reason):
    dataset = load(tmp_path, with_keypoints(make_content(20), keypoints))
    assert dataset.records.object_counts.tolist() == [0] + [1] * 19
    (line,) = warnings
    assert "annotation 101" in line and reason.replace(".", "") in line.replace("[", "").replace("]", "")


def test_person_keypoints_lie_beside_the_images_of_their_split(tmp_path):
    write(tmp_path, make_content(1), name="val2017", annotations="annotations/person_keypoints_{}.json")
    (record,) = coco.load_coco(str(tmp_path), "person_keypoints_val2017").records
    assert record.file_name == str(tmp_path / "val2017" / "1.jpg")
