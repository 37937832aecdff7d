"""The numbers of the study's report: a row per arm, and differences between arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derain_plugin.evaluation.comparison import ComparisonRow
from projects.study.arm_records import HARD, HARD_MEAN, ArmRecords, Part, compare_arms

VANILLA = "vanilla"
SMALL_HARD_MEAN = f"AP_S {HARD_MEAN}"
CONTROL = "control"
LONG_CONTROL = "control_15e"  # as many epochs as the arms of two phases
BASELINES = (CONTROL, LONG_CONTROL, VANILLA)


def arm_row(
    arm: ArmRecords,
    num_images: int,
    *,
    vanilla_parameters: int | None,
    relative_latency: Mapping[str, float],
) -> dict[str, Any]:
    """Summarise what was measured of an arm on ``num_images`` images.

    Args:
        arm: It has been tested on them.
        num_images: Of which part of its records.
        vanilla_parameters: Parameters of the plain detector, where it has run.
        relative_latency: Of the arms that were timed, by name.

    Returns:
        ``arm``, ``title``, ``seeds``; ``mean`` and ``sd`` (n - 1; None with one seed) of every
        measure; ``parameters``, ``added_parameters`` and ``relative_latency`` (None: unknown).
    """
    measured = [_measures(part) for part in arm.parts(num_images)]
    columns = {key: [row[key] for row in measured] for key in measured[0]}
    parameters = next(iter(arm.by_seed.values()))["parameters"]
    added = None if vanilla_parameters is None else parameters - vanilla_parameters
    return dict(
        arm=arm.plan.name,
        title=arm.plan.title,
        seeds=list(arm.by_seed),
        mean={key: _rounded(np.mean, values) for key, values in columns.items()},
        sd={key: _deviation(values) for key, values in columns.items()},
        parameters=parameters,
        added_parameters=added,
        relative_latency=relative_latency.get(arm.plan.name),
    )


def missing_seeds(arms: Sequence[ArmRecords]) -> dict[str, list[int | str]]:
    """Return what has not run, by arm: training seeds, or ``any`` where one would do.

    A deciding arm should have every seed that any deciding arm has, another arm one.
    """
    wanted = sorted({seed for arm in arms if arm.plan.decides for seed in arm.by_seed})
    missing: dict[str, list[int | str]] = {}
    for arm in arms:
        absent = [seed for seed in wanted if seed not in arm.by_seed]
        if not arm.by_seed:
            missing[arm.plan.name] = [*absent] if arm.plan.decides and absent else ["any"]
        elif arm.plan.decides and absent:
            missing[arm.plan.name] = [*absent]
    return missing


def _measures(part: Part) -> dict[str, float | None]:
    rows = part["conditions"]
    small = [rows[name]["AP_S"] for name in HARD]
    return {
        **{name: row["AP"] for name, row in rows.items()},
        HARD_MEAN: float(np.mean([rows[name]["AP"] for name in HARD])),
        "mPC": part["mPC"],
        "rPC": part["rPC"],
        "AP_S clean": rows["clean"]["AP_S"],
        SMALL_HARD_MEAN: None if None in small else float(np.mean(small)),
    }


def _deviation(values: Sequence[float | None]) -> float | None:
    return _rounded(lambda found: np.std(found, ddof=1), values) if len(values) > 1 else None


def _rounded(measure: Any, values: Sequence[float | None]) -> float | None:
    return None if None in values else round(float(measure(values)), 5)


@dataclass(frozen=True)
class ReportPart:
    """Arms that were tested on the same images.

    Attributes:
        num_images: How many.
        rows: Of :func:`projects.study.report_numbers.arm_row`, by arm.
        differences: Every other arm against each baseline that has run.
    """

    num_images: int
    rows: Mapping[str, dict[str, Any]]
    differences: Mapping[str, list[ComparisonRow]]

    def record(self) -> dict[str, Any]:
        """Return all of it for a json file."""
        differences = {
            baseline: [row.record() for row in rows] for baseline, rows in self.differences.items()
        }
        return dict(
            num_images=self.num_images, rows=list(self.rows.values()), differences=differences
        )


def measure_parts(
    arms: Sequence[ArmRecords], *, relative_latency: Mapping[str, float]
) -> list[ReportPart]:
    """Summarise and compare arms, on all images and on each smaller number that an arm has.

    Args:
        arms: All of the study.
        relative_latency: Of the arms that were timed, by name.
    """
    sizes = sorted({arm.largest for arm in arms if arm.by_seed}, reverse=True)
    return [
        _measure([arm for arm in arms if _belongs(arm, size)], size, relative_latency)
        for size in sizes
    ]


def _belongs(arm: ArmRecords, num_images: int) -> bool:
    """Whether an arm is shown on so many images: not on fewer than it has, unless it decides."""
    shown = num_images == arm.largest or arm.plan.decides or arm.plan.name == VANILLA
    return shown and bool(arm.parts(num_images))


def _measure(
    arms: Sequence[ArmRecords], num_images: int, relative_latency: Mapping[str, float]
) -> ReportPart:
    by_name = {arm.plan.name: arm for arm in arms}
    plain = by_name.get(VANILLA)
    parameters = next(iter(plain.by_seed.values()))["parameters"] if plain else None
    rows = {
        name: arm_row(
            arm, num_images, vanilla_parameters=parameters, relative_latency=relative_latency
        )
        for name, arm in by_name.items()
    }
    differences = {
        baseline: compare_arms(
            [by_name[baseline], *(arm for name, arm in by_name.items() if name != baseline)],
            num_images,
        )
        for baseline in BASELINES
        if baseline in by_name
    }
    return ReportPart(num_images, rows, differences)
