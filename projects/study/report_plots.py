"""The study's plots: validation AP over epochs, AP against severity and against latency."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from derain_plugin.evaluation.robustness import draw_robustness
from derain_plugin.files import atomic_write
from projects.study.arm_records import HARD_MEAN, ArmRecords
from projects.study.report_numbers import VANILLA

SIDES = ("clean", "rainy")
FAR = 3.0  # times the vanilla detector's latency, from which on the axis is logarithmic

Row = Mapping[str, Any]  # of report_numbers.arm_row


def draw_curves(arms: Sequence[ArmRecords], path: Path) -> None:
    """Draw AP on clean and rainy validation images over epochs, mean over training seeds.

    The vanilla detector, from which the others start, is a level: its last value.

    Args:
        arms: Those without a curve are left out.
        path: The image to write, in the format of its suffix.
    """
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    plots = figure.subplots(1, 2)
    curves = [(arm, _mean_curve(arm)) for arm in arms]
    shown = [(arm, curve) for arm, curve in curves if len(curve)]
    for number, (arm, curve) in enumerate(shown):
        for axes, values in zip(plots, curve.T[1:], strict=True):
            look = dict(color=f"C{number % 10}", label=arm.plan.title)
            if arm.plan.name == VANILLA:
                axes.axhline(values[-1], linestyle=":", **look)
            else:
                style = "-" if number < 10 else "--"  # colours repeat
                axes.plot(curve[:, 0], values, style, marker=".", **look)
    for axes, side in zip(plots, SIDES, strict=True):
        axes.set(xlabel="epoch", ylabel=f"AP on {side} validation images")
        axes.grid(axis="y", alpha=0.3)
    if shown:
        handles, labels = plots[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
    _save(figure, path)


def draw_severities(rows: Sequence[Row], path: Path) -> None:
    """Draw mean AP against rain severity, one line per row of ``report_numbers.arm_row``."""
    reports = {
        row["title"]: dict(
            conditions={
                name: dict(AP=ap)
                for name, ap in row["mean"].items()
                if name in ("clean", "held_out") or name.startswith("severity_")
            },
            robustness=dict(bbox_rPC=row["mean"]["rPC"]),
        )
        for row in rows
    }
    draw_robustness(reports, path)


def draw_latency(rows: Sequence[Row], path: Path) -> None:
    """Draw mean AP at severities 3-5 against latency relative to the vanilla detector.

    Args:
        rows: Of ``report_numbers.arm_row``; those without a latency are left out.
        path: The image to write, in the format of its suffix.
    """
    timed = [row for row in rows if row["relative_latency"] is not None]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(timed):
        axes.errorbar(
            row["relative_latency"],
            row["mean"][HARD_MEAN],
            yerr=row["sd"][HARD_MEAN],
            fmt="oDsv^"[number // 10 % 5],
            color=f"C{number % 10}",
            capsize=3,
            label=row["title"],
        )
    if any(row["relative_latency"] > FAR for row in timed):
        axes.set_xscale("log")
    axes.set(xlabel="time per image, vanilla = 1", ylabel="AP, mean of rain severities 3-5")
    axes.grid(alpha=0.3)
    if timed:
        figure.legend(loc="outside right upper", fontsize="small")
    _save(figure, path)


def _mean_curve(arm: ArmRecords) -> np.ndarray:
    """Return ``(epochs, 3)``: epoch, AP clean and rainy, where all training seeds have them."""
    curves = [dict(_by_epoch(record["learning_curve"])) for record in arm.by_seed.values()]
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    points = [[epoch, *np.mean([curve[epoch] for curve in curves], axis=0)] for epoch in epochs]
    return np.array(points).reshape(-1, 3)


def _by_epoch(curve: Sequence[Sequence[float]]) -> list[tuple[float, Sequence[float]]]:
    return [(epoch, scores) for epoch, *scores in curve]


def _save(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format=path.suffix.removeprefix("."))
    atomic_write(path, image.getvalue())
