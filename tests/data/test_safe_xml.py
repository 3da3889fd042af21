import os
import weakref

import pytest

from data import safe_xml
from data.records import Unusable

BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">' + "".join(
    f'<!ENTITY {key} "{f"&{before};" * 10}">' for before, key in zip("bcdefghij", "cdefghijk")) + "]>"


def write(folder, text):
    path = folder / "1.xml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("chunk", [1, 7, 2**18])
def test_elements_are_streamed_whole_and_in_order(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(safe_xml, "CHUNK", chunk)
    path = write(tmp_path, "<r><a n='1'><b>x</b>y</a> <c/> <d n='2'><a n='3'/></d></r>")
    found = [(e.tag, e.get("n"), e.findtext("b")) for e in safe_xml.stream(path, ("a", "d"))]
    assert found == [("a", "1", "x"), ("a", "3", None), ("d", "2", None)]


def test_what_was_streamed_leaves_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_xml, "CHUNK", 1000)
    path = write(tmp_path, "<r>" + "<a><b/></a>" * 1000 + "</r>")
    elements = safe_xml.stream(path, ("a",))
    streamed = [weakref.ref(next(elements)) for _ in range(900)]
    assert sum(reference() is not None for reference in streamed) < 100


def test_elements_in_front_of_a_break_are_streamed(tmp_path):
    elements = safe_xml.stream(write(tmp_path, "<r><a n='1'/><a n='2'/><a n=3/></r>"), ("a",))
    assert [next(elements).get("n"), next(elements).get("n")] == ["1", "2"]
    with pytest.raises(Unusable, match="not whole XML"):
        next(elements)


@pytest.mark.parametrize("text, reason", [
    (BOMB + "<r>&k;</r>", "document type"), ('<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>', "document type"),
    pytest.param("<r>" * 200, "nested more than", id="deep"), ("<r><a/>", "not whole XML"), ("", "not whole XML"),
    ('<?xml version="1.0" encoding="none"?><r/>', "not whole XML")])
def test_what_is_dangerous_or_broken_is_unusable(tmp_path, text, reason):
    path = write(tmp_path, text)
    for read in (lambda: safe_xml.parse(text.encode()), lambda: list(safe_xml.stream(path, ("r",)))):
        with pytest.raises(Unusable, match=reason):
            read()


def test_the_root_is_known_from_the_beginning(tmp_path):
    assert safe_xml.root_of(write(tmp_path, "<?xml version='1.0'?><!-- a --><root><a>")) == "root"
    assert safe_xml.root_of(write(tmp_path, "root")) is None
    assert safe_xml.root_of(write(tmp_path, BOMB + "<root/>")) is None
    assert safe_xml.root_of(os.path.join(tmp_path, "none.xml")) is None
