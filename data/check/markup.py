"""HTML whose texts are escaped: an element is made of a name, its attributes, and elements or texts."""
import html


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
    return element("div", element("table", element("thead", head), element("tbody", *body), class_=class_),
                   class_="wide")


def _cell_class(cell):
    return "number" if isinstance(cell, (int, float)) or isinstance(cell, str) and cell.endswith("%") else None


def bar(share, label=""):
    """Returns: Markup, a bar of this share, 0..1, of its place"""
    return element("span", element("span", class_="fill", style=f"width:{100 * share:.2f}%"), class_="bar", title=label)
