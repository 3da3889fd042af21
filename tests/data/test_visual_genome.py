import json

from common import UserError

import pytest

import data
from coco_folder import HEIGHT, WIDTH, write_image
from config import new_config
from data import records
from data.visual_genome import load_visual_genome


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def item(name="cat", box=(10, 20, 30, 15), object_id=7, **changed):
    return {"object_id": object_id, "names": [name], **dict(zip("xywh", box)), "synsets": [], **changed}


def write(folder, objects, places=("VG_100K", "VG_100K_2"), **changed):
    """
    Write Visual Genome's files.

    Args:
        objects (dict): of image ids to lists of objects; images lie in one folder and the other in turns
        changed (dict): of the last image in image_data.json
    """
    images = [{"image_id": i, "width": WIDTH, "height": HEIGHT, "url": "", "coco_id": None} for i in objects]
    for number, image in enumerate(images):
        write_image(folder / places[number % len(places)] / f"{image['image_id']}.jpg", seed=number)
    images[-1].update(changed)
    (folder / "image_data.json").write_text(json.dumps(images))
    (folder / "objects.json").write_text(json.dumps([{"image_id": i, "objects": each} for i, each in objects.items()]))


def load(folder, split="train", **options):
    return load_visual_genome(str(folder), f"visual_genome_{split}", **options)


# what is read -----------------------------------------------------------------------------------------------------
def test_images_lie_in_two_folders_and_have_their_objects_in_the_order_of_ids(tmp_path):
    write(tmp_path, {12: [item("dog"), item("cat", (0.5, 1, 2, 3))], 11: [item("cat")], 9: []})
    dataset = load(tmp_path)
    assert [(r.image_id, r.size, r.labels.tolist()) for r in dataset.records] == [
        (9, (HEIGHT, WIDTH), []), (11, (HEIGHT, WIDTH), [1]), (12, (HEIGHT, WIDTH), [2, 1])]
    assert dataset.records[1].file_name == str(tmp_path / "VG_100K_2" / "11.jpg")
    assert dataset.records[2].bboxes.tolist() == [[10, 20, 30, 15], [0.5, 1, 2, 3]]
    assert dataset.records[2].areas.tolist() == [450, 6] and dataset.records[2].segmentations == [None, None]
    assert dataset.metric == "visual_genome"


def test_boxes_are_clipped_to_the_image(tmp_path):
    write(tmp_path, {9: [item(box=(-5, 50, 20, 30))]})
    assert load(tmp_path).records[0].bboxes.tolist() == [[0, 50, 15, 10]]


def test_of_objects_with_one_box_and_class_in_an_image_one_is_kept(tmp_path):
    boxes = [(10, 20, 30, 15), (70, 50, 30, 15), (70, 50, 40, 20), (10, 20, 30, 16)]
    write(tmp_path, {9: [item("dog", boxes[0]), *(item("cat", box) for box in boxes), item("Dog.", boxes[0])],
                     10: [item("dog", boxes[0])]})
    first, second = load(tmp_path).records
    assert first.labels.tolist() == [2, 1, 1, 1] and second.labels.tolist() == [2]


# classes ----------------------------------------------------------------------------------------------------------
def test_the_most_frequent_names_of_all_splits_are_the_classes(tmp_path):
    write(tmp_path, {9: [item("Tree.")], 20: [item("tree "), item("car"), item("dog"), item("bus")], 21: [item("dog")]})
    assert load(tmp_path, num_classes=3).class_names == ("dog", "tree", "bus")
    assert load(tmp_path, num_classes=3).records[0].labels.tolist() == [2]
    assert load(tmp_path).category_ids == (1, 2, 3, 4)


def test_a_vocabulary_has_the_classes_with_their_synonyms(tmp_path):
    (tmp_path / "words.txt").write_text("dog, puppy,hound\n\ncat,kitten,dog\nzebra\n")
    names = ["Puppy", "cat", "unicorn", "KITTEN.", "dog"]
    write(tmp_path, {9: [item(name, (i, i, 5, 5)) for i, name in enumerate(names)]})
    for path in ("words.txt", str(tmp_path / "words.txt")):
        dataset = load(tmp_path, vocabulary=path)
        assert dataset.class_names == ("dog", "cat", "zebra")
        assert dataset.records[0].labels.tolist() == [1, 2, 2, 1]


def test_the_first_of_an_objects_names_that_is_a_class_counts(tmp_path):
    (tmp_path / "words.txt").write_text("cat\ndog\n")
    write(tmp_path, {9: [item(names=["unicorn", "dog", "cat"])]})
    assert load(tmp_path, vocabulary="words.txt").records[0].labels.tolist() == [2]


# splits -----------------------------------------------------------------------------------------------------------
def ids(dataset):
    return [record.image_id for record in dataset.records]


def test_without_lists_a_twentieth_is_for_validation_and_one_for_tests(tmp_path):
    write(tmp_path, {i: [item()] for i in range(19, 43)})
    assert ids(load(tmp_path, "val")) == [20, 40] and ids(load(tmp_path, "test")) == [21, 41]
    assert ids(load(tmp_path, "train")) == [19, *range(22, 40), 42]


