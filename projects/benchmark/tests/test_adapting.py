"""A step of adapting beside supervised training."""

import json

import pytest
from small_detectors import model_of, prepare_for, write_photos

from projects.benchmark.adapting import measure_adapting
from projects.benchmark.cli import benchmark_adapt


@pytest.fixture
def measured(tmp_path):
    photos = write_photos(tmp_path / "photos")
    model, prepare = model_of("yolox"), prepare_for("yolox")
    return measure_adapting(model, prepare, photos, batch_size=2, rounds=3)


def test_rates_and_their_ratio(measured):
    rates = measured["images_per_second"]
    assert min(rates.values()) > 0
    assert list(rates) == ["adapting", "without the filter", "supervised"]
    text = benchmark_adapt._text(
        dict(measured, detector="yolox.py", date="", commit="", hardware="", versions="")
    )
    for name in ("adapting", "without the filter"):
        low, high = measured["relative_interval"][name]
        assert 0 < low <= measured["relative"][name] <= high
        assert f"{measured['relative'][name]:.2f} x [{low:.2f}, {high:.2f}]" in text
    json.dumps(measured)


def test_few_rounds_are_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark_adapt.main(["a.py", "a.pth", "photos", "--rounds", "2"])
    assert "--rounds at least 3" in capsys.readouterr().err
