import json
from pathlib import Path

import pytest

from projects.benchmark.cli.benchmark_train_start import main, parse_args, report_text
from projects.benchmark.start import Cost
from projects.benchmark.train_start import compare_train_starts, write_data

ROOT = Path(__file__).parents[3]


def test_the_data_are_those_of_coco(tmp_path):
    write_data(tmp_path, images=24, boxes=48)
    content = json.loads((tmp_path / "annotations/instances_train2017.json").read_text())
    assert [len(content[key]) for key in ("images", "annotations", "categories")] == [24, 48, 80]
    assert len(content["annotations"][0]["segmentation"][0]) == 44
    for folder, count in (("train2017", 24), ("rainy/val2017", 1)):
        assert len(list((tmp_path / folder).glob("*.jpg"))) == count


def test_ratios_are_of_pairs(monkeypatch, tmp_path):
    costs = iter([*[Cost(1, 1, 1)] * 2, Cost(0, 30, 20), Cost(0, 10, 10), Cost(0, 90, 50),
                  Cost(0, 30, 10)])  # fmt: skip
    monkeypatch.setattr("projects.benchmark.train_start._start", lambda *_: next(costs))
    found = compare_train_starts([ROOT, ROOT], tmp_path, rounds=2, tell=lambda _: None)
    assert found["megabytes"] == dict(
        all=[[30, 90], [10, 30]], medians=[60, 20], ratio=3, interval=[3, 3]
    )
    assert found["cpu_seconds"]["ratio"] == 3.5


def test_earlier_results_are_kept(tmp_path, capsys):
    (tmp_path / "train_start.md").touch()
    with pytest.raises(SystemExit):
        parse_args([str(ROOT), "--out", str(tmp_path)])
    assert "train_start.md exists: --overwrite replaces it" in capsys.readouterr().err


def test_another_folder_is_no_build(tmp_path):
    with pytest.raises(SystemExit, match="must be a checkout of this project"):
        main([str(tmp_path)])


@pytest.mark.slow
def test_starts_a_training_in_both_builds(tmp_path):
    size = ["--images", "24", "--boxes", "48", "--rounds", "1"]
    main([str(ROOT), *size, "--out", str(tmp_path)])
    report = json.loads((tmp_path / "train_start.json").read_text())
    assert report["cpu_seconds"]["ratio"] == pytest.approx(1, abs=0.5)
    assert report_text(report) == (tmp_path / "train_start.md").read_text()
