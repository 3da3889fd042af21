"""What both benchmarks do beside torchvision."""
import sys

from common import UserError

import pytest

from benchmarks import peers


def test_without_torchvision_our_side_is_measured_alone_and_a_line_says_how_to_install_it():
    said = []
    cases = peers.choose_cases(["bfloat16", "float32"], False, said.append)
    assert cases == [("ours", "bfloat16"), ("ours", "float32")]
    assert len(said) == 1 and "requirements-bench.txt" in said[0]


def test_an_interpreter_without_torchvision_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="--torch-python .*requirements-bench.txt"):
        peers.find_torch(str(tmp_path / "python"))


def test_a_failed_measurement_is_named():
    with pytest.raises(UserError, match="ours in float16 failed: no such thing"):
        peers.run_process([sys.executable, "-c", "raise SystemExit('no such thing')"], "ours in float16")
