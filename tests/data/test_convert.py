"""Whole folders: what COCO's reader and metrics make of them once they are converted; and the command itself."""
import json
import os
import re
import shlex
import sys

import common

import numpy as np
import pytest

from config import new_config
from convert_folders import CLASSES, random_images, write_cvat, write_labelme, write_text, write_voc_xml, write_yolo
from data.coco import load_coco
from data.convert import __main__ as command, write
from data.registry import load_datasets
from data.segmentation import to_rle
from metrics import find_metric
from training_runs import SMALLEST, TINY, final_state, train_here

WRITERS = {"yolo": write_yolo, "labelme": write_labelme, "voc": write_voc_xml, "cvat": write_cvat}
# pixels: coordinates have a thousandth of one; the shares of YOLO's files have six digits, and CVAT's corners three
ROUNDING = {"yolo": 2e-3, "labelme": 1e-3, "voc": 1e-3, "cvat": 2e-3}


def run(capsys, *args):
    """python -m data.convert in this process. Returns: what it prints"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["convert", *map(str, args)])
        command.main()
    return capsys.readouterr().out


def message_of(*args):
    with pytest.raises(common.UserError) as error:
        run(None, *args)
    assert "\n" not in str(error.value)
    return str(error.value)


def objects_of(target):
    """Returns: dict of the name of each image to (record, data set), of both splits"""
    datasets = [load_coco(str(target), split) for split in ("train", "val")]
    return {os.path.basename(record.file_name): (record, dataset) for dataset in datasets for record in dataset.records}


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


@pytest.fixture
def converted(kind, tmp_path, capsys):
    """A converted folder, and the images that it was made of."""
    images = random_images(seed=len(kind), num_images=10, polygons=kind != "voc")
    WRITERS[kind](tmp_path / "source", images)
    run(capsys, kind, tmp_path / "source", tmp_path / "target")
    return tmp_path / "target", images


# round trips --------------------------------------------------------------------------------------------------------
def test_classes_boxes_and_areas_are_those_of_the_source(kind, converted):
    target, images = converted
    found = objects_of(target)
    assert found.keys() == {image.name for image in images}
    for image in images:
        record, dataset = found[image.name]
        assert record.size == (image.height, image.width)
        assert [dataset.class_names[label - 1] for label in record.labels] == [CLASSES[t.label] for t in image.objects]
        np.testing.assert_allclose(record.boxes, [t.box for t in image.objects], atol=ROUNDING[kind])
        # an area changes by about its perimeter times what the corners move
        np.testing.assert_allclose(record.areas, [t.area for t in image.objects], atol=200 * ROUNDING[kind])


def test_polygons_are_those_of_the_source(kind, converted):
    target, images = converted
    found = objects_of(target)
    for image in images:
        for truth, segmentation in zip(image.objects, found[image.name][0].segmentations):
            assert (segmentation is None) == (truth.polygon is None)
            if segmentation is not None:
                np.testing.assert_allclose(segmentation[0], truth.polygon, atol=ROUNDING[kind])


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_ground_truth_as_detections_has_ap_1(kind, converted, split):
    dataset = load_coco(str(converted[0]), split)
    comparisons = find_metric(dataset).compare(perfect_results(dataset), dataset, kinds=("bbox", "segm"))
    assert comparisons.keys() == ({"bbox"} if kind == "voc" else {"bbox", "segm"})
    for comparison in comparisons.values():
        assert comparison.metrics["AP"] == pytest.approx(1)


def perfect_results(dataset):
    """COCO's results of all objects; last, as behind all others they cost nothing, those with no mask to find."""
    results = []
    for record in dataset.records:
        for bbox, label, segmentation in zip(record.bboxes, record.labels, record.segmentations):
            rle = to_rle(segmentation or [[0.0] * 6], *record.size)
            results.append({"image_id": record.image_id, "category_id": dataset.category_ids[label - 1],
                            "bbox": bbox.tolist(), "segmentation": rle,
                            "score": 0.1 if segmentation is None else 0.9})
    return results


# the command --------------------------------------------------------------------------------------------------------
@pytest.fixture
def source(tmp_path):
    """A folder of 10 images in YOLO's format, without val."""
    write_yolo(tmp_path / "source", random_images(0, 10))
    write_text(tmp_path / "source" / "data.yaml", f"train: images\nnames: [{', '.join(CLASSES)}]")
    return tmp_path / "source"


def run_words(printed):
    """Returns: list of str, the words of the config that the command prints last"""
    words = shlex.split(printed.splitlines()[-1])
    assert words[0] == "./train.py"
    return words[words.index("--config") + 1:]


