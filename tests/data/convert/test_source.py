import os
import pathlib

import common

import pytest

from convert_folders import write_text
from data.convert.source import Source
from data.records import Unusable


@pytest.fixture
def source(tmp_path):
    for name in ("a/b/1.jpg", "a/2.PNG", "3.txt", "../outside.jpg"):
        write_text(tmp_path / "source" / name, "text of " + name)
    return Source(str(tmp_path / "source"))


def source_path(source, name):
    return pathlib.Path(source.folder, name)


def test_files_are_listed_at_any_depth(source):
    assert source.files == ["3.txt", "a/2.PNG", "a/b/1.jpg"]
    assert source.images() == ["a/2.PNG", "a/b/1.jpg"] and source.images("a/b") == ["a/b/1.jpg"]


def test_hidden_files_and_what_is_no_file_are_not_listed(source):
    for name in (".git/1.jpg", "a/._2.jpg", "__MACOSX/1.jpg"):
        write_text(source_path(source, name), "")
    os.mkfifo(source_path(source, "pipe.json"))    # reading it would wait forever
    os.symlink("nowhere", source_path(source, "dead.json"))
    assert Source(source.folder).files == source.files


def test_links_that_go_round_in_circles_end(source):
    os.symlink(source.folder, source_path(source, "a/circle"))
    assert Source(source.folder).files == source.files


def test_links_lead_where_the_user_wants(source):
    os.symlink(source_path(source, "../outside.jpg"), source_path(source, "link.jpg"))
    assert Source(source.folder).read("link.jpg") == "text of ../outside.jpg"


@pytest.mark.parametrize("name, folder", [("1.jpg", "a/b"), ("b\\1.jpg", "a"), ("../a/./b/1.jpg", "c"),
                                          (" a/b/1.jpg ", "")])
def test_a_file_is_found_from_a_folder(source, name, folder):
    assert source.find(name, folder) == "a/b/1.jpg"


@pytest.mark.parametrize("name", ["../outside.jpg", "a/../../outside.jpg", "/etc/passwd", "a\0", "a", "", None, 3])
def test_no_name_leads_out_of_the_folder(source, name):
    with pytest.raises(Unusable):
        source.find(name, "")


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_what_is_no_text_is_unusable(source, content):
    path = source_path(source, "3.txt")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(Unusable):
        source.read("3.txt")


def test_a_file_is_no_folder(source):
    with pytest.raises(common.UserError, match="not a folder; unpack"):
        Source(source.path("3.txt"))
