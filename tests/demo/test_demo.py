"""A whole demo with a handful of pictures: its own commands, in processes of their own."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from forked import start_forked

from derain_plugin.cli import demo as cli
from derain_plugin.demo import Plan, run_steps, write_report
from derain_plugin.demo.picture_grid import TILE
from derain_plugin.toy import make_toy_coco

TOY = Path(__file__).parents[2] / "configs/toy"
QUICK = """
_base_ = {base!r}
train_cfg = dict(max_epochs={epochs})
train_dataloader = dict(batch_size=4, num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
default_hooks = dict(logger=dict(interval=1))
custom_hooks = {hooks!r}
"""


def phases(*patterns):
    spans = [
        dict(name=f"phase {n}", epochs=(n, n), lr={pattern: 1e-4})
        for n, pattern in enumerate(patterns, 1)
    ]
    return [dict(type="PhasedTrainingHook", phases=spans)] if spans else []


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    make_toy_coco(root / "data", num_images=dict(train=8, val=4, test=6))
    hooks = dict(
        toy_rtdetr_coco=phases(),
        toy_finetune_mix=phases("*"),
        toy_featderain_ms=phases("neck.derain", "*"),
    )
    for name, custom_hooks in hooks.items():
        epochs = 2 if "featderain" in name else 1
        text = QUICK.format(base=str(TOY / f"{name}.py"), epochs=epochs, hooks=custom_hooks)
        (root / f"{name}.py").write_text(text)
    return Plan(root / "work", root / "data", configs=root)


class ForkedTool:
    """Stands in for ``Popen``: runs ``python tools/NAME.py ...`` but imports nothing anew."""

    def __init__(self, command, *, stdout, stderr, cwd, env, close_fds):
        assert (command[0], stderr, close_fds) == (sys.executable, subprocess.STDOUT, False)
        self._process = start_forked(run_tool, command[1:], stdout, cwd, env)

    def poll(self):
        return self.returncode

    @property
    def returncode(self):
        return self._process.exitcode

    def terminate(self):
        self._process.terminate()

    def wait(self):
        self._process.join()


def run_tool(command, log, cwd, env):
    sys.stdout = sys.stderr = log
    sys.argv = command
    os.chdir(cwd)
    os.environ.update(env)
    runpy.run_path(command[0], run_name="__main__")


@pytest.fixture(scope="module")
def finished(plan):
    """Seconds of each step, and the report."""
    training, testing = plan.stages[1][0], plan.stages[3][0]
    run_steps([[training], [testing]], plan.folder, settings="quick")
    with pytest.MonkeyPatch.context() as monkeypatch:  # the others are commands like these two
        module = sys.modules["derain_plugin.demo.run_steps"]
        forking = SimpleNamespace(Popen=ForkedTool, STDOUT=subprocess.STDOUT)
        monkeypatch.setattr(module, "subprocess", forking)
        seconds = run_steps(plan.stages[1:], plan.folder, settings="quick")
    return seconds, write_report(plan, seconds={"make the data": 1.0, **seconds})


@pytest.mark.slow
def test_every_model_gets_a_row(plan, finished):
    seconds, text = finished
    report = json.loads((plan.folder / "report.json").read_text())
    rows = text.splitlines()[2:6]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [m.title for m in plan.models]
    assert len({row.count("|") for row in text.splitlines()[:6]}) == 1
    assert text == (plan.folder / "report.md").read_text()
    assert report["seconds"] == {"make the data": 1.0, **seconds}
    assert report["commit"] in text
    vanilla, control, untouched, joint = report["rows"]
    assert vanilla["parameters"] == control["parameters"] < joint["parameters"]
    assert untouched["parameters"] == joint["parameters"]
    assert vanilla["relative_cost"] == 1
    for row in report["rows"]:
        assert len(row["rainy"]) == 5
        assert row["gap"] == pytest.approx(row["clean"] - sum(row["rainy"]) / 5, abs=6e-4)
        assert row["mpc"] == pytest.approx(row["clean"] - row["gap"], abs=2e-4)
        assert "held_out" in row


@pytest.mark.slow
def test_every_other_model_is_compared_with_the_control(plan, finished):
    report = json.loads((plan.folder / "report.json").read_text())
    rows = [row for row in report["differences"] if row["condition"] == "mPC"]
    vanilla, control, *derained = [model.title for model in plan.models]
    assert [row["model"] for row in rows] == [vanilla, *derained]
    means = {row["model"]: row["mpc"] for row in report["rows"]}
    for row in rows:
        difference = means[row["model"]] - means[control]
        assert row["difference"] == pytest.approx(difference, abs=2e-3)  # mmdet rounds
        assert row["low"] <= row["difference"] <= row["high"]


@pytest.mark.slow
def test_trainings_start_from_vanilla(plan, finished):
    start = str(plan.checkpoint_of(plan.models[0]))
    for model in plan.models[1:]:
        logs = [path.read_text() for path in (plan.folder / model.config).glob("*/*.log")]
        assert any(f"Load checkpoint from {start}" in log for log in logs)


@pytest.mark.slow
def test_pictures(plan, finished):
    grid = cv2.imread(str(plan.folder / "grid.jpg"))
    assert grid.shape[1] == TILE * (1 + len(plan.models) + 1)  # truth, models, mask
    assert grid.shape[0] > TILE * 4
    for name in ("curves.png", "robustness.png"):
        assert cv2.imread(str(plan.folder / name)) is not None


@pytest.mark.slow
def test_a_finished_demo_is_not_repeated(plan, finished):
    before = {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*.pth")}
    assert run_steps(plan.stages[1:], plan.folder, settings="quick") == finished[0]
    assert {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*.pth")} == before


def test_the_shipped_plan_makes_what_it_needs():
    plan = Plan(Path("/work"), Path("/data"))
    steps = [step for stage in plan.stages for step in stage]
    trainings = [step for step in steps if step.work_dir]
    made = {s.work_dir / f"epoch_{e}.pth" for s in trainings for e in range(1, s.epochs + 1)}
    assert {plan.checkpoint_of(model) for model in plan.models} <= made
    assert len({step.name for step in steps}) == len(steps) == 8
    for model in plan.models:
        keep = plan.load(model.config).default_hooks.checkpoint.max_keep_ckpts
        epochs = plan.load(model.config).train_cfg.max_epochs
        assert keep == -1 or model.epoch > epochs - keep


def test_a_problem_ends_the_command_with_its_message(tmp_path):
    (tmp_path / "steps").mkdir()
    record = tmp_path / "steps/make_the_data.json"
    record.write_text(json.dumps(dict(seconds=1, settings="others", done=True)))
    with pytest.raises(SystemExit, match="made with other settings"):
        cli.main(["--work-dir", str(tmp_path)])
