import json
import os

from common import UserError

import cv2
import numpy as np
import pycocotools.mask as mask_utils
import pytest

import data
from config import new_config
from data import coco, records
from data.segmentation import to_rle
from data.shapes import drawing, render as shapes, scene

NUM_TRAIN, NUM_VAL = 40, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("shapes") / "set"
    shapes.render_dataset(str(out), NUM_TRAIN, NUM_VAL, seed=3, num_procs=1)
    return out


@pytest.fixture(scope="module")
def scenes():
    return [scene.draw_scene(0, "train", index)[1] for index in range(150)]


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def annotations_of(folder):
    return json.loads((folder / "annotations" / "instances_train.json").read_text())["annotations"]


def decode(segmentation):
    box = (0, 0, drawing.WIDTH, drawing.HEIGHT)
    if isinstance(segmentation, dict):
        return mask_utils.decode(to_rle(segmentation, drawing.HEIGHT, drawing.WIDTH)).astype(bool)
    polygons = [np.array(p).reshape(-1, 2) for p in segmentation]
    # independent of pycocotools: is the centre of a pixel inside
    return np.array([[any(cv2.pointPolygonTest(p.astype(np.float32), (x + 0.5, y + 0.5), False) > 0 for p in polygons)
                      for x in range(box[2])] for y in range(box[3])])


# determinism ------------------------------------------------------------------------------------------------------
def test_files_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    shapes.render_dataset(str(tmp_path / "set"), NUM_TRAIN, NUM_VAL, seed=3, num_procs=2)
    assert files_of(tmp_path / "set") == files_of(folder)


def test_an_image_does_not_depend_on_how_many_there_are(folder, tmp_path):
    shapes.render_dataset(str(tmp_path / "set"), 2, 1, seed=3, num_procs=1)
    assert (tmp_path / "set/train/000002.jpg").read_bytes() == (folder / "train/000002.jpg").read_bytes()


@pytest.mark.parametrize("other", [(1, "train", 0), (0, "val", 0), (0, "train", 1)])
def test_seed_split_and_index_each_change_the_image(other):
    assert scene.render_image(0, "train", 0)[0] != scene.render_image(*other)[0]


# content ----------------------------------------------------------------------------------------------------------
def test_the_data_set_loads_as_coco_without_a_warning(folder, monkeypatch):
    monkeypatch.setattr(records.logger, "warn", pytest.fail)
    dataset = coco.load_coco(str(folder), "train")
    assert len(dataset.records) == NUM_TRAIN and dataset.class_names == drawing.CLASS_NAMES


def test_images_have_the_size_in_the_annotations(folder):
    record = coco.load_coco(str(folder), "val").records[0]
    assert data.load_image(record.file_name).shape == (record.height, record.width, 3) == (192, 256, 3)


def test_masks_of_objects_do_not_overlap(scenes):
    for objects in scenes:
        assert sum((obj.visible.astype(int) for obj in objects), np.zeros((192, 256))).max() <= 1


def test_some_objects_are_partly_covered(scenes):
    assert any(obj.visible.sum() < 0.9 * obj.num_pixels for objects in scenes for obj in objects)


def test_every_object_keeps_60_percent_of_its_pixels(scenes):
    assert min(obj.visible.sum() / obj.num_pixels for objects in scenes for obj in objects) >= 0.6


def test_a_placement_that_hides_an_earlier_object_is_refused():
    mask = np.zeros((192, 256), dtype=bool)
    mask[:10, :10] = True
    objects = []
    assert scene._place(objects, 0, mask, 100)
    assert not scene._place(objects, 0, mask, 100)
    assert len(objects) == 1 and objects[0].visible.sum() == 100


def test_images_have_2_to_12_objects_or_none(scenes):
    counts = {sum(not obj.is_crowd for obj in objects) for objects in scenes}
    assert counts - {0} <= set(range(2, 13)) and 0 in counts and len(counts) > 5


def test_all_classes_and_crowds_occur(scenes):
    assert {obj.class_index for objects in scenes for obj in objects} == set(range(6))
    assert any(obj.is_crowd for objects in scenes for obj in objects)


def test_the_colour_of_an_object_differs_from_what_it_covers():
    rng = np.random.default_rng(0)
    before = np.tile(rng.uniform(0, 255, (1, 3)), (50, 1))
    for _ in range(50):
        base, other = drawing._contrasting_colours(rng, before)
        assert np.linalg.norm((base + other) / 2 - before[0]) >= drawing.MIN_CONTRAST


