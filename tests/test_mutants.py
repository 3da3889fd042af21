"""The table of `make mutants` is up to date."""
from mutants import MUTANTS, outdated
from tiny import ROOT


def test_the_lines_to_break_and_the_tests_that_notice_are_there():
    assert outdated(MUTANTS, ROOT) == []
