import json

import pytest

from projects.study import record_arm


@pytest.fixture
def tested(tmp_path, monkeypatch):
    """A work dir with two tests, and what reaches the record."""
    for time in ("20260101_000000", "20260102_000000"):
        (tmp_path / time).mkdir()
        (tmp_path / time / "robustness.json").touch()
    passed = []
    monkeypatch.setattr(record_arm.record, "main", passed.extend)
    return tmp_path, passed


def test_the_newest_test_and_the_trainings_seconds_are_recorded(tested):
    folder, passed = tested
    timing = folder / "train.json"
    timing.write_text(json.dumps(dict(seconds=12.5)))
    record_arm.main(["--tested", str(folder), "--timing", str(timing), "--arm", "ms"])
    newest = folder / "20260102_000000/robustness.json"
    assert passed == [
        "--arm", "ms", "--predictions", str(folder / "predictions.pkl"),
        "--robustness", str(newest), "--seconds", "12.5",
    ]  # fmt: skip


def test_without_a_training_it_took_no_time(tested):
    folder, passed = tested
    record_arm.main(["--tested", str(folder)])
    assert passed[-1] == "0.0"
