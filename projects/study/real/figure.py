"""The figure of the study on real rain."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from derain_plugin.evaluation.comparison import ComparisonRow
from derain_plugin.files import atomic_write
from projects.study.real.photographs import SETS

MEASURE = "car AP"


def draw_differences(
    rows: Mapping[str, Sequence[ComparisonRow]], titles: Mapping[str, str], path: Path
) -> None:
    """Draw by how much arms change car AP on each set, with 95 % intervals.

    Args:
        rows: By set, arms against vanilla.
        titles: Of the arms that are drawn, by name.
        path: The image to write, a PNG.
    """
    shown = [each for each in SETS if rows[each.name]]
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    for number, (name, title) in enumerate(titles.items()):
        points = [
            (index, row.difference, row.difference - row.low, row.high - row.difference)
            for index, each in enumerate(shown)
            for row in rows[each.name]
            if (row.model, row.condition) == (name, MEASURE)
        ]
        if not points:
            continue
        index, mean, below, above = zip(*points, strict=True)
        shift = 0.7 * ((number + 0.5) / len(titles) - 0.5)
        axes.errorbar(
            [i + shift for i in index], mean, yerr=[_positive(below), _positive(above)],
            fmt="oDsv^"[number // 10 % 5], color=f"C{number % 10}", capsize=2, markersize=4,
            label=title,
        )  # fmt: skip
    axes.axhline(0, color="gray", linewidth=1)
    axes.set_xticks(range(len(shown)), [each.title.replace(", ", ",\n") for each in shown])
    axes.set_ylabel(f"{MEASURE}, difference from vanilla")
    axes.grid(axis="y", alpha=0.3)
    if axes.has_data():
        figure.legend(loc="outside lower left", fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format="png")
    atomic_write(path, image.getvalue())


def _positive(lengths: Sequence[float]) -> list[float]:
    return [max(length, 0.0) for length in lengths]
