"""mPC and rPC: what rain costs, by Michaelis et al. (https://arxiv.org/abs/1907.07484)."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from derain_plugin.files import atomic_write

COLUMNS = {
    "mAP": "AP", "mAP_50": "AP50", "mAP_75": "AP75", "mAP_s": "AP_S", "mAP_m": "AP_M",
    "mAP_l": "AP_L",
}  # fmt: skip
"""mmdet's names of COCO's metrics, and COCO's own."""

Rows = Mapping[str, Mapping[str, float]]
"""Metrics by name, of every dataset by prefix; -1 where a dataset has no such boxes."""


def comparable_rows(results: Mapping[str, float], prefixes: Sequence[str]) -> Rows:
    """Pick the AP values out of ``{prefix}/{metric prefix}/{name}`` that every dataset has."""
    rows: dict[str, dict[str, float]] = {prefix: {} for prefix in prefixes}
    for key, value in results.items():
        prefix, _, name = key.partition("/")
        name = name.rsplit("/", 1)[-1]
        if prefix in rows and _column(name):
            rows[prefix][name] = value
    names = [name for name in rows[prefixes[0]] if all(name in row for row in rows.values())]
    return {prefix: {name: row[name] for name in names} for prefix, row in rows.items()}


def rain_gaps(rows: Rows, clean: str, rainy: Sequence[str]) -> dict[str, float]:
    """Return clean minus the mean of the rainy datasets, for AP and AP50.

    Values that a dataset does not have are left out; higher means worse in rain.
    """
    gaps = {}
    for name in rows[clean]:
        values = [rows[prefix][name] for prefix in (clean, *rainy)]
        if rainy and _column(name) in ("AP", "AP50") and min(values) >= 0:
            gaps[name] = round(values[0] - sum(values[1:]) / len(rainy), 4)
    return gaps


def robustness(rows: Rows, clean: str, rainy: Sequence[str]) -> dict[str, float]:
    """Return ``P``, ``mPC`` and ``rPC`` of every AP, prefixed as it is (``bbox_mPC``).

    ``P`` is the AP on clean images, ``mPC`` its mean over the rainy datasets (there the
    severities of a corruption) and ``rPC = mPC / P`` the share that is kept. ``rPC`` is left
    out where ``P`` is 0.
    """
    measures = {}
    for name in rain_gaps(rows, clean, rainy):
        if _column(name) == "AP":
            kind, performance = name.removesuffix("mAP"), rows[clean][name]
            mean = sum(rows[prefix][name] for prefix in rainy) / len(rainy)
            measures[f"{kind}P"] = performance
            measures[f"{kind}mPC"] = round(mean, 4)
            if performance:
                measures[f"{kind}rPC"] = round(mean / performance, 4)
    return measures


def robustness_table(rows: Rows, gaps: Mapping[str, float], measures: Mapping[str, float]) -> str:
    """Format all of it for the screen."""
    names = list(next(iter(rows.values())))
    headings = [_heading(name) for name in names]
    first = max(map(len, [*rows, "gap"]))
    lines = [" " * first + "".join(f"  {heading:>6}" for heading in headings)]
    shown = as_report(rows, gaps, measures)
    gap = {"gap": shown["gap"]} if gaps else {}
    for prefix, row in {**shown["conditions"], **gap}.items():
        cells = (_cell(row.get(heading), len(heading)) for heading in headings)
        lines.append(f"{prefix:<{first}}" + "".join(cells))
    if measures:
        lines.append("   ".join(f"{name} {value:.3f}" for name, value in measures.items()))
    return "\n" + "\n".join(lines)


def as_report(rows: Rows, gaps: Mapping[str, float], measures: Mapping[str, float]) -> dict:
    """Return all of it for a json file: COCO's names, None where there is no value."""
    conditions = {prefix: _present(row) for prefix, row in rows.items()}
    return dict(conditions=conditions, gap=_renamed(gaps), robustness=dict(measures))


def _present(row: Mapping[str, float]) -> dict[str, float | None]:
    return {_heading(name): value if value >= 0 else None for name, value in row.items()}


def _renamed(row: Mapping[str, float]) -> dict[str, float]:
    return {_heading(name): value for name, value in row.items()}


def _column(name: str) -> str | None:
    found = re.search(r"mAP(_\w+)?$", name)
    return COLUMNS.get(found[0]) if found else None


def _heading(name: str) -> str:
    kind = re.sub(r"mAP(_\w+)?$", "", name).rstrip("_")
    return f"{_column(name)}" if kind in ("", "bbox") else f"{kind} {_column(name)}"


def _cell(value: float | None, width: int) -> str:
    return f"  {'-' if value is None else f'{value:.3f}':>{max(6, width)}}"


def draw_robustness(reports: Mapping[str, dict], path: Path) -> None:
    """Draw the ``AP`` of ``clean`` and ``severity_1``, ``severity_2``, … as a line per model.

    Other conditions, such as held-out rain, are marks to the right of the lines.

    Args:
        reports: What ``CleanRainEvaluator.report`` holds, by the name of the model.
        path: The image to write, in the format of its suffix.

    Raises:
        ValueError: A report has no severities, or ``path`` no suffix that matplotlib knows.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    others = sorted({name for report in reports.values() for name in _others(report)})
    last = max((max(_by_severity(report), default=0) for report in reports.values()), default=0)
    for number, (title, report) in enumerate(reports.items()):
        values = _by_severity(report)
        if len(values) < 2:
            raise ValueError(
                f"{title} was not tested at several severities, only on "
                f"{', '.join(report['conditions'])}"
            )
        kept = report["robustness"].get("bbox_rPC")
        label = title if kept is None else f"{title} (rPC {kept:.2f})"
        axes.plot(*zip(*values.items(), strict=True), "o-", color=f"C{number}", label=label)
        for tick, name in enumerate(others, last + 1):
            if name in report["conditions"]:
                axes.plot(tick, report["conditions"][name]["AP"], "D", color=f"C{number}")
    ticks = ["clean", *map(str, range(1, last + 1)), *(name.replace("_", " ") for name in others)]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel="rain severity", ylabel="AP", ylim=(0, None))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format=path.suffix.removeprefix("."))
    atomic_write(path, image.getvalue())


def _by_severity(report: dict) -> dict[int, float]:
    severities = {name: _severity(name) for name in report["conditions"]}
    return {
        severity: report["conditions"][name]["AP"]
        for severity, name in sorted((s, name) for name, s in severities.items() if s is not None)
    }


def _others(report: dict) -> list[str]:
    return [name for name in report["conditions"] if _severity(name) is None]


def _severity(name: str) -> int | None:
    found = re.fullmatch(r"severity_(\d+)", name)
    return int(found[1]) if found else 0 if name == "clean" else None