def test_what_it_prints_last_trains(source, tmp_path, capsys):
    cfg = new_config()
    cfg.update_args(run_words(run(capsys, "yolo", source, tmp_path / "my target")))
    train, val = [load_datasets(cfg, names) for names in (cfg.DATA.TRAIN, cfg.DATA.VAL)]
    assert (len(train[0].records), len(val[0].records)) == (9, 1)


def with_masks(images):
    """The same images, with a triangle for each object that has a box alone."""
    return [image._replace(objects=[truth._replace(polygon=truth.polygon or [*truth.box, truth.box[0], truth.box[3]])
                                    for truth in image.objects]) for image in images]


@pytest.mark.parametrize("with_polygons", [True, False])
def test_where_objects_lack_masks_no_masks_are_trained(tmp_path, capsys, with_polygons):
    images = random_images(0, 3)
    write_yolo(tmp_path / "source", with_masks(images) if with_polygons else images)
    assert ("MODE_MASK=False" in run(capsys, "yolo", tmp_path / "source", tmp_path / "target")) is not with_polygons


def test_what_was_left_out_is_counted_in_a_table(source, tmp_path, capsys):
    write_text(source / "labels" / "train" / "000.txt", "0 0.5 0.5 0.5 0.5\n0 9 9 9 9\n")
    assert re.search(r"^object +1$", run(capsys, "yolo", source, tmp_path / "target"), re.MULTILINE)


def test_images_are_links_or_copies(source, tmp_path, capsys):
    run(capsys, "yolo", source, tmp_path / "links")
    run(capsys, "yolo", source, tmp_path / "copies", "--copy")
    links, copies = [sorted(path for path in (tmp_path / kind).rglob("*.jpg")) for kind in ("links", "copies")]
    assert all(path.is_symlink() for path in links) and not any(path.is_symlink() for path in copies)
    assert [path.read_bytes() for path in links] == [path.read_bytes() for path in copies] and len(links) == 10


def test_the_source_stays_as_it_is(source, tmp_path, capsys):
    def files():
        return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in source.rglob("*")}
    before = files()
    run(capsys, "yolo", source, tmp_path / "target")
    assert files() == before


@pytest.mark.parametrize("target", ["source", "source/coco", "."])
def test_target_and_source_are_not_one_in_the_other(source, tmp_path, target):
    assert "choose another TARGET" in message_of("yolo", source, tmp_path / target, "--overwrite")


def test_a_target_that_is_there_is_replaced_only_on_request(source, tmp_path, capsys):
    run(capsys, "yolo", source, tmp_path / "target", "--val", 0)
    assert "add --overwrite" in message_of("yolo", source, tmp_path / "target")
    run(capsys, "yolo", source, tmp_path / "target", "--overwrite")
    assert sorted(os.listdir(tmp_path / "target")) == ["annotations", "train", "val"]


@pytest.mark.parametrize("other", ["notes.txt", "annotations/mine.json", "more/1.jpg"])
def test_other_things_in_a_target_are_never_deleted(source, tmp_path, capsys, other):
    run(capsys, "yolo", source, tmp_path / "target")
    write_text(tmp_path / "target" / other, "mine")
    assert "other things" in message_of("yolo", source, tmp_path / "target", "--overwrite")
    assert (tmp_path / "target" / other).read_text() == "mine"


def test_a_failure_leaves_nothing(source, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(write, "_write_json", full)
    assert "No space left on device" in message_of("yolo", source, tmp_path / "target")
    assert os.listdir(tmp_path) == ["source"]


def test_another_format_is_named(source, tmp_path, capsys):
    assert "looks like yolo" in message_of("labelme", source, tmp_path / "target")
    run(capsys, "yolo", source, tmp_path / "target")
    assert "COCO's format already" in message_of("labelme", tmp_path / "target", tmp_path / "again")


def test_nothing_that_can_be_used_is_one_line(tmp_path):
    write_yolo(tmp_path / "source", [image._replace(objects=[]) for image in random_images(0, 3)])
    assert "no object in it" in message_of("yolo", tmp_path / "source", tmp_path / "target")
    assert "not a folder" in message_of("yolo", tmp_path / "source" / "data.yaml", tmp_path / "target")
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.slow
def test_a_folder_of_labelme_is_trained_on_for_20_steps_and_evaluated(tmp_path, capsys):
    write_labelme(tmp_path / "source", with_masks(random_images(0, 12)))
    words = run_words(run(capsys, "labelme", tmp_path / "source", tmp_path / "target", "--val", 0.25))
    train_here(["--logdir", tmp_path / "run", "--config", *TINY, *SMALLEST, *words])
    assert final_state(tmp_path / "run")[0] == 20
    with open(tmp_path / "run" / "eval.json") as f:
        report = json.load(f)["val"]
    assert report["step"] == 20 and report["bbox"].keys() == report["segm"].keys() and report["bbox"]["AP"] is not None
