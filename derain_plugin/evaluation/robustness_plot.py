"""AP against rain severity, one line per model."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from derain_plugin.files import atomic_write


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
        for place, name in enumerate(others, last + 1):
            if name in report["conditions"]:
                axes.plot(place, report["conditions"][name]["AP"], "D", color=f"C{number}")
    ticks = ["clean", *map(str, range(1, last + 1)), *(name.replace("_", " ") for name in others)]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel="rain severity", ylabel="AP", ylim=(0, None))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format=path.suffix.removeprefix("."))
    atomic_write(path, image.getvalue())


def _by_severity(report: dict) -> dict[int, float]:
    places = {name: _severity(name) for name in report["conditions"]}
    return {
        place: report["conditions"][name]["AP"]
        for place, name in sorted((p, name) for name, p in places.items() if p is not None)
    }


def _others(report: dict) -> list[str]:
    return [name for name in report["conditions"] if _severity(name) is None]


def _severity(name: str) -> int | None:
    found = re.fullmatch(r"severity_(\d+)", name)
    return int(found[1]) if found else 0 if name == "clean" else None