def test_lists_say_the_images_of_a_split_by_ids_or_paths(tmp_path):
    write(tmp_path, {i: [item()] for i in (1, 2, 3, 20)})
    (tmp_path / "train.txt").write_text("3\n\nVG_100K/1.jpg xml/1.xml\n")
    (tmp_path / "val.txt").write_text("2\n")
    assert ids(load(tmp_path)) == [1, 3] and ids(load(tmp_path, "val")) == [2]
    with pytest.raises(UserError, match=r"test.txt: cannot be read .*; write an image id on each line"):
        load(tmp_path, "test")


def test_a_line_of_a_list_without_an_id_is_refused(tmp_path):
    write(tmp_path, {9: [item()]})
    (tmp_path / "train.txt").write_text("9\nnine.jpg\n")
    with pytest.raises(UserError, match="train.txt: the line 'nine.jpg' has no image id"):
        load(tmp_path)


def test_listed_images_that_are_not_there_are_named(tmp_path, warnings):
    write(tmp_path, {i: [item()] for i in range(2, 20)})
    (tmp_path / "train.txt").write_text("\n".join(map(str, range(2, 21))))
    assert len(load(tmp_path).records) == 18
    assert "skipped image 20: it is not in image_data.json" in warnings[0]


# names ------------------------------------------------------------------------------------------------------------
def test_the_keys_of_the_config_say_the_classes(tmp_path):
    write(tmp_path, {9: [item("cat")], 10: [item("dog")], 20: [item("dog")]})
    (tmp_path / "words.txt").write_text("zebra\ncat\n")
    cfg = new_config()
    cfg.DATA.BASEDIR, cfg.DATA.VG_NUM_CLASSES = str(tmp_path), 1
    train, val = data.load_datasets(cfg, ("visual_genome_train", "visual_genome_val"))
    assert train.class_names == val.class_names == ("dog",)
    cfg.DATA.VG_VOCABULARY = "words.txt"
    assert data.load_datasets(cfg, ("visual_genome_train",))[0].class_names == ("zebra", "cat")


# what is broken ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("changed, reason", [
    ({"box": (WIDTH, 5, 10, 10)}, "nothing in the image"), ({"box": (5, 5, 0, 10)}, "nothing in the image"),
    ({"x": "5"}, "not 4 numbers"), ({"h": None}, "not 4 numbers"), ({"w": True}, "not 4 numbers"),
    ({"y": 1e300}, "not 4 numbers")])
def test_a_bad_object_is_skipped_with_one_line_that_names_it(tmp_path, warnings, changed, reason):
    good = [item(box=(i, i, 5, 5)) for i in range(10)]
    write(tmp_path, {9: [*good, item(object_id=999, **changed)]})
    assert load(tmp_path).records[0].labels.tolist() == [1] * 10
    (line,) = warnings
    assert "objects.json: skipped object 999 of image 9: " in line and reason in line


@pytest.mark.parametrize("broken", [None, 5, [], {"names": "cat"}, {"names": [5]}, {"names": []}])
def test_what_is_no_object_with_a_name_is_left_out(tmp_path, broken):
    write(tmp_path, {9: [item(), broken]})
    assert load(tmp_path).records[0].labels.tolist() == [1]


@pytest.mark.parametrize("changed, reason", [
    ({"image_id": "19"}, "its image_id is not a whole number"), ({"image_id": 2}, "its id appears twice"),
    ({"width": 0}, "its height and width are 60 and 0"), ({"height": None}, "its height and width are None and 80"),
    ({"image_id": 59}, "there is no file 59.jpg in VG_100K or VG_100K_2")])
def test_a_bad_image_is_skipped_with_one_line(tmp_path, warnings, changed, reason):
    write(tmp_path, {i: [item()] for i in range(2, 20)}, **changed)
    assert len(load(tmp_path).records) == 17
    (line,) = warnings
    assert "image_data.json: skipped image" in line and reason in line


@pytest.mark.parametrize("name, text, message", [
    ("objects.json", None, r"objects.json: cannot be read .*; set DATA.BASEDIR to the folder"),
    ("objects.json", "[{", "not a json file"), ("image_data.json", "{}", "not Visual Genome's"),
    ("image_data.json", "[5]", "not Visual Genome's"), ("objects.json", "[]", "no object has a name")])
def test_files_that_are_missing_or_not_visual_genomes_are_named(tmp_path, name, text, message):
    write(tmp_path, {9: [item()]})
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_vocabulary_that_is_missing_or_empty_is_named(tmp_path):
    write(tmp_path, {9: [item()]})
    with pytest.raises(UserError, match="words.txt: cannot be read .*; set DATA.VG_VOCABULARY"):
        load(tmp_path, vocabulary="words.txt")
    (tmp_path / "words.txt").write_text("\n")
    with pytest.raises(UserError, match="words.txt: it has no class"):
        load(tmp_path, vocabulary="words.txt")


def test_a_split_without_images_has_no_records(tmp_path):
    write(tmp_path, {9: [item()]})
    dataset = load(tmp_path, "val")
    assert list(dataset.records) == [] and dataset.class_names == ("cat",)
