from common import UserError

import pytest

from data import records
from data.records import Record, Skipped, in_one_line


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logger, "warn", lines.append)
    return lines


def test_what_a_file_has_is_quoted_in_a_line_that_does_nothing_to_a_terminal():
    assert in_one_line("a\nb\x1b[31m\u202ec é") == "a b [31m c é"
    assert in_one_line("a" * 10**6) == "a" * records.MAX_REASON + "…"


def test_what_is_skipped_is_said_in_a_line_whatever_the_file_has(warnings):
    skipped = Skipped("image", "a.json", 1)
    skipped.add("x\ny", "z\n" * 1000)
    with pytest.raises(UserError) as error:
        skipped.finish()
    assert not any("\n" in line or len(line) > 1000 for line in (warnings[0], str(error.value)))


def test_a_record_of_boxes_has_their_areas_and_no_masks():
    record = Record.of_boxes("/1.jpg", 7, 60, 80, [["10", "10", "30.5", "40"], [0, 0, 1, 1]], ["1", "2"])
    assert record.bboxes.tolist() == [[10, 10, 20.5, 30], [0, 0, 1, 1]] and record.areas.tolist() == [615, 1]
    assert record.labels.tolist() == [1, 2] and record.segmentations == [None, None] and not record.is_crowd.any()


def test_a_record_may_have_no_boxes():
    assert Record.of_boxes("/1.jpg", 7, 60, 80, [], []).boxes.shape == (0, 4)
