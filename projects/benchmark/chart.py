"""Bars of time and memory, one detector below the other."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derain_plugin.files import atomic_write


def draw_bars(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw time per image and memory of the de-rain part, both on logarithmic axes.

    Args:
        rows: Of :func:`projects.benchmark.inference.measure_inference`.
        path: The image to write, in the format of its suffix.
    """
    figure = Figure(figsize=(9, 1.2 + 0.5 * len(rows)), layout="constrained")
    time, derain, memory = figure.subplots(1, 3, sharey=True)
    names = [row["derain"] or "no de-raining" for row in rows]
    if len(set(names)) < len(names):
        names = [row["config"] for row in rows]
    _bars(time, names, [row["total_ms"] for row in rows], "detector in all, ms / image")
    _bars(derain, names, [row.get("derain_alone_ms") for row in rows], "de-raining, ms / image")
    _bars(memory, names, [row.get("derain_memory_mb") for row in rows], "de-raining, peak MB")
    time.invert_yaxis()
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format=path.suffix.removeprefix("."))
    atomic_write(path, image.getvalue())


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float | None], label: str) -> None:
    places = range(len(names))
    shown = [(place, value) for place, value in zip(places, values, strict=True) if value]
    axes.set_xscale("log")
    for place, value in shown:
        bars = axes.barh(place, value, color=f"C{place}")
        axes.bar_label(bars, labels=[f"{value:,.3g}" if value < 100 else f"{value:,.0f}"])
    axes.margins(x=0.25)
    axes.set_yticks(places, names)
    axes.set_title(label, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
