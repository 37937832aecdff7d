"""A whole demo with a handful of images: its own commands, in processes of their own."""

import json
from pathlib import Path

import cv2
import pytest
from forked_steps import fork_steps

from derain_plugin.adapting.adapter_file import WEIGHTS
from derain_plugin.adapting.plan import RECORD
from projects.study.cli import demo as cli
from projects.study.demo.image_grid import TILE
from projects.study.demo.plan import ADAPTED, BATCH_SIZE, CONTROL, JOBS, MODELS, VANILLA, Plan
from projects.study.demo.report import write_report
from projects.study.steps import run_steps
from projects.study.toy.coco_folder import SIZES_OF_SPLITS, make_toy_coco

TOY = Path(__file__).parents[4] / "projects/study/configs/toy"
QUICK = """
_base_ = {base!r}
train_cfg = dict(max_epochs=1)
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
    )
    for name, custom_hooks in hooks.items():
        text = QUICK.format(base=str(TOY / f"{name}.py"), hooks=custom_hooks)
        (root / f"{name}.py").write_text(text)
    return Plan(root / "work", root / "data", configs=root, iterations=2)


@pytest.fixture(scope="module")
def finished(plan):
    """Seconds of each step, and the report."""
    records = plan.folder / "steps"
    records.mkdir(parents=True)
    made = dict(seconds=1.0, settings=plan.settings, done=True)
    (records / "make_the_data.json").write_text(json.dumps(made))
    data, training, _, _, testing, *_ = plan.steps
    run_steps([data, training, testing], plan.folder, jobs=JOBS)
    with pytest.MonkeyPatch.context() as monkeypatch:  # the others are commands like these two
        fork_steps(monkeypatch)
        seconds = run_steps(plan.steps, plan.folder, jobs=JOBS)
    return seconds, write_report(plan, seconds=seconds)


@pytest.mark.slow
def test_every_model_gets_a_row(plan, finished):
    seconds, text = finished
    report = json.loads((plan.folder / "report.json").read_text())
    rows = text.splitlines()[2:5]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [m.title for m in MODELS]
    assert len({row.count("|") for row in text.splitlines()[:5]}) == 1
    assert text == (plan.folder / "report.md").read_text()
    assert report["seconds"] == seconds
    assert seconds["make the data"] == 1
    assert report["commit"] in text
    vanilla, control, adapted = report["rows"]
    assert vanilla["parameters"] == control["parameters"] < adapted["parameters"]
    assert vanilla["relative_cost"] == 1
    for row in report["rows"]:
        assert len(row["rainy"]) == 5
        assert row["gap"] == pytest.approx(row["clean"] - sum(row["rainy"]) / 5, abs=6e-4)
        assert row["mpc"] == pytest.approx(row["clean"] - row["gap"], abs=2e-4)
        assert "held_out" in row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "baseline", "others"),
    [("against vanilla", VANILLA, [CONTROL, ADAPTED]), ("against the control", CONTROL, [ADAPTED])],
)
def test_the_others_are_compared_with_vanilla_and_the_control(
    heading, baseline, others, plan, finished
):
    report = json.loads((plan.folder / "report.json").read_text())
    rows = [row for row in report["differences"][heading] if row["condition"] == "mPC"]
    assert [row["model"] for row in rows] == [model.title for model in others]
    assert f"| {heading} | AP clean | mPC |" in finished[1]
    means = {row["model"]: row["mpc"] for row in report["rows"]}
    for row in rows:
        difference = means[row["model"]] - means[baseline.title]
        assert row["difference"] == pytest.approx(difference, abs=2e-3)  # mmdet rounds
        assert row["low"] <= row["difference"] <= row["high"]


@pytest.mark.slow
def test_the_agreement_is_that_of_derain_adapt(plan, finished):
    agreement = json.loads((plan.folder / "report.json").read_text())["agreement"]
    assert agreement["num_photos"] == 1
    (line,) = [line for line in finished[1].splitlines() if line.startswith("| after |")]
    shown = [cell.strip() for cell in line.split("|")[2:-1]]
    measured = agreement["after"].values()
    assert shown == ["-" if ap is None else f"{ap:.3f}" for ap in measured]


@pytest.mark.slow
def test_control_and_adapter_start_from_vanilla(plan, finished):
    start = str(plan.checkpoint_of(VANILLA))
    logs = [path.read_text() for path in (plan.folder / CONTROL.config).glob("*/*.log")]
    assert any(f"Load checkpoint from {start}" in log for log in logs)
    config = json.loads((plan.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == start


@pytest.mark.slow
def test_images(plan, finished):
    grid = cv2.imread(str(plan.folder / "grid.jpg"))
    assert grid.shape[1] == TILE * (1 + len(MODELS) + 1)  # truth, models, mask
    assert grid.shape[0] > TILE * 4
    for name in ("curves.png", "robustness.png"):
        assert cv2.imread(str(plan.folder / name)) is not None


@pytest.mark.slow
def test_a_finished_demo_is_not_repeated(plan, finished):
    before = {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*.pth")}
    assert run_steps(plan.steps, plan.folder, jobs=JOBS) == finished[0]
    assert {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*.pth")} == before


@pytest.mark.slow
def test_commands_that_ended_before_their_record_was_written_run_again(plan, finished, monkeypatch):
    weights = (plan.adapter / WEIGHTS).read_bytes()
    for record in (plan.folder / "steps").glob("*adapt*.json"):
        record.write_text(json.dumps(dict(json.loads(record.read_text()), done=False)))
    (plan.merged / "checkpoint.pth").unlink()
    fork_steps(monkeypatch)
    run_steps(plan.steps, plan.folder, jobs=JOBS)
    assert (plan.adapter / WEIGHTS).read_bytes() == weights
    assert (plan.merged / "checkpoint.pth").is_file()


def test_a_stopped_adaptation_is_resumed_once_there_is_something_to_resume(tmp_path):
    plan = Plan(tmp_path / "work", tmp_path / "data")
    (adapt,) = [step for step in plan.steps if step.begun]
    for names, is_left in (([], False), ([RECORD], True)):
        plan.adapter.mkdir(parents=True)
        for name in names:
            (plan.adapter / name).touch()
        adapt.prepare()
        assert plan.adapter.exists() is adapt.has_begun is is_left


def test_the_shipped_plan_makes_what_it_needs():
    plan = Plan(Path("/work"), Path("/data"))
    steps = plan.steps
    trainings = [step for step in steps if step.work_dir]
    made = {s.work_dir / f"epoch_{e}.pth" for s in trainings for e in range(1, s.epochs + 1)}
    assert {plan.checkpoint_of(model) for model in MODELS} <= made
    assert len({step.name for step in steps}) == len(steps) == 8


def test_the_control_is_trained_on_as_many_samples_as_the_adapter():
    plan = Plan(Path("/work"), Path("/data"))
    cfg = plan.load(CONTROL.config)
    share = cfg.train_dataloader.dataset.percent / 100
    samples = share * SIZES_OF_SPLITS["train"] * cfg.train_cfg.max_epochs
    assert samples == plan.iterations * BATCH_SIZE


def test_a_problem_ends_the_command_with_its_message(tmp_path):
    (tmp_path / "steps").mkdir()
    record = tmp_path / "steps/make_the_data.json"
    record.write_text(json.dumps(dict(seconds=1, settings="others", done=True)))
    with pytest.raises(SystemExit, match="made with other settings"):
        cli.main(["--work-dir", str(tmp_path)])
