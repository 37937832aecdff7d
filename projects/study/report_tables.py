"""The study's tables, as markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derain_plugin.evaluation.comparison import ComparisonRow
from projects.study.arm_records import HARD_MEAN, ArmRecords
from projects.study.report_rows import SMALL_HARD_MEAN

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

Row = Mapping[str, Any]  # of report_rows.arm_row


def results_table(rows: Sequence[Row]) -> str:
    """Format the measures of :func:`projects.study.report_rows.arm_row`, an arm a line."""
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
