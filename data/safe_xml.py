"""XML of strangers, read without what makes XML dangerous."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from data.records import Unusable

MAX_BYTES = 2**26     # 64 MiB: about 200,000 objects of one image
MAX_DEPTH = 100
CHUNK = 2**18    # bytes that are read at a time


class _Builder(TreeBuilder):
    """
    A tree of a limited depth, as code that walks through a tree may call itself for each level.

    Args:
        tags: elements of these leave the tree when they are whole, and are in `found`
    """

    def __init__(self, tags=()):
        super().__init__()
        self.tags, self.found = tags, []
        self.root_tag = None
        self._open = []

    def start(self, tag, attributes):
        if len(self._open) == MAX_DEPTH:
            raise Unusable(f"its elements are nested more than {MAX_DEPTH} deep")
        self.root_tag = self.root_tag or tag
        self._open.append(super().start(tag, attributes))
        return self._open[-1]

    def end(self, tag):
        element = super().end(tag)
        self._open.pop()
        if tag in self.tags and self._open:
            self._open[-1].remove(element)
            self.found.append(element)
        return element


def parse(content: bytes) -> Element:
    """
    Args:
        content: of a file. A document type is refused, since only there can entities be declared, which may grow
            without bounds or name other files. Nothing is fetched.

    Returns:
        the root

    Raises:
        Unusable: saying why
    """
    if len(content) > MAX_BYTES:
        raise Unusable(f"it has {len(content)} bytes, more than {MAX_BYTES}")
    builder = _Builder()
    with _refusing_broken():
        _parser(builder).Parse(content, True)
        return builder.close()


def stream(path: str, tags: Sequence[str]) -> Iterator[Element]:
    """
    Read a file of any size element by element, likewise.

    Args:
        tags: of the elements that are wanted, which are not the root

    Yields:
        each of these when it is whole, also where what follows is broken

    Raises:
        Unusable: saying why
    """
    builder = _Builder(tags)
    parser = _parser(builder)
    with _opened(path) as f:
        while True:
            chunk, problem = f.read(CHUNK), None
            try:
                with _refusing_broken():
                    parser.Parse(chunk, not chunk)
            except Unusable as e:
                problem = e
            yield from builder.found
            builder.found.clear()
            if problem:
                raise problem
            if not chunk:
                return


def root_of(path: str) -> str | None:
    """Returns: the tag of a file's root, from its beginning alone; None where there is none"""
    builder = _Builder()
    with contextlib.suppress(Unusable), _opened(path) as f, _refusing_broken():
        _parser(builder).Parse(f.read(CHUNK), False)
    return builder.root_tag


def _parser(builder):
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    return parser


@contextlib.contextmanager
def _opened(path):
    try:
        f = open(path, "rb")    # noqa: SIM115  (closed below)
    except OSError as e:
        raise Unusable(f"{path} cannot be read ({e.strerror})") from None
    with f:
        yield f


@contextlib.contextmanager
def _refusing_broken():
    try:
        yield
    except (expat.ExpatError, ValueError, LookupError) as e:    # the last two: of an encoding that it names
        raise Unusable(f"it is not whole XML ({e})") from None


def _refuse_doctype(name, *_):
    raise Unusable(f"it declares a document type {name!r:.80}, which annotations do not need")
