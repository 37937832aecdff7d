"""Put what the demo measured into one table, as markdown and json, with images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import Any

from mmdet.apis import init_detector
from mmdet.models import BaseDetector
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, pseudo_collate

from derain_plugin.adapting.adapter import load_adapter
from derain_plugin.adapting.adapter_file import read_adapter_config
from derain_plugin.cli.machine import describe_machine
from derain_plugin.evaluation.comparison import ComparisonRow, compare
from derain_plugin.evaluation.robustness import draw_robustness
from derain_plugin.files import atomic_write
from projects.benchmark.resources import count_parameters
from projects.benchmark.timing import median_times
from projects.study.demo.curves import draw_curves
from projects.study.demo.image_grid import draw_grid
from projects.study.demo.plan import ADAPTED, CONTROL, JOBS, MODELS, VANILLA, Model, Plan
from projects.study.steps import time_needed

MEASURES = {"P": "AP clean", "mPC": "mPC", "rPC": "rPC", "held_out": "AP held-out rain"}
SEVERITIES = (1, 2, 3, 4, 5)
SHOWN_SEVERITY = 3
SHOWN_IMAGES = 4
HEADINGS = (
    "model", "AP clean", "AP50 clean", *(f"AP rain {k}" for k in SEVERITIES), "mPC", "rPC", "gap",
    "AP held-out rain", "parameters", "ms / image", "relative cost",
)  # fmt: skip


BASELINES = {
    "against vanilla": (VANILLA, {CONTROL.title, ADAPTED.title}),
    "against the control": (CONTROL, {ADAPTED.title}),
}
"""A baseline and what is compared with it, by heading."""


def compare_models(plan: Plan) -> dict[str, list[ComparisonRow]]:
    """Compare the predictions that the demo's tests saved, by heading of ``BASELINES``."""
    found = compare(
        {model.title: [plan.predictions_of(model)] for model in MODELS},
        {"*": plan.data / "annotations/instances_test2017.json"},
    )
    return {
        heading: [row for row in found.against(baseline.title) if row.model in titles]
        for heading, (baseline, titles) in BASELINES.items()
    }


def differences_table(heading: str, rows: Sequence[ComparisonRow]) -> str:
    """Format the differences in clean AP, mPC and rPC as markdown."""
    titles = dict.fromkeys(row.model for row in rows)
    lines = [[title, *_differences(rows, title)] for title in titles]
    return _markdown([heading, *MEASURES.values()], lines)


def _differences(rows: Sequence[ComparisonRow], title: str) -> list[str]:
    found = {row.condition: row for row in rows if row.model == title}
    return [
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        for row in (found[name] for name in MEASURES)
    ]


def agreement_table(plan: Plan) -> str:
    """Format what ``derain-adapt`` measured without labels as markdown."""
    found = read_adapter_config(plan.adapter)["training"]["agreement"]
    lines = [
        [when, *("-" if ap is None else f"{ap:.3f}" for ap in found[when].values())]
        for when in ("before", "after")
    ]
    heading = f"agreement on {found['num_photos']} training images held out, no labels"
    return _markdown([heading, "clean", *(f"rain {k}" for k in SEVERITIES)], lines)


def write_report(plan: Plan, *, seconds: Mapping[str, float]) -> str:
    """Measure costs, and write ``report.md``, ``report.json`` and the images.

    Args:
        plan: A demo whose steps have run.
        seconds: How long each step took.

    Returns:
        The text of ``report.md``.
    """
    detectors = [_load(model, plan) for model in MODELS]
    # The configs' first test data set is clean, and the k-th after it of severity k.
    datasets = plan.load(VANILLA.config).test_dataloader.dataset.datasets
    images = DATASETS.build(datasets[SHOWN_SEVERITY])
    costs = _measure_costs(detectors, images)
    rows = [
        dict(model=model.title, **_scores(model, plan), **cost)
        for model, cost in zip(MODELS, costs, strict=True)
    ]
    compared = compare_models(plan)
    report = dict(
        rows=rows,
        differences={key: [row.record() for row in found] for key, found in compared.items()},
        agreement=read_adapter_config(plan.adapter)["training"]["agreement"],
        seconds=dict(seconds),
        **describe_machine(),
    )
    total = time_needed(plan.steps, seconds, jobs=JOBS)
    tables = _table(rows), *starmap(differences_table, compared.items()), agreement_table(plan)
    text = "\n\n".join([*tables, _caption(report, minutes=total / 60)]) + "\n"
    atomic_write(plan.folder / "report.json", json.dumps(report, indent=1))
    atomic_write(plan.folder / "report.md", text)
    _draw(plan, detectors, images)
    return text


def _load(model: Model, plan: Plan) -> BaseDetector:
    detector = init_detector(plan.load(model.config), str(plan.checkpoint_of(model)), device="cpu")
    return load_adapter(detector, plan.adapter) if model.is_adapted else detector


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
    return _markdown(HEADINGS, [_cells(row) for row in rows])


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))


def _cells(row: dict) -> list[str]:
    scores = [row["clean"], row["clean_50"], *row["rainy"], row["mpc"], row["rpc"], row["gap"]]
    scores.append(row["held_out"])
    cost = f"{row['parameters']:,}", f"{row['ms_per_image']:.1f}", f"{row['relative_cost']:.2f}"
    return [row["model"], *(f"{score:.3f}" for score in scores), *cost]


def _caption(report: dict, *, minutes: float) -> str:
    return (
        f"`make demo`, {report['date']}, commit {report['commit']}, {report['hardware']}, "
        f"{report['versions']}, {minutes:.1f} minutes. Self-made images and one seed, 0: this says "
        "that the commands work, not what they gain on photographs; `docs/adapt.md` says how to "
        "adapt a detector to those. In brackets 95 % intervals of a paired bootstrap over the test "
        "images, for these weights."
    )


def _draw(plan: Plan, detectors: Sequence[BaseDetector], images: BaseDataset) -> None:
    shown = [i * len(images) // SHOWN_IMAGES for i in range(SHOWN_IMAGES)]
    titles = [model.title for model in MODELS]
    draw_grid(dict(zip(titles, detectors, strict=True)), images, shown, plan.folder / "grid.jpg")
    trained = VANILLA.config, CONTROL.config  # derain-adapt shows its losses while it trains
    draw_curves({name: plan.folder / name for name in trained}, plan.folder / "curves.png")
    reports = {model.title: _robustness(model, plan) for model in MODELS}
    draw_robustness(reports, plan.folder / "robustness.png")