def test_boxes_and_areas_are_those_of_the_masks(folder):
    for annotation in annotations_of(folder)[:12]:
        mask = decode(annotation["segmentation"])
        ys, xs = np.nonzero(mask)
        x, y, w, h = annotation["bbox"]
        assert (x, y, x + w, y + h) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert annotation["area"] == mask.sum()


def test_annotations_are_the_visible_pixels(folder):
    content = annotations_of(folder)
    for index in range(3):
        of_image = [a for a in content if a["image_id"] == index + 1]
        objects = scene.draw_scene(3, "train", index)[1]
        assert len(of_image) == len(objects)
        for annotation, obj in zip(of_image, objects):
            np.testing.assert_array_equal(decode(annotation["segmentation"]), obj.visible)


def test_both_polygons_and_rle_occur(folder):
    assert {type(a["segmentation"]) for a in annotations_of(folder)} == {list, dict}


def test_a_ring_has_a_hole():
    rng = np.random.default_rng(0)
    shape = drawing.draw_shape(rng, drawing.CLASS_NAMES.index("ring"), 60, np.array([100.0, 90.0]))
    assert not shape.mask()[90, 100] and shape.mask().sum() > 500


def test_masks_with_a_hole_or_in_two_parts_are_rle():
    mask = np.zeros((192, 256), dtype=bool)
    mask[5:20, 5:20] = True
    assert scene._polygons_or_rle(mask) == [[5, 5, 5, 20, 20, 20, 20, 5]]
    mask[10:12, 10:12] = False
    assert isinstance(scene._polygons_or_rle(mask), dict)
    mask[10:12, 10:12] = True
    mask[100:110, 5:20] = True
    assert isinstance(scene._polygons_or_rle(mask), dict)


def test_crowds_are_uncompressed_runs_of_the_mask():
    mask = np.random.default_rng(0).random((192, 256)) < 0.5
    for corner in (True, False):
        mask[0, 0] = corner
        rle = scene._crowd_rle(mask)
        assert sum(rle["counts"]) == mask.size
        np.testing.assert_array_equal(decode(rle), mask)


# on disk ----------------------------------------------------------------------------------------------------------
def test_the_registered_names_use_what_is_there(folder):
    cfg = new_config()
    cfg.DATA.BASEDIR = str(folder)
    train, val = data.load_datasets(cfg, ("shapes_train", "shapes_val"))
    assert (train.name, len(train.records), val.name, len(val.records)) == ("shapes_train", 40, "shapes_val", 6)


def test_the_registered_names_render_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "NUM_TRAIN", 3)
    monkeypatch.setattr(shapes, "NUM_VAL", 2)
    cfg = new_config()
    cfg.DATA.BASEDIR = str(tmp_path / "new" / "set")
    (dataset,) = data.load_datasets(cfg, ("shapes_val",))
    assert len(dataset.records) == 2


def test_another_version_is_rendered_again(tmp_path, monkeypatch):
    out = tmp_path / "set"
    shapes.render_dataset(str(out), 2, 1, seed=0, num_procs=1)
    monkeypatch.setattr(shapes, "VERSION", shapes.VERSION + 1)
    monkeypatch.setattr(shapes, "NUM_TRAIN", 3)
    monkeypatch.setattr(shapes, "NUM_VAL", 1)
    shapes.ensure_rendered(str(out))
    assert len(os.listdir(out / "train")) == 3 and os.listdir(tmp_path) == ["set"]


def test_the_same_data_set_is_not_rendered_twice(folder, monkeypatch):
    monkeypatch.setattr(shapes, "_render_into", pytest.fail)
    shapes.render_dataset(str(folder), NUM_TRAIN, NUM_VAL, seed=3)


def test_a_rendering_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt
    monkeypatch.setattr(shapes, "_coco_content", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shapes.render_dataset(str(tmp_path / "set"), 2, 1, seed=0, num_procs=1)
    assert os.listdir(tmp_path) == []


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="holds other files.*DATA.BASEDIR=datasets/shapes"):
        shapes.ensure_rendered(str(tmp_path))
    assert os.listdir(tmp_path) == ["train"]
