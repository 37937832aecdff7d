import json

import pytest

from derain_plugin.rain import COMPONENTS
from projects.benchmark import rain_cost
from projects.benchmark.cli.benchmark_rain import main


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(rain_cost, "ROUNDS", 1)
    monkeypatch.setattr(rain_cost, "EPOCH", 8)
    monkeypatch.setattr(rain_cost, "WORKERS", 1)


def test_writes_times_and_rates_of_everything(quick, tmp_path, capsys):
    main(["--out", str(tmp_path / "results")])
    report = json.loads((tmp_path / "results/benchmark.json").read_text())
    severities = [f"severity {k}" for k in (1, 2, 3, 4, 5)]
    alone = [f"severity 3, {name} alone" for name in COMPONENTS]
    others = [rain_cost.EARLIER, rain_cost.YARDSTICK, "imgaug Rain, held out"]
    assert list(report["milliseconds"]) == [*severities, *alone, *others]
    assert all(time > 0 for time in report["milliseconds"].values())
    assert all(rate > 0 for rate in report["images_per_second"].values())
    text = (tmp_path / "results/benchmark.md").read_text()
    assert text in capsys.readouterr().out
    assert f"| {rain_cost.YARDSTICK} |" in text
    assert report["commit"] in text
