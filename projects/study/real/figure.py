"""The figure of the study on real rain."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from derain_plugin.files import atomic_write
from projects.study.real.comparison import ArmResults
from projects.study.real.photographs import SETS

MEASURE = "car AP"


def draw_car_ap(found: Sequence[ArmResults], path: Path) -> None:
    """Draw car AP on each set, with its 95 % interval over photos and training seeds.

    Args:
        found: Arms; those that were not measured on a set are not shown there.
        path: The image to write, a PNG.
    """
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots()
    for number, each in enumerate(found):
        points = _points(each)
        if not len(points):
            continue
        index, mean, low, high = points.T
        shift = 0.7 * ((number + 0.5) / len(found) - 0.5)
        errors = np.stack([mean - low, high - mean]).clip(min=0)
        axes.errorbar(
            index + shift, mean, yerr=errors, capsize=2, markersize=4, label=each.arm.title,
            fmt="oDsv^"[number // 10 % 5], color=f"C{number % 10}",
        )  # fmt: skip
    axes.set_xticks(range(len(SETS)), [photos.title.replace(", ", ",\n") for photos in SETS])
    axes.set_ylabel(MEASURE)
    axes.grid(axis="y", alpha=0.3)
    if axes.has_data():
        figure.legend(loc="outside right upper", fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format="png")
    atomic_write(path, image.getvalue())


def _points(each: ArmResults) -> np.ndarray:
    """Return ``(sets, 4)``: number of the set, mean, lower and upper end of the interval."""
    points = []
    for index, photos in enumerate(SETS):
        mean, interval = each.mean(photos.name, MEASURE), each.interval(photos.name, MEASURE)
        if mean is not None and interval is not None:
            points.append([index, mean, *interval])
    return np.array(points).reshape(-1, 4)
