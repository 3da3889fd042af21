from common import UserError

import numpy as np
import pytest

import data
from coco_folder import make_content, write
from config import finalize_configs, load_config, new_config, save_config
from convert_folders import random_images, write_cvat, write_labelme, write_yolo
from data import registry


@pytest.fixture
def cfg(tmp_path):
    cfg = new_config()
    cfg.DATA.BASEDIR = str(tmp_path)
    return cfg


def test_data_sets_are_loaded_in_the_order_of_their_names(cfg, tmp_path):
    write(tmp_path, make_content(2), name="b")
    write(tmp_path, make_content(3), name="a")
    assert [(d.name, len(d.records)) for d in data.load_datasets(cfg, ["b", "a"])] == [("b", 2), ("a", 3)]


def test_the_folder_of_data_sets_may_lie_below_the_home_folder(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "coco", make_content(1), name="a")
    cfg.DATA.BASEDIR = "~/coco"
    assert len(data.load_datasets(cfg, ["a"])[0].records) == 1


def test_a_registered_loader_is_called_with_basedir_and_name(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_LOADERS", {})
    data.register("mine", lambda basedir, name: data.Dataset(name, ("a",), (1,), basedir, []))
    (dataset,) = data.load_datasets(cfg, ["mine"])
    assert (dataset.name, dataset.annotation_file) == ("mine", str(tmp_path))


@pytest.mark.parametrize("kind, write_folder", [("yolo", write_yolo), ("labelme", write_labelme), ("cvat", write_cvat)])
def test_a_folder_of_another_format_is_refused_with_what_converts_it(cfg, tmp_path, kind, write_folder):
    write_folder(tmp_path / "mine", random_images(0, 2))
    with pytest.raises(UserError, match=f"looks like {kind}; convert it: python -m data.convert {kind} .*mine TARGET"):
        data.load_datasets(cfg, [str(tmp_path / "mine")])


def test_a_folder_that_is_missing_is_said_without_another_path_in_it(cfg, tmp_path):
    with pytest.raises(UserError) as error:
        data.load_datasets(cfg, [str(tmp_path / "nowhere")])
    assert f"annotations/instances_{tmp_path}" not in str(error.value)


@pytest.mark.parametrize("label", [0, 3, -1])
def test_a_label_that_is_no_class_is_refused(cfg, monkeypatch, label):
    monkeypatch.setattr(registry, "_LOADERS", {})
    record = data.Record.of_boxes("/1.jpg", 1, 60, 80, [[10, 10, 30, 40]], [label])
    data.register("mine", lambda basedir, name: data.Dataset(name, ("cat", "dog"), (1, 2), basedir, [record]))
    with pytest.raises(UserError, match=f"data set mine: an object has label {label}, not one of 1..2"):
        data.load_datasets(cfg, ["mine"])


def test_an_unknown_name_lists_the_registered_ones(cfg):
    with pytest.raises(UserError, match="shapes_train, shapes_val"):
        data.load_datasets(cfg, ["tranin2017"])


@pytest.mark.parametrize("category", [dict(id=7, name="horse"), dict(id=8, name="cat")])
def test_data_sets_with_other_categories_cannot_be_joined(cfg, tmp_path, category):
    write(tmp_path, {**make_content(1), "categories": [{"id": 7, "name": "cat"}]}, name="a")
    write(tmp_path, {**make_content(1), "categories": [category], "annotations": []}, name="b")
    with pytest.raises(UserError, match="a and b have different categories"):
        data.load_datasets(cfg, ["a", "b"])


def test_categories_are_filled_from_the_data_set(cfg, tmp_path):
    write(tmp_path, make_content(1))
    data.fill_categories(cfg, data.load_datasets(cfg, ["train"]))
    assert cfg.DATA.CLASS_NAMES == ("dog", "cat", "cow") and cfg.DATA.CATEGORY_IDS == (3, 7, 90)


def test_other_class_names_of_the_config_are_refused(cfg, tmp_path):
    write(tmp_path, make_content(1))
    cfg.DATA.CLASS_NAMES = ("person",)
    with pytest.raises(UserError, match="DATA.CLASS_NAMES is .person., but .*train.json has .dog, cat, cow."):
        data.fill_categories(cfg, data.load_datasets(cfg, ["train"]))


def test_a_model_that_knows_more_classes_is_evaluated_on_a_data_set_with_fewer(cfg, tmp_path):
    write(tmp_path, make_content(1))
    datasets = data.load_datasets(cfg, ["train"])
    cfg.DATA.CLASS_NAMES, cfg.DATA.CATEGORY_IDS = ("N/A", "cow", "cat", "dog"), (1, 2, 3, 4)
    with pytest.raises(UserError):
        data.fill_categories(cfg, datasets)
    data.fill_categories(cfg, datasets, may_be_fewer=True)
    assert cfg.DATA.CLASS_NAMES == ("N/A", "cow", "cat", "dog")


def test_a_frozen_config_with_the_same_categories_is_accepted(cfg, tmp_path):
    write(tmp_path, make_content(1))
    datasets = data.load_datasets(cfg, ["train"])
    data.fill_categories(cfg, datasets)
    cfg.freeze()
    data.fill_categories(cfg, datasets)


def test_data_sets_may_lie_in_folders_of_their_own(cfg, tmp_path):
    write(tmp_path, make_content(1))
    write(tmp_path / "other", make_content(2))
    write(tmp_path / "a, b" / "c", make_content(3))
    names = ["train", "other/train", str(tmp_path / "a, b" / "c" / "train")]
    datasets = data.load_datasets(cfg, names)
    assert [len(dataset.records) for dataset in datasets] == [1, 2, 3]
    assert [dataset.name for dataset in datasets] == ["train", "other_train", "c_train"]


def test_data_sets_of_one_name_in_two_folders_of_one_name_are_told_apart(cfg, tmp_path):
    for folder in ("a/set", "b/set"):
        write(tmp_path / folder, make_content(1))
    names = [f"{tmp_path}/a/set/train", "b/set/train", "b/set/../set/train"]
    assert [d.name for d in data.load_datasets(cfg, names)] == ["a_set_train", "b_set_train", "b_set_train"]


def test_a_home_folder_is_found(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "mine", make_content(1))
    assert data.load_datasets(cfg, ["~/mine/train"])[0].name == "mine_train"


def test_a_name_with_a_folder_may_be_so_below_the_folder_of_annotations(cfg, tmp_path):
    write(tmp_path, make_content(1), name="sub/train", annotations="annotations/{}.json")
    (record,) = data.load_datasets(cfg, ["sub/train"])[0].records
    assert record.file_name == str(tmp_path / "sub" / "train" / "1.jpg")


@pytest.mark.parametrize("name, message", [
    ("/nowhere/train", "data set /nowhere/train: /nowhere is not a folder; correct the path"),
    ("other/val", "data set other/val: none of .* is in .*other; correct the path")])
def test_a_data_set_that_is_not_in_its_folder_is_named(cfg, tmp_path, name, message):
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=message):
        data.load_datasets(cfg, [name])


