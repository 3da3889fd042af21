"""The page of an evaluation: its parts, its numbers and its pictures."""
import json
import os

from common import UserError

import cv2
import numpy as np
import pytest

import planted
from html_page import HOSTILE, Page
from metrics import coco, voc
from metrics.report.analysis import analyse
from metrics.report.confusions import shortened
from metrics.report.page import make_page, report_folder, write_report
from metrics.report.worst import Drawing, worst_images
from viz.mistakes import Panel, draw_beside_truth

DRAWING = Drawing(draw_beside_truth, Panel)
BOX, HALF, FAR = (100, 100, 80, 80), (140, 100, 80, 80), (300, 300, 40, 40)


def make_set(folder, class_names=planted.CLASSES):
    """Returns: Dataset of four images with a circle each, whose files are there, but for the last"""
    dataset = planted.make_dataset([[(1, BOX)]] * 4, class_names, str(folder / "{}.png"))
    for record in dataset.records[:3]:
        cv2.imwrite(record.file_name, np.full((planted.SIZE, planted.SIZE, 3), 90, np.uint8))
    return dataset


FOUND = [planted.result(1, 1, BOX, 0.9), planted.result(2, 2, BOX, 0.8), planted.result(3, 3, FAR, 0.7),
         planted.result(2, 1, HALF, 0.95)]


def write(folder, dataset, results=FOUND, metric=coco, kinds=("bbox",)):
    """Returns: Page"""
    comparisons = metric.compare(results, dataset, kinds)
    with open(write_report(str(folder / "out_report"), results, dataset, comparisons, DRAWING), encoding="utf-8") as f:
        return Page(f.read())


def test_the_page_is_whole_has_its_parts_and_asks_for_nothing_but_its_own_files(tmp_path):
    page = write(tmp_path, make_set(tmp_path))
    assert page.open == []
    assert page.sections == ["Boxes", "Classes", "Confusions", "Calibration", "Worst images"]
    files = [link for link in page.links if not link.startswith("#")]
    assert files and all(os.path.isfile(tmp_path / "out_report" / link) for link in files)
    assert not any(":" in link for link in page.links) and "script" not in page.tags


def test_names_from_files_are_texts_and_no_elements(tmp_path):
    page = write(tmp_path, make_set(tmp_path, (HOSTILE, "square", "star")))
    assert "script" not in page.tags and HOSTILE in page.text


def test_the_metrics_of_the_data_set_are_on_the_page(tmp_path):
    page = write(tmp_path, make_set(tmp_path), metric=voc)
    assert "VOC07" in page.text and "AP50" in page.text


def test_an_image_that_cannot_be_read_is_one_line_and_a_picture_less(tmp_path, capsys):
    write(tmp_path, make_set(tmp_path))
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if "1 images cannot be read" in line]) == 1
    names = sorted(os.listdir(tmp_path / "out_report" / "pictures"))
    assert names == ["missed-0.jpg", "poor_box-0.jpg"]


def test_numbers_are_there_for_programs(tmp_path):
    write(tmp_path, make_set(tmp_path))
    numbers = json.loads((tmp_path / "out_report" / "report.json").read_text())["bbox"]
    assert numbers["mistakes"] == {"wrong class": 1, "poor box": 1, "both": 0, "duplicate": 0, "background": 1,
                                   "missed": 2}
    assert np.sum(numbers["confusion"]["objects by detections"]) >= 4
    assert numbers["classes"]["circle"]["objects"] == 4 and numbers["classes"]["star"]["AP"] is None


def test_the_worst_images_are_those_with_the_highest_scores_of_a_kind():
    dataset = planted.make_dataset([[(1, BOX)]] * 3)
    results = [planted.result(i, 1, BOX, 0.3) for i in (1, 2, 3)]
    results += [planted.result(1, 2, FAR, 0.5), planted.result(3, 2, FAR, 0.6), planted.result(2, 2, FAR, 0.1)]
    analysis = analyse(results, dataset)
    assert analysis.threshold == 0.3
    # in the second image the mistake is below the threshold
    assert worst_images(analysis, "background") == [2, 0] and worst_images(analysis, "missed") == []


@pytest.mark.parametrize("images, results", [([], []), ([[]], []), ([[(1, BOX)]], []),
                                             ([[]], [planted.result(1, 1, BOX, 0.5)])],
                         ids=["no images", "no objects", "none found", "nothing to find"])
def test_whatever_was_found_has_a_page(tmp_path, images, results):
    page = write(tmp_path, planted.make_dataset(images), results)
    assert page.open == [] and len(page.sections) == 5


def test_masks_have_their_tables_and_mistakes_too(tmp_path):
    results = json.loads(json.dumps(FOUND))
    for each in results:
        mask = np.zeros((planted.SIZE, planted.SIZE), np.uint8, order="F")
        x, y, w, h = each["bbox"]
        mask[y:y + h, x:x + w] = 1
        rle = coco.mask_util.encode(mask)
        each["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
    page = write(tmp_path, make_set(tmp_path), results, kinds=("bbox", "segm"))
    assert page.sections[:2] == ["Boxes", "Masks"] and page.text.count("Where average precision is lost") == 2


def test_many_classes_are_shortened_and_none_is_lost_from_the_sum():
    matrix = np.random.default_rng(0).integers(0, 9, (301, 301))
    short, names = shortened(matrix, [f"class {k}" for k in range(300)])
    assert len(short) == len(names) + 1 == 101 and short.sum() == matrix.sum()
    assert short[0, 0] == matrix[0, 0] and names[-1] == "other classes"


def test_a_page_of_1000_classes_is_of_a_size_that_browsers_open(tmp_path):
    dataset, results = planted.random_set(np.random.default_rng(0), num_images=50, num_classes=1000)
    comparisons = {"bbox": coco.Comparison(dict.fromkeys(coco.METRICS, 0.5), list(dataset.class_names),
                                           np.full((10, 101, 1000), 0.5), np.full((10, 1000), 0.5))}
    analysis = analyse(results, dataset)
    page = make_page(dataset, len(results), comparisons, {"bbox": analysis}, {kind: [] for kind in (
        "wrong class", "poor box", "both", "duplicate", "background", "missed")})
    assert len(page) < 3e6


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out_report").write_text("")
    with pytest.raises(UserError, match="out_report"):
        write(tmp_path, make_set(tmp_path))


def test_the_report_is_beside_the_results():
    assert report_folder("a/out.json") == "a/out_report"
