"""What the tests of converters share."""
import pytest

from data.convert import left_out


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    """What is printed of what is left out."""
    printed = []
    monkeypatch.setattr(left_out, "warn", printed.append)
    return printed
