"""The command that puts two models side by side."""
import json
import os

from common import UserError

import cv2
import numpy as np
import pytest

import planted
from coco_truth import make_truth, perfect_results
from metrics import compare
from metrics.report.analysis import analyse
from metrics.report.compared import compare_results, num_mistakes, overall_rows
from metrics.results_file import read_results

BOX, FAR = (100, 100, 80, 80), (300, 300, 40, 40)


@pytest.fixture
def folder(tmp_path):
    """With annotations, their images, perfect results and some of these."""
    content = make_truth()
    for image in content["images"]:
        image["file_name"] = f"{image['id']}.png"
        cv2.imwrite(str(tmp_path / image["file_name"]), np.full((image["height"], image["width"], 3), 90, np.uint8))
    (tmp_path / "gt.json").write_text(json.dumps(content))
    (tmp_path / "good.json").write_text(json.dumps(perfect_results()))
    (tmp_path / "half.json").write_text(json.dumps(perfect_results()[:2]))
    return tmp_path


def run(folder, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["compare", *(str(folder / name) for name in words[:3]), "--draws", "20",
                                     "--output", str(folder / "page"), *words[3:]])
    compare.main()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_two_results_and_annotations_make_tables_and_a_page(folder, monkeypatch, capsys, kind):
    run(folder, monkeypatch, "half.json", "good.json", "gt.json", "--kind", kind)
    printed = capsys.readouterr().out
    assert "half" in printed and "good" in printed and "100.0" in printed and "circle" in printed
    page = (folder / "page" / "index.html").read_text()
    assert "half and good" in page and "good makes fewer mistakes" in page
    assert os.listdir(folder / "page" / "pictures") == ["fewer-1.jpg"]


def test_files_of_one_name_are_called_by_their_folders():
    assert compare.short_names(["a/out.json", "b/out.json"]) == ["a", "b"]
    assert compare.short_names(["x/a.json", "x/b.json"]) == ["a", "b"]
    assert compare.short_names(["x/a.json", "x/a.json"]) == ["A", "B"]


def test_the_tables_have_both_their_difference_and_what_is_sure():
    dataset = planted.make_dataset([[(1, BOX)]] * 20)
    results = [planted.result(i, 1, BOX, 0.9) for i in range(1, 21)]
    pair = compare_results([results, results[:10]], ("all", "half"), dataset, "bbox", draws=50)
    header, overall, *_ = overall_rows(pair)
    assert header[1:3] == ["all", "half"] and overall[:3] == ["AP", "100.0", "50.5"]
    assert overall[3] == "-49.5" and overall[5] == "worse"


def test_mistakes_of_an_image_are_wrong_detections_and_objects_not_found_from_the_threshold_on():
    dataset = planted.make_dataset([[(1, BOX)], [(1, BOX)], [(1, BOX)], [(1, BOX)]])
    results = [planted.result(i, 1, BOX, 0.6) for i in (1, 2, 3)]
    results += [planted.result(1, 2, FAR, 0.7), planted.result(1, 2, BOX, 0.9)]
    # below it the object of the fourth image is found too, among much that is wrong
    results += [planted.result(4, 1, BOX, 0.1), *[planted.result(2, 2, FAR, 0.1)] * 4]
    assert num_mistakes(analyse(results, dataset), 4).tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize("content, message", [
    ("{", "not a json file"), ("{}", "not a list"), ("[1]", "result 0 is no object"),
    ('[{"image_id": 1, "category_id": 3, "score": 1}]', "no bbox"),
    ('[{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, "4"], "score": 1}]', "no bbox"),
    ('[{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": null}]', "no score"),
    ('[{"image_id": [1], "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}]', "no image_id"),
    ('[{"image_id": 9, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}]', "none of its 1 results")])
def test_files_that_are_no_results_are_one_line(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(UserError, match=f"bad.json.*{message}"):
        read_results(str(tmp_path / "bad.json"), planted.make_dataset([[(1, BOX)]]))


def test_masks_of_another_size_or_form_are_one_line(tmp_path):
    result = {**planted.result(1, 1, BOX, 0.5), "segmentation": {"size": [3, 4], "counts": "1"}}
    dataset = planted.make_dataset([[(1, BOX)]])
    for mask, message in ((result["segmentation"], "mask of size"), ([[1, 2, 3, 4, 5, 6]], "no compressed RLE")):
        (tmp_path / "bad.json").write_text(json.dumps([{**result, "segmentation": mask}]))
        with pytest.raises(UserError, match=message):
            read_results(str(tmp_path / "bad.json"), dataset, "segm")
    assert len(read_results(str(tmp_path / "bad.json"), dataset)) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="gone.json"):
        read_results(str(tmp_path / "gone.json"), planted.make_dataset([]))
