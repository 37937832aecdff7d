"""Put what the demo measured into one table, as markdown and json, with images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmdet.apis import init_detector
from mmdet.models import BaseDetector
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, pseudo_collate

from derain_plugin.cli.machine import describe_machine
from derain_plugin.evaluation.comparison import Comparison, ComparisonRow, compare
from derain_plugin.evaluation.robustness import draw_robustness
from derain_plugin.files import atomic_write
from projects.benchmark.resources import count_parameters
from projects.benchmark.timing import median_times
from projects.study.demo.curves import draw_curves
from projects.study.demo.image_grid import draw_grid
from projects.study.demo.plan import CONTROL, JOBS, Model, Plan
from projects.study.steps import time_needed

MEASURES = {"P": "AP clean", "mPC": "mPC", "rPC": "rPC", "held_out": "AP held-out rain"}
SEVERITIES = (1, 2, 3, 4, 5)
SHOWN_SEVERITY = 3
SHOWN_IMAGES = 4
HEADINGS = (
    "model", "AP clean", "AP50 clean", *(f"AP rain {k}" for k in SEVERITIES), "mPC", "rPC", "gap",
    "AP held-out rain", "parameters", "ms / image", "relative cost",
)  # fmt: skip


def compare_with_control(plan: Plan) -> Comparison:
    """Compare the predictions that the demo's tests saved, the control's being the baseline."""
    models = sorted(plan.models, key=lambda model: model.config != CONTROL)
    annotations = plan.data / "annotations/instances_test2017.json"
    return compare({m.title: [plan.predictions_of(m)] for m in models}, {"*": annotations})


def differences_table(comparison: Comparison) -> str:
    """Format the differences in clean AP, mPC and rPC as markdown."""
    titles = list(dict.fromkeys(row.model for row in comparison.rows))
    lines = [
        ["against the control", *MEASURES.values()],
        ["---", *["---:"] * len(MEASURES)],
        *([title, *_differences(comparison.rows, title)] for title in titles),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _differences(rows: Sequence[ComparisonRow], title: str) -> list[str]:
    found = {row.condition: row for row in rows if row.model == title}
    return [
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        for row in (found[name] for name in MEASURES)
    ]


def write_report(plan: Plan, *, seconds: Mapping[str, float]) -> str:
    """Measure costs, and write ``report.md``, ``report.json`` and the images.

    Args:
        plan: A demo whose steps have run.
        seconds: How long each step took.

    Returns:
        The text of ``report.md``.
    """
    models = plan.models
    detectors = [_load(model, plan) for model in models]
    # The configs' first test data set is clean, and the k-th after it of severity k.
    datasets = plan.load(models[0].config).test_dataloader.dataset.datasets
    images = DATASETS.build(datasets[SHOWN_SEVERITY])
    costs = _measure_costs(detectors, images)
    rows = [
        dict(model=model.title, **_scores(model, plan), **cost)
        for model, cost in zip(models, costs, strict=True)
    ]
    comparison = compare_with_control(plan)
    report = dict(
        rows=rows,
        differences=[row.record() for row in comparison.rows],
        seconds=dict(seconds),
        **describe_machine(),
    )
    total = time_needed(plan.steps, seconds, jobs=JOBS)
    tables = _table(rows), differences_table(comparison)
    text = "\n\n".join([*tables, _caption(report, minutes=total / 60)]) + "\n"
    atomic_write(plan.folder / "report.json", json.dumps(report, indent=1))
    atomic_write(plan.folder / "report.md", text)
    _draw(plan, models, detectors, images)
    return text


def _load(model: Model, plan: Plan) -> BaseDetector:
    return init_detector(plan.load(model.config), str(plan.checkpoint_of(model)), device="cpu")


def _measure_costs(detectors: Sequence[BaseDetector], images: BaseDataset) -> list[dict]:
    batch = pseudo_collate([images[0]])
    times = median_times([partial(detector.test_step, batch) for detector in detectors])
    return [
        dict(
            parameters=count_parameters(detector),
            ms_per_image=round(time, 2),
            relative_cost=round(time / times[0], 3),
        )
        for detector, time in zip(detectors, times, strict=True)
    ]


def _scores(model: Model, plan: Plan) -> dict[str, Any]:
    """Read what the newest run of ``tools/test.py`` measured."""
    found = _robustness(model, plan)
    conditions = found["conditions"]
    return dict(
        clean=conditions["clean"]["AP"],
        clean_50=conditions["clean"]["AP50"],
        rainy=[conditions[f"severity_{k}"]["AP"] for k in SEVERITIES],
        mpc=found["robustness"]["bbox_mPC"],
        rpc=found["robustness"].get("bbox_rPC", 0.0),  # none where clean AP is 0
        gap=found["gap"]["AP"],
        held_out=conditions["held_out"]["AP"],
    )


def _robustness(model: Model, plan: Plan) -> dict:
    return json.loads(max(plan.test_dir_of(model).glob("*/robustness.json")).read_text())


def _table(rows: Sequence[dict]) -> str:
    rule = ["---", *["---:"] * (len(HEADINGS) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (HEADINGS, rule, *map(_cells, rows)))


def _cells(row: dict) -> list[str]:
    scores = [row["clean"], row["clean_50"], *row["rainy"], row["mpc"], row["rpc"], row["gap"]]
    scores.append(row["held_out"])
    cost = f"{row['parameters']:,}", f"{row['ms_per_image']:.1f}", f"{row['relative_cost']:.2f}"
    return [row["model"], *(f"{score:.3f}" for score in scores), *cost]


def _caption(report: dict, *, minutes: float) -> str:
    return (
        f"`make demo`, {report['date']}, commit {report['commit']}, {report['hardware']}, "
        f"{report['versions']}, {minutes:.1f} minutes. One seed, 0, on small self-made data. "
        "In brackets 95 % intervals of a paired bootstrap over the test images, for these weights."
    )


def _draw(
    plan: Plan, models: Sequence[Model], detectors: Sequence[BaseDetector], images: BaseDataset
) -> None:
    shown = [i * len(images) // SHOWN_IMAGES for i in range(SHOWN_IMAGES)]
    titles = [model.title for model in models]
    draw_grid(dict(zip(titles, detectors, strict=True)), images, shown, plan.folder / "grid.jpg")
    work_dirs = {model.config: plan.folder / model.config for model in models}
    draw_curves(work_dirs, plan.folder / "curves.png")
    reports = {model.title: _robustness(model, plan) for model in models}
    draw_robustness(reports, plan.folder / "robustness.png")
