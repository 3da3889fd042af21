"""Charts as SVG, in the colours of the page. Both axes go from 0 to 1."""
import numpy as np

from data.check.markup import element

SIZE, LEFT, BOTTOM, TOP = 300, 44, 40, 8     # of the square of a chart, and of what is around it
TICKS = np.linspace(0, 1, 6)
SPARK_WIDTH, SPARK_HEIGHT = 72, 24


def lines_chart(series, x_label, y_label, title):
    """
    Args:
        series (dict): of names of classes of CSS to x and y, float (n,) each
        x_label, y_label (str)
        title (str): what is read out in place of the chart

    Returns:
        Markup
    """
    lines = [element("polyline", points=_points(x, y), class_=f"line {name}") for name, (x, y) in series.items()]
    return _chart(x_label, y_label, title, lines)


def bars_chart(values, marks, x_label, y_label, title):
    """
    Args:
        values: float (n,), the heights of bars that share the axis; NaN for none
        marks: float (n,), where each bar would end on the diagonal: what it ought to be; NaN for none

    Returns:
        Markup, with the diagonal
    """
    width = SIZE / len(values)
    bars = [element("rect", x=_text(LEFT + i * width + 1), y=_text(_y(value)), width=_text(width - 2),
                    height=_text(SIZE * value), class_="bars") for i, value in enumerate(values) if value == value]
    ticks = [element("line", x1=_text(LEFT + i * width), x2=_text(LEFT + (i + 1) * width), y1=_text(_y(mark)),
                     y2=_text(_y(mark)), class_="mark") for i, mark in enumerate(marks) if mark == mark]
    diagonal = element("polyline", points=_points([0, 1], [0, 1]), class_="line diagonal")
    return _chart(x_label, y_label, title, [*bars, diagonal, *ticks])


def spark(y):
    """Returns: Markup, a curve that is as small as a line of text"""
    y = np.asarray(y)[::2]
    x = np.linspace(1, SPARK_WIDTH - 1, len(y))
    points = " ".join(f"{a:.0f},{(SPARK_HEIGHT - 1) * (1 - b) + 0.5:.1f}" for a, b in zip(x, y))
    return element("svg", element("polyline", points=points, class_="line"), class_="spark",
                   viewBox=f"0 0 {SPARK_WIDTH} {SPARK_HEIGHT}", aria_hidden="true")


def _chart(x_label, y_label, title, content):
    grid = []
    for tick in TICKS:
        x, y = _text(_x(tick)), _text(_y(tick))
        grid += [element("line", x1=x, x2=x, y1=TOP, y2=TOP + SIZE, class_="grid"),
                 element("line", x1=LEFT, x2=LEFT + SIZE, y1=y, y2=y, class_="grid"),
                 element("text", f"{tick:.1f}", x=x, y=TOP + SIZE + 16, text_anchor="middle"),
                 element("text", f"{tick:.1f}", x=LEFT - 6, y=_text(_y(tick) + 4), text_anchor="end")]
    middle = TOP + SIZE / 2
    labels = [element("text", x_label, x=LEFT + SIZE / 2, y=TOP + SIZE + 34, text_anchor="middle"),
              element("text", y_label, x=12, y=middle, text_anchor="middle", transform=f"rotate(-90 12 {middle})")]
    return element("svg", *grid, *content, *labels, class_="chart", role="img", aria_label=title,
                   viewBox=f"0 0 {LEFT + SIZE + 14} {TOP + SIZE + BOTTOM}")


def _x(value):
    return LEFT + SIZE * value


def _y(value):
    return TOP + SIZE * (1 - value)


def _points(x, y):
    return " ".join(f"{_text(_x(a))},{_text(_y(b))}" for a, b in zip(x, y))


def _text(value):
    return f"{value:.1f}"
