"""The study's tables, as markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.evaluation.comparison import ComparisonRow
from projects.study.arm_records import HARD_MEAN, ArmRecords, PlannedArm
from projects.study.report_numbers import SMALL_HARD_MEAN

MEASURES = {
    "clean": "AP clean",
    **{f"severity_{k}": f"AP rain {k}" for k in range(1, 6)},
    HARD_MEAN: "AP rain 3-5",
    "mPC": "mPC",
    "rPC": "rPC",
    "held_out": "AP held-out rain",
    "AP_S clean": "AP_S clean",
    SMALL_HARD_MEAN: "AP_S rain 3-5",
}
DIFFERENCES = {
    "clean": "AP clean", HARD_MEAN: "AP rain 3-5", "mPC": "mPC", "held_out": "AP held-out rain",
}  # fmt: skip
COSTS = ("added parameters", "relative latency")
MISSING = "-"
DIAGNOSED = "severity_5"
DIAGNOSIS_HEADINGS = (
    "arm", "distance before", "distance",
    "mask", "correlation", "mean rainy", "mean clean", "blend",
)  # fmt: skip
DIAGNOSIS_NOTE = """\
{images} images at severity 5 and their clean twins, first seed. Distance: how far rain moves the
features that reach the detector's own neck, finest level first, mean squared, in units of the clean
features' variance; before: in front of the de-rain neck. Correlation: of a rain mask with the
opacity of the streaks, over the cells of its map. Blend: the share of the features that a mask of 1
takes away; below 0 it adds to them."""


Row = Mapping[str, Any]  # of report_numbers.arm_row


def results_table(rows: Sequence[Row]) -> str:
    """Format the measures of :func:`projects.study.report_numbers.arm_row`, an arm a line."""
    lines = [[row["title"], *_cells(row)] for row in rows]
    return markdown(["arm", "seeds", *MEASURES.values(), *COSTS], lines)


def differences_table(
    rows: Sequence[ComparisonRow], titles: Mapping[str, str], *, baseline: str
) -> str:
    """Format differences with their 95 % intervals; those that exclude zero are bold."""
    found = {(row.model, row.condition): row for row in rows}
    lines = [
        [titles[name], *(_difference(found[name, condition]) for condition in DIFFERENCES)]
        for name in dict.fromkeys(row.model for row in rows)
    ]
    return markdown([f"against {baseline}", *DIFFERENCES.values()], lines)


def runs_table(arms: Sequence[ArmRecords], missing: Mapping[str, Sequence[int | str]]) -> str:
    """Format which seeds have run and which not, how long training took, and from which commit."""
    lines = []
    for arm in arms:
        records = list(arm.by_seed.values())
        minutes = sum(record["seconds"] for record in records) / 60
        lines.append(
            [
                arm.plan.title,
                _joined(arm.by_seed),
                _joined(missing.get(arm.plan.name, ())) or "none",
                f"{minutes:.0f}",
                _joined(sorted({record["commit"] for record in records})),
                _joined(sorted({record["date"] for record in records})),
            ]
        )
    headings = ["arm", "seeds", "seeds not run", "training minutes, all seeds", "commit", "date"]
    return markdown(headings, lines)


def _cells(row: Row) -> list[str]:
    added, latency = row["added_parameters"], row["relative_latency"]
    return [
        str(len(row["seeds"])),
        *(_mean(row["mean"].get(key), row["sd"].get(key)) for key in MEASURES),
        MISSING if added is None else f"{added:,}",
        MISSING if latency is None else f"{latency:.2f}",
    ]


def _mean(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return MISSING
    return f"{mean:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _difference(row: ComparisonRow) -> str:
    cell = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
    return f"**{cell}**" if row.excludes_zero else cell


def _joined(values: Any) -> str:
    return ", ".join(map(str, values))


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Format a table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))


def diagnosis_table(results: Path, arms: Sequence[PlannedArm], *, split: str) -> list[str]:
    """Return the table and its note; nothing where no arm was diagnosed.

    Args:
        results: Folder of the study's results.
        arms: What is listed, in this order, where there is a diagnosis.
        split: Of the images.
    """
    lines, images = [], 0
    for arm in arms:
        path = results / "diagnosis" / f"{split}_{arm.name}.json"
        if path.is_file():
            found = json.loads(path.read_text())
            images = found["images"]
            lines += _lines(arm.title, found)
    if not lines:
        return []
    return [markdown(DIAGNOSIS_HEADINGS, lines), DIAGNOSIS_NOTE.format(images=images)]


def _lines(title: str, found: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each mask of an arm, or one where it has none."""
    numbers = found[DIAGNOSED]
    first = [title, _levels(numbers, "distance_before"), _levels(numbers, "distance")]
    masks = [key.removeprefix("rainy ") for key in numbers if key.startswith("rainy ")]
    lines = [_mask(name, numbers, found.get("blend", {})) for name in masks]
    lines = lines or [[MISSING] * (len(DIAGNOSIS_HEADINGS) - len(first))]
    return [[*(first if not i else ["", "", ""]), *line] for i, line in enumerate(lines)]


def _levels(numbers: Mapping[str, float], kind: str) -> str:
    levels = [value for key, value in numbers.items() if key.rpartition(" ")[0] == kind]
    return " / ".join(f"{value:.3f}" for value in levels) or MISSING


def _mask(name: str, numbers: Mapping[str, float | None], blends: Mapping[str, float]) -> list[str]:
    block = name.removeprefix("level ")
    blend = next((value for key, value in blends.items() if f".blocks.{block}." in key), None)
    kinds = ("correlation", "rainy", "clean")
    return [name, *(_cell(numbers.get(f"{kind} {name}")) for kind in kinds), _cell(blend)]


def _cell(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
