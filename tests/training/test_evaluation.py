"""Evaluations during a training."""
import json

import pytest

from training.evaluation import evaluated_steps


def test_a_run_tells_at_which_step_each_data_set_was_evaluated(tmp_path):
    assert evaluated_steps(str(tmp_path)) == {}
    (tmp_path / "eval.json").write_text(json.dumps({"a": {"bbox": {"AP": 0.5}, "step": 20}, "b": {"step": 10}}))
    assert evaluated_steps(str(tmp_path)) == {"a": 20, "b": 10}


@pytest.mark.parametrize("content", ["", "3", "[1]", '{"a": 3}', '{"a": {"bbox": {}}}'])
def test_a_file_without_steps_tells_of_no_evaluation(tmp_path, content):
    (tmp_path / "eval.json").write_text(content)
    assert evaluated_steps(str(tmp_path)) == {}
