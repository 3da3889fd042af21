"""XML of strangers, read without what makes XML dangerous."""
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from data.records import Unusable

MAX_BYTES = 2**26     # 64 MiB: about 200,000 objects of one image
MAX_DEPTH = 100


class _Builder(TreeBuilder):
    """A tree of a limited depth, as code that walks through a tree may call itself for each level."""

    def __init__(self):
        super().__init__()
        self._depth = 0

    def start(self, tag, attributes):
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unusable(f"its elements are nested more than {MAX_DEPTH} deep")
        return super().start(tag, attributes)

    def end(self, tag):
        self._depth -= 1
        return super().end(tag)


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
    builder, parser = _Builder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError) as e:    # the last two: of an encoding that it names
        raise Unusable(f"it is not whole XML ({e})") from None


def _refuse_doctype(name, *_):
    raise Unusable(f"it declares a document type {name!r:.80}, which annotations do not need")
