"""
HTML whose texts are escaped: an element is made of a name, its attributes, and elements or texts. A page of these opens
without a server and asks nothing of any network.
"""
import html
import os
import re

from common import whole_file

POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"    # whatever the names in a file are
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?%?|-")


class Markup(str):
    """HTML that is safe as it is. Any other text is escaped where it becomes part of an element."""


def element(tag, *children, **attributes):
    """
    Args:
        tag (str): such as "p"
        children: Markup, or anything that is shown as its text
        attributes: such as `id="a"`; `class_` is class, `http_equiv` is http-equiv, True is one without a value, and
            None is none

    Returns:
        Markup
    """
    words = [tag]
    for name, value in attributes.items():
        name = name.rstrip("_").replace("_", "-")    # noqa: PLW2901
        if value is not None:
            words.append(name if value is True else f'{name}="{html.escape(str(value))}"')
    if tag in ("img", "meta"):
        return Markup(f"<{' '.join(words)}>")
    return Markup(f"<{' '.join(words)}>{join(children)}</{tag}>")


def join(children):
    """Returns: Markup, elements and texts one behind the other"""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(str(child)) for child in children))


def style(text):
    """Returns: Markup, an element of CSS, whose quotes and signs are no HTML"""
    return Markup(f"<style>{text}</style>")


def table(rows, class_=None):
    """
    Returns:
        Markup, a table that can be scrolled where it is wider than the screen; numbers are at the right

    Args:
        rows: lists of texts, numbers and Markup; the first has the names of the columns
    """
    header, *rest = rows
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [element("tr", *(element("td", cell, class_=_cell_class(cell)) for cell in row)) for row in rest]
    return wide(element("table", element("thead", head), element("tbody", *body), class_=class_))


def wide(content):
    """Returns: Markup, what can be scrolled where it is wider than the screen, also with the keyboard"""
    return element("div", content, class_="wide", tabindex=0)


def _cell_class(cell):
    return "number" if NUMBER.fullmatch(str(cell)) else None


def bar(share, label=""):
    """Returns: Markup, a bar of this share, 0..1, of its place"""
    return element("span", element("span", class_="fill", style=f"width:{100 * share:.2f}%"), class_="bar", title=label)


def section(title, *children, **attributes):
    return element("section", element("h2", title), *children, **attributes)


def figure(picture, text=None):
    """Returns: Markup of a `data.check.gallery.Picture`, with its caption or another text"""
    width, height = picture.size
    caption = picture.caption if text is None else text
    return element("figure", element("img", src=picture.name, width=width, height=height, alt=picture.caption,
                                     loading="lazy"), element("figcaption", caption))


def document(title, *body, css=""):
    """
    Args:
        title (str): of the window
        body: Markup or texts
        css (str): besides that of all pages

    Returns:
        Markup, the element "html"
    """
    with open(os.path.join(os.path.dirname(__file__), "page.css"), encoding="utf-8") as f:
        css = style(f.read() + css)
    head = element(
        "head", element("meta", charset="utf-8"), element("title", title),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"), css)
    return element("html", head, element("body", *body), lang="en")


def write_document(path, html_element):
    """
    Write a page; one that is there stays until it is whole.

    Raises:
        UserError: it cannot be written
    """
    with whole_file(path, encoding="utf-8", errors="replace") as f:
        f.write("<!doctype html>\n" + html_element)
