"""What a page of the project has, as a browser reads it."""
import html.parser

VOID = {"meta", "img"}    # elements that are not closed
HOSTILE = "<script>alert(1)</script>\"'&"    # a name from a stranger's file


class Page(html.parser.HTMLParser):
    """Which elements a page has, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.text, self.sections = [], [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text
        if self.open[-1:] == ["h2"]:
            self.sections.append(text)
