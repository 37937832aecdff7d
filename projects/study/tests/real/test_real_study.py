"""The whole study on real rain, with drawn photos: its own commands, in processes of their own."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from forked_steps import fork_steps
from photo_folder import write_photo_folder, write_weights

from derain_plugin.evaluation.saved_predictions import load_predictions
from projects.study.cli import study as cli
from projects.study.real import arms, measures
from projects.study.real.photographs import SETS
from projects.study.real.report import BEGIN, END

RUN = (
    "vanilla",
    "neck_ms",
    "filter_neck",
    "early_ms",
    "neck_then_all",
    "all_labels",
    "fog_targets",
)


@pytest.fixture
def command(tmp_path, monkeypatch):
    root = write_photo_folder(tmp_path / "data")
    write_weights(root)
    short = tuple(
        replace(arm, options=dict(arm.options, iterations=2, batch_size=2)) for arm in arms.ARMS
    )
    monkeypatch.setattr(arms, "ARMS", short)
    monkeypatch.setattr(measures, "measure", partial(measures.measure, resamples=20))
    fork_steps(monkeypatch)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/real_rain.md").write_text(f"{BEGIN}\n{END}\n")

    def run(*options):
        cli.main(
            [
                *("--family", "real", "--data", str(root), "--seeds", "1", "--jobs", "1"),
                *("--work-dir", str(tmp_path / "work"), "--results", str(tmp_path / "results")),
                *("--docs", str(tmp_path / "docs"), *options),
            ]
        )
        files = sorted((tmp_path / "results/arms").glob("*.json"))
        return {file.stem: json.loads(file.read_text()) for file in files}

    return run


@pytest.mark.slow
def test_arms_are_trained_measured_and_reported(command, tmp_path, capsys):
    records = command("--arms", *RUN)
    selection = [each.name for each in SETS if not each.is_reported]
    assert set(records) == {f"{name}_seed{0 if name == 'vanilla' else 1}" for name in RUN}
    for record in records.values():
        assert list(record["sets"]) == selection
        for part in record["sets"].values():
            assert set(part["measures"]) == {"AP", "AP50", "car AP"}
            assert len(part["bootstrap"]["car AP"].split()) == 20
    assert records["vanilla_seed0"]["trained_parameters"] == 0
    assert records["neck_ms_seed1"]["trained_parameters"] == 65_720
    assert records["neck_then_all_seed1"]["trained_parameters"] == 912_159 + 65_720
    capsys.readouterr()

    command("--arms", *RUN)
    assert "0 commands left" in capsys.readouterr().out
    again = command("--arms", "vanilla", "neck_ms", "--report")
    assert "2 commands left" in capsys.readouterr().out
    for name in ("vanilla_seed0", "neck_ms_seed1"):
        assert list(again[name]["sets"]) == [each.name for each in SETS]
        assert again[name]["sets"]["coco"] == records[name]["sets"]["coco"]
    assert "| multi-scale neck | 1 |" in (tmp_path / "docs/real_rain.md").read_text()


@pytest.mark.slow
def test_a_second_run_of_an_arm_gives_the_same_figures(command, tmp_path):
    records, predictions = [], []
    for number in range(2):
        records.append(command("--arms", "filter_neck")["filter_neck_seed1"])
        (found,) = (tmp_path / "work/predictions").glob("*/coco_*.pkl")
        predictions.append(load_predictions(found)["coco"])
        for folder in ("work", "results"):
            (tmp_path / folder).rename(tmp_path / f"{folder}_{number}")
    first, second = records
    assert first["last_loss"] == second["last_loss"] > 0
    assert predictions[0].counts.sum() > 0
    for name in ("boxes", "scores", "labels"):
        assert np.array_equal(*(getattr(each, name) for each in predictions))
    for name, part in first["sets"].items():
        assert part["bootstrap"] == second["sets"][name]["bootstrap"]
