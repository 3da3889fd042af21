"""The benchmark of data/, in its smallest form."""
import json

from common import UserError

import pytest

import data
from benchmarks import data as benchmark
from config import new_config


def test_every_measurement_has_a_row(capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "apart", lambda function, *args: (1.0, 2.0))    # processes take seconds to start
    benchmark.main(["--images", "20", "--objects", "40", "--speed-images", "2"])
    printed = capsys.readouterr().out
    for what in ("images a second and core", "bytes of an image", "in groups", "without", "pycocotools", "ours",
                 "ours, the second time", "memory after a pass, 4 workers"):
        assert f"{what} " in printed


@pytest.mark.parametrize("who", ["pycocotools", "ours"])
def test_loading_takes_time_and_memory(tmp_path, who):
    benchmark.write_set(str(tmp_path), 5, 20)
    assert min(benchmark.measure_load(who, str(tmp_path))) > 0


def test_the_random_file_is_read_without_leaving_anything_out(tmp_path):
    benchmark.write_set(str(tmp_path), 30, 200)
    cfg = new_config()
    cfg.DATA.BASEDIR = str(tmp_path)
    (dataset,) = data.load_datasets(cfg, [benchmark.NAME])
    assert len(dataset.records) == 30 and dataset.records.object_counts.sum() == 200
    with open(tmp_path / f"{benchmark.NAME}.json", encoding="utf-8") as f:
        assert {type(annotation["segmentation"]) for annotation in json.load(f)["annotations"]} == {list, dict}


@pytest.mark.slow
def test_memory_is_that_of_all_processes(tmp_path):
    benchmark.write_set(str(tmp_path), 20, 60, benchmark.TINY)
    assert benchmark.apart(benchmark.measure_memory, str(tmp_path), 20, 2)[0] > 0.1


def test_numbers_below_one_are_refused():
    with pytest.raises(UserError, match="must be positive"):
        benchmark.parse_args(["--images", "0"])
