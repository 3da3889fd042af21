import common  # noqa: F401

import cv2
import numpy as np
import pytest

from data import coco
from data.augment import View, mirror_partners
from data.shapes import drawing, render, scene, tips

NAMES = ("top", "right", "bottom", "left", "upper_right", "lower_right", "lower_left", "upper_left")
TIPPED = [*tips.NAMES]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("shapes") / "set"
    render.render_dataset(str(out), 60, 1, seed=3, num_procs=1)
    return coco.load_coco(str(out), "train")


def draw(class_name, size=60.0, seed=0):
    return drawing.draw_shape(np.random.default_rng(seed), drawing.CLASS_NAMES.index(class_name), size,
                              np.array([128.0, 96.0]))


def test_classes_share_keypoints_by_their_names(dataset):
    names = {name: [dataset.skeleton.names[number] for number in own]
             for name, own in zip(dataset.class_names, dataset.skeleton.of_class)}
    assert dataset.skeleton.names == NAMES
    assert names == {"circle": [], "ring": [], **{name: list(own) for name, own in tips.NAMES.items()}}


@pytest.mark.parametrize("name", TIPPED)
@pytest.mark.parametrize("seed", range(8))
def test_tips_go_clockwise_from_the_topmost(name, seed):
    points = draw(name, seed=seed).tips
    assert len(points) == len(tips.NAMES[name]) and points[:, 1].argmin() == 0
    x, y = (points - points.mean(axis=0)).T
    turns = np.diff(np.unwrap(np.arctan2(y, x)))    # y points down, so clockwise is positive
    assert (turns > 0).all() and turns.sum() < 2 * np.pi


@pytest.mark.parametrize("name", TIPPED)
@pytest.mark.parametrize("seed", range(4))
def test_tips_are_where_the_mask_ends(name, seed):
    shape = draw(name, seed=seed)
    mask, centre = shape.mask(), np.argwhere(shape.mask()).mean(axis=0)[::-1] + 0.5
    for tip in shape.tips:
        outward = (tip - centre) / np.linalg.norm(tip - centre)
        (x, y), (beyond_x, beyond_y) = np.floor(tip).astype(int), np.floor(tip + 3 * outward).astype(int)
        assert mask[y, x] and not mask[beyond_y, beyond_x]


@pytest.mark.parametrize("mirror_x", [False, True])
def test_a_mirrored_shape_has_the_names_that_it_would_have_been_given(dataset, mirror_x):
    partners = mirror_partners(dataset.skeleton.names)
    for name in TIPPED:
        own = list(dataset.skeleton.of_class[dataset.class_names.index(name)])
        keypoints = np.zeros((1, len(NAMES), 3))
        keypoints[0, own] = np.insert(draw(name, seed=5).tips, 2, 2, axis=1)
        seen = View((0, 0, 256, 192), (192, 256), mirror_x).see_keypoints(keypoints, partners)[0]
        assert not seen[~np.isin(np.arange(len(NAMES)), own)].any()
        x, y = (seen[own, :2] - seen[own, :2].mean(axis=0)).T
        assert y.argmin() == 0 and (np.diff(np.unwrap(np.arctan2(y, x))) > 0).all()


def test_a_visible_keypoint_lies_in_the_box_and_at_the_mask_of_its_object(dataset):
    count = 0
    for index, record in enumerate(dataset.records):
        objects = scene.draw_scene(3, "train", index)[1]
        for obj, box, keypoints in zip(objects, record.boxes, record.keypoints):
            points = keypoints[keypoints[:, 2] == 2, :2]
            assert ((points >= box[:2]) & (points <= box[2:])).all()
            columns, rows = np.floor(points).astype(int).T
            near = cv2.dilate(obj.visible.astype(np.uint8), np.ones((3, 3)))    # by a pixel, as tips are sharp
            assert near[rows, columns].all()
            count += len(points)
    assert count > 500


def test_hidden_keypoints_lie_on_another_object_and_those_outside_of_the_image_are_zero(dataset):
    counts = np.zeros(3, dtype=int)
    for index, record in enumerate(dataset.records):
        objects = scene.draw_scene(3, "train", index)[1]
        for i, (label, is_crowd, keypoints) in enumerate(zip(record.labels, record.is_crowd, record.keypoints)):
            above = sum((obj.visible for obj in objects[i + 1:]), np.zeros((192, 256), dtype=bool))
            columns, rows = np.floor(keypoints[keypoints[:, 2] == 1, :2]).astype(int).T
            assert above[rows, columns].all() and not keypoints[keypoints[:, 2] == 0].any()
            if not is_crowd:
                own = list(dataset.skeleton.of_class[label - 1])
                counts += np.bincount(keypoints[own, 2].astype(int), minlength=3)
    assert (counts > 10).all()


def test_keypoints_are_numbers_of_pixels_as_cocos_are():
    above = np.zeros((10, 20), dtype=bool)
    above[5, 3] = True
    found = tips.to_keypoints(np.array([[3.25, 4.75], [3.99, 5.0], [20.0, 5.0], [-0.1, 5.0], [5.0, 10.1]]), above)
    assert found == {"keypoints": [2.75, 4.25, 2, 3.49, 4.5, 1] + [0] * 9, "num_keypoints": 2}


def test_crowds_have_no_labelled_keypoint(dataset):
    crowds = [record.keypoints[record.is_crowd] for record in dataset.records]
    assert sum(map(len, crowds)) > 0 and not np.concatenate(crowds).any()


def test_objects_are_where_they_were_before_they_had_keypoints():
    annotations = scene.render_image(0, "train", 7)[1]
    assert [annotation["bbox"] for annotation in annotations[:2]] == [[163, 138, 25, 27], [77, 45, 54, 51]]


def test_num_keypoints_counts_the_labelled_ones():
    annotations = scene.render_image(3, "train", 0)[1] + scene.render_image(3, "train", 1)[1]
    for annotation in annotations:
        assert ("keypoints" in annotation) == (drawing.CLASS_NAMES[annotation["category_id"] - 1] in TIPPED)
        if "keypoints" in annotation:
            assert annotation["num_keypoints"] == np.count_nonzero(annotation["keypoints"][2::3])
