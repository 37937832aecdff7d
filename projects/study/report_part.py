"""The numbers of the study's report: what was measured on one set of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derain_plugin.evaluation.comparison import ComparisonRow
from projects.study.arm_records import ArmRecords, compare_arms
from projects.study.report_rows import VANILLA, arm_row

CONTROL = "control"
LONG_CONTROL = "control_15e"  # as many epochs as the arms of two phases
BASELINES = (CONTROL, LONG_CONTROL, VANILLA)


@dataclass(frozen=True)
class ReportPart:
    """Arms that were tested on the same images.

    Attributes:
        num_images: How many.
        rows: Of :func:`projects.study.report_rows.arm_row`, by arm.
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
