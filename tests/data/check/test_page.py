"""The page of what was found: its elements, its pictures, and names from strangers' files."""
import json
import os

import pytest

import checked_folder
from data.check import __main__ as command
from data.check.checker import check
from data.check.gallery import Drawing
from data.check.markup import element
from data.check.page import write_page
from data.check.report import format_report, write_json
from html_page import HOSTILE, Page

DRAWING = Drawing(lambda image, record, dataset: image, lambda image, record, dataset, bbox: image)


@pytest.fixture
def checked(tmp_path):
    """A data set with a class, a file and a problem whose names are hostile."""
    contents = checked_folder.clean_content()
    for content in contents.values():
        content["categories"][0]["name"] = HOSTILE
    contents["train"]["images"][1]["file_name"] = HOSTILE + ".jpg"
    contents["train"]["annotations"][0]["bbox"] = [-5, 10, 35, 20]
    contents["val"]["annotations"][0]["bbox"] = [10, 10, 0, 20]
    checked_folder.write(tmp_path, contents)
    return check(checked_folder.make_config(tmp_path))


@pytest.fixture
def page(tmp_path, checked):
    with open(write_page(str(tmp_path / "page"), checked, DRAWING), encoding="utf-8") as f:
        return Page(f.read())


def test_the_page_is_whole_and_has_its_parts(page):
    assert page.open == []
    assert page.sections == ["Data sets", "Problems", "Classes", "Objects and anchors", "Sizes of images", "Samples"]
    assert "box-leaves-image" in page.text and "annotation 1001 of image 1" in page.text


def test_names_from_files_are_texts_and_no_elements(page):
    assert "script" not in page.tags and HOSTILE in page.text


def test_the_page_asks_for_nothing_but_its_own_pictures(tmp_path, page):
    assert page.links and all(os.path.isfile(tmp_path / "page" / link) for link in page.links)
    assert not any(":" in link for link in page.links)


def test_problems_with_a_box_are_drawn(tmp_path, checked):
    boxes = []
    drawing = DRAWING._replace(problem=lambda image, record, dataset, bbox: boxes.append(bbox) or image)
    write_page(str(tmp_path / "page"), checked, drawing)
    assert sorted(boxes) == [[-5, 10, 35, 20], [10, 10, 0, 20]]


def test_pictures_of_an_earlier_page_go(tmp_path, checked):
    folder = tmp_path / "page" / "pictures"
    folder.mkdir(parents=True)
    (folder / "problem-99.jpg").write_bytes(b"old")
    write_page(str(tmp_path / "page"), checked, DRAWING)
    assert "problem-99.jpg" not in os.listdir(folder)


def test_attributes_and_texts_are_escaped():
    assert element("a", "<b>&", element("b", 1), href='"<') == \
        '<a href="&quot;&lt;">&lt;b&gt;&amp;<b>1</b></a>'


def test_the_tables_say_all_kinds_and_cannot_drive_a_terminal(checked):
    problems = [problem._replace(text="\x1b[2Jgone") for problem in checked.problems]
    text = format_report(*checked._replace(problems=problems))
    assert "box-leaves-image" in text and f"{len(problems)} problems found" in text and "\x1b" not in text


def test_json_has_all_problems(tmp_path, checked):
    write_json(str(tmp_path / "p.json"), checked.splits, checked.problems)
    content = json.loads((tmp_path / "p.json").read_text())
    assert len(content["problems"]) == len(checked.problems) > 0
    assert content["problems"][0].keys() == {"kind", "path", "item", "text", "image_id", "bbox"}


def test_the_exit_status_says_whether_there_are_problems_that_are_not_ignored(tmp_path, monkeypatch):
    contents = checked_folder.clean_content()
    checked_folder.write(tmp_path, contents)
    assert run(tmp_path, monkeypatch) == 0
    contents["train"]["annotations"][0]["area"] = 0
    checked_folder.write(tmp_path, contents)
    assert run(tmp_path, monkeypatch) == 1
    assert run(tmp_path, monkeypatch, "--ignore", "area-implausible") == 0


def run(folder, monkeypatch, *words):
    """The exit status of the command on the data sets of a folder, by their paths."""
    monkeypatch.setattr("sys.argv", ["check", str(folder / "train"), str(folder / "val"), *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code
