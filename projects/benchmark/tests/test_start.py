import json
from pathlib import Path

import pytest

from projects.benchmark.cli.benchmark_start import main
from projects.benchmark.start import COMMANDS, YARDSTICK, measure_starts, start_once

ROOT = Path(__file__).parents[3]
ENDS = ("seconds", "megabytes")


def test_memory_is_that_of_the_command_not_ours():
    idle = start_once(["-c", "pass"], ROOT).megabytes
    busy = start_once(["-c", "block = bytearray(100_000_000)"], ROOT).megabytes
    assert idle < 100  # this process has hundreds
    assert busy - idle == pytest.approx(100, abs=10)


def test_a_command_that_fails_is_told():
    with pytest.raises(
        RuntimeError, match=r"(?s)python -c raise OSError\('no'\) fails.*OSError: no"
    ):
        start_once(["-c", "raise OSError('no')"], ROOT)


def test_compares_two_builds(tmp_path, capsys):
    main(
        [
            *("--only", "browse_rain", "make_rainy_coco", "--rounds", "2", "--against", str(ROOT)),
            *("--out", str(tmp_path / "start")),
        ]
    )
    report = json.loads((tmp_path / "start/start.json").read_text())
    assert [row["start"] for row in report["starts"]] == [
        YARDSTICK,
        *("browse_rain --help", "make_rainy_coco --help"),
        *("make_rainy_coco, one image", "browse_rain, one image"),
    ]
    assert [len(row["costs"]) for row in report["starts"]] == [2] * 5
    for cost in (cost for row in report["starts"] for cost in row["costs"]):
        assert all(len(cost[f"all_{end}"]) == 2 and cost[end] > 0 for end in ENDS)
    text = (tmp_path / "start/start.md").read_text()
    assert text in capsys.readouterr().out
    assert report["commit"] in text
    assert "browse_rain, one image |" in text


def test_earlier_results_are_kept(tmp_path, capsys):
    (tmp_path / "start.md").touch()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path)])
    assert "start.md exists: --overwrite replaces it" in capsys.readouterr().err


def test_another_folder_is_no_build(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--against", str(tmp_path)])
    assert "must be a checkout of this project" in capsys.readouterr().err


def test_every_command_is_measured():
    assert {"train", "infer", "convert_labels", "app", "study", "benchmark"} <= {*COMMANDS}


def test_a_command_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SystemExit, match=r"no command tran: choose from .*, train"):
        main(["--only", "tran", "--out", str(tmp_path)])


def test_a_build_without_a_command_has_no_cost(tmp_path):
    (tmp_path / "tools").mkdir()
    (yardstick, row) = measure_starts(["train"], [ROOT, tmp_path], rounds=1, tell=lambda _: None)
    assert [cost is None for cost in row["costs"]] == [False, True]
    assert None not in yardstick["costs"]
