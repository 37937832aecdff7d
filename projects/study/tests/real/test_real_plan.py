"""Which steps are left of the study on real rain."""

import json
from dataclasses import replace

import pytest
from photo_folder import write_photo_folder

from projects.study.cli import study as cli
from projects.study.real.arms import ARMS, find_arms
from projects.study.real.photographs import SETS, WEIGHTS
from projects.study.real.plan import RealLayout, plan_steps
from projects.study.real.records import record_file, set_settings, training_settings


@pytest.fixture
def layout(tmp_path):
    root = write_photo_folder(tmp_path / "data")
    (root / WEIGHTS).parent.mkdir()
    (root / WEIGHTS).write_bytes(b"weights")
    return RealLayout(root, tmp_path / "work", tmp_path / "results")


def names(layout, arms, seeds=(1, 2)):
    return [step.name.rpartition(", ")[0] for step in plan_steps(layout, arms, seeds)[1:]]


def write_record(layout, arm, seed, sets):
    trained = training_settings(arm, seed, layout.photos)
    content = dict(
        settings=trained, sets={s.name: dict(settings=set_settings(trained, s)) for s in sets}
    )
    path = record_file(layout.results, arm, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_arms_that_decide_run_with_every_seed_and_vanilla_is_only_measured(layout):
    assert names(layout, find_arms(["vanilla", "neck_ms", "imgaug"])) == [
        "measure vanilla, seed 0, selection",
        *(f"{what} neck_ms, seed {n}{end}" for n in (1, 2) for what, end in
          (("train", ""), ("measure", ", selection"))),
        "train imgaug, seed 1",
        "measure imgaug, seed 1, selection",
    ]  # fmt: skip


def test_what_is_recorded_does_not_run_again_until_its_recipe_changes(layout):
    (arm,) = find_arms(["neck_ms"])
    selection = [each for each in SETS if not each.is_reported]
    write_record(layout, arm, 1, selection)
    assert plan_steps(layout, [arm], [1]) == []
    assert len(plan_steps(layout, [arm], [2])) == 3
    assert names(layout, [replace(arm, options=dict(lr=2e-3))], [1])[0] == "train neck_ms, seed 1"
    longer = replace(arm, options=dict(iterations=900))
    assert names(layout, [longer], [1])[0] == "train neck_ms, seed 1"
    same = replace(arm, title="other words", options=dict(lr=1e-3, early=False))
    assert plan_steps(layout, [same], [1]) == []
    write_record(layout, arm, 1, selection[1:])
    assert names(layout, [arm], [1])[-1] == "measure neck_ms, seed 1, selection"


def test_kept_photos_are_measured_when_asked_for(layout):
    (arm,) = find_arms(["vanilla"])
    write_record(layout, arm, 0, [each for each in SETS if not each.is_reported])
    assert plan_steps(layout, [arm], [1]) == []
    reporting = replace(layout, is_report=True)
    assert names(reporting, [arm]) == ["measure vanilla, seed 0, report"]
    assert "--report" in plan_steps(reporting, [arm], [1])[-1].command
    assert "--report" not in plan_steps(layout, find_arms(["filter"]), [1])[-1].command
    write_record(layout, arm, 0, SETS)
    assert plan_steps(reporting, [arm], [1]) == []


def test_the_command_takes_the_arms_of_its_family(layout, capsys):
    data = ["--family", "real", "--data", str(layout.data)]
    work = ["--work-dir", str(layout.folder), "--results", str(layout.results)]
    cli.main([*data, *work, "--plan"])
    arms = sum(2 * len(arm.seeds([1, 2, 3])) - (arm.name == "vanilla") for arm in ARMS)
    assert f"{arms + 1} commands left" in capsys.readouterr().out
    assert [a.name for a in cli.parse_args([*data, "--arms", "filter"]).arms] == ["filter"]
    for arguments, message in (
        (["--family", "real"], "--family real needs --data"),
        ([*data, "--split", "val"], "--split is for other families"),
        (["--report"], "--report is for --family real"),
        ([*data, "--arms", "control"], "unknown arms control; there are vanilla, neck_ms"),
    ):
        with pytest.raises(SystemExit):
            cli.parse_args(arguments)
        assert message in capsys.readouterr().err
    (layout.data / WEIGHTS).unlink()
    with pytest.raises(SystemExit, match=r"lacks weights/yolox_nano_coco_mmdet\.pth"):
        cli.main([*data, *work, "--plan"])
