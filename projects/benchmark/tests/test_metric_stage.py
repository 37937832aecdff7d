import json

import pytest

from projects.benchmark.cli.benchmark_metric import main
from projects.benchmark.metric_stage import MetricStage

SIZE = dict(images=6, detections=40, classes=3)


def test_both_evaluate_the_same_boxes(tmp_path):
    stage = MetricStage(tmp_path, **SIZE)
    stage.as_dicts()
    stage.by_pycocotools()
    assert stage.largest_difference() <= 1e-12
    assert 0.05 < stage.stats["ours"][0] < 0.95
    stage.found[0]["scores"][:] = 0
    assert stage.largest_difference() > 1e-3


def test_the_report_has_what_was_measured(tmp_path, capsys):
    counts = [f"--{name}={value}" for name, value in SIZE.items()]
    main([*counts, "--rounds", "2", "--out", str(tmp_path / "metric")])
    report = json.loads((tmp_path / "metric/metric.json").read_text())
    assert [len(times) for times in report["all_seconds"].values()] == [2, 2]
    low, high = report["interval"]
    assert 0 < low <= report["ratio"] <= high
    assert report["difference"] <= 1e-12
    assert report["images"] == 6
    text = (tmp_path / "metric/metric.md").read_text()
    assert text in capsys.readouterr().out
    assert f"| NamedCocoMetric | {report['seconds']['ours']:.2f} | {report['ratio']:.1f} |" in text
    assert report["commit"] in text


def test_earlier_results_are_kept(tmp_path, capsys):
    (tmp_path / "metric.md").touch()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path)])
    assert "metric.md exists: --overwrite replaces it" in capsys.readouterr().err


def test_refuses_to_evaluate_nothing(capsys):
    with pytest.raises(SystemExit):
        main(["--images", "0"])
    assert "--images must be at least 1, got 0" in capsys.readouterr().err
