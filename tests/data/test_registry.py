import pytest

import data
from coco_folder import make_content, write
from common import UserError
from config import config
from data import registry


@pytest.fixture
def cfg(tmp_path):
    cfg = config.clone()
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


def test_a_frozen_config_with_the_same_categories_is_accepted(cfg, tmp_path):
    write(tmp_path, make_content(1))
    datasets = data.load_datasets(cfg, ["train"])
    data.fill_categories(cfg, datasets)
    cfg.freeze()
    data.fill_categories(cfg, datasets)


@pytest.mark.parametrize("mode_mask, num_objects", [(True, 19), (False, 20)])
def test_objects_without_a_mask_count_only_where_masks_are_trained(cfg, tmp_path, mode_mask, num_objects):
    content = make_content(20)
    content["annotations"][0]["segmentation"] = None
    write(tmp_path, content)
    cfg.MODE_MASK = mode_mask
    (dataset,) = data.load_datasets(cfg, ["train"])
    assert sum(len(r.labels) for r in dataset.records) == num_objects