def test_a_registered_loader_is_called_with_the_folder_of_its_name(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_LOADERS", {})
    data.register("mine", lambda folder, name: data.Dataset(name, ("a",), (1,), folder, []))
    (dataset,) = data.load_datasets(cfg, ["/data/other/mine"])
    assert (dataset.name, dataset.annotation_file) == ("other_mine", "/data/other")


# keypoints ----------------------------------------------------------------------------------------------------------
NAMES = ("nose", "left_ear", "right_ear")


@pytest.fixture
def keypoint_cfg(cfg):
    cfg.MODE_KEYPOINT = True
    return cfg


def write_keypoints(folder, *names, name="train", edges=((1, 2),)):
    """A data set in which cats have these keypoints, and dogs and cows none"""
    content = make_content(1)
    content["categories"][0].update(keypoints=list(names), skeleton=edges)
    write(folder, content, name=name)


def test_keypoints_are_filled_and_come_back_from_a_saved_config(keypoint_cfg, tmp_path):
    write_keypoints(tmp_path, *NAMES)
    (dataset,) = data.load_datasets(keypoint_cfg, ["train"])
    data.fill_categories(keypoint_cfg, [dataset])
    finalize_configs(keypoint_cfg, is_training=True)
    assert data.skeleton_of(keypoint_cfg) == dataset.skeleton == (NAMES, ((0, 1),), ((), (0, 1, 2), ()))
    save_config(keypoint_cfg, str(tmp_path / "config.json"))
    loaded = new_config()
    load_config(loaded, str(tmp_path / "config.json"))
    assert data.skeleton_of(loaded) == dataset.skeleton
    data.fill_categories(loaded, [dataset])


def test_keypoints_are_of_no_interest_without_mode_keypoint(keypoint_cfg, tmp_path):
    write_keypoints(tmp_path, *NAMES)
    keypoint_cfg.MODE_KEYPOINT = False
    data.fill_categories(keypoint_cfg, data.load_datasets(keypoint_cfg, ["train"]))
    assert keypoint_cfg.DATA.KEYPOINT_NAMES == () and data.skeleton_of(keypoint_cfg) is None


def test_a_data_set_without_keypoints_cannot_say_what_to_learn(keypoint_cfg, tmp_path):
    write(tmp_path, make_content(1))
    with pytest.raises(UserError, match="train.json: no category has keypoints, .* or set MODE_KEYPOINT=False"):
        data.fill_categories(keypoint_cfg, data.load_datasets(keypoint_cfg, ["train"]))


def test_a_model_that_knows_its_keypoints_is_evaluated_on_boxes_alone(keypoint_cfg, tmp_path):
    write(tmp_path, make_content(1))
    keypoint_cfg.DATA.KEYPOINT_NAMES = NAMES
    data.fill_categories(keypoint_cfg, data.load_datasets(keypoint_cfg, ["train"]))
    assert keypoint_cfg.DATA.KEYPOINT_NAMES == NAMES


def test_other_keypoints_than_the_models_are_refused(keypoint_cfg, tmp_path):
    write_keypoints(tmp_path, *NAMES)
    write_keypoints(tmp_path, *NAMES[::-1], name="val")
    data.fill_categories(keypoint_cfg, data.load_datasets(keypoint_cfg, ["train"]))
    with pytest.raises(UserError, match=r"knows the keypoints \(nose, left_ear, right_ear\) of cat, but .*val.json has "
                                        r"\(right_ear, left_ear, nose\)"):
        data.fill_categories(keypoint_cfg, data.load_datasets(keypoint_cfg, ["val"]))


def test_a_model_of_more_classes_is_held_against_those_that_a_data_set_has(keypoint_cfg, tmp_path):
    write_keypoints(tmp_path, *NAMES)
    keypoint_cfg.DATA.CLASS_NAMES, keypoint_cfg.DATA.CATEGORY_IDS = ("horse", "cow", "cat", "dog"), (1, 2, 3, 4)
    keypoint_cfg.DATA.KEYPOINT_NAMES, keypoint_cfg.DATA.KEYPOINTS_OF_CLASS = ("mane", *NAMES), ((0,), (), (1, 2, 3), ())
    datasets = data.load_datasets(keypoint_cfg, ["train"])
    data.fill_categories(keypoint_cfg, datasets, may_be_fewer=True)
    keypoint_cfg.DATA.KEYPOINTS_OF_CLASS = ((0,), (), (1, 2), ())
    with pytest.raises(UserError, match="choose a data set with the keypoints of the model"):
        data.fill_categories(keypoint_cfg, datasets, may_be_fewer=True)


def test_data_sets_whose_classes_have_other_keypoints_cannot_be_joined(keypoint_cfg, tmp_path):
    write_keypoints(tmp_path, *NAMES, name="a")
    content = make_content(1)
    content["categories"][1].update(keypoints=list(NAMES))
    write(tmp_path, content, name="b")
    with pytest.raises(UserError, match="a and b have different keypoints"):
        data.load_datasets(keypoint_cfg, ["a", "b"])


def test_records_with_other_keypoints_than_their_skeleton_are_refused(keypoint_cfg, monkeypatch):
    monkeypatch.setattr(registry, "_LOADERS", {})
    record = data.Record.of_boxes("/1.jpg", 1, 60, 80, [[10, 10, 30, 40]], [1])
    record.keypoints = np.zeros((1, 2, 3))
    data.register("mine", lambda basedir, name: data.Dataset(name, ("cat",), (1,), basedir, [record],
                                                             skeleton=data.Skeleton(NAMES, ())))
    with pytest.raises(UserError, match=r"keypoints have shape \(1, 2, 3\), but its skeleton has 3 names"):
        data.load_datasets(keypoint_cfg, ["mine"])
