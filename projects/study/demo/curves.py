"""Learning curves of the demo's trainings, from the logs that mmengine wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

METRICS = {"clean/coco/bbox_mAP": "-", "rainy/coco/bbox_mAP": "--"}


def read_scalars(work_dir: Path) -> list[dict]:
    """Return what a training logged, in order; after a stop the newer record of a step counts.

    A line that a killed training left unfinished is left out.
    """
    records: dict[tuple[bool, int], dict] = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text().split("\n")[:-1]:
            record = json.loads(line)
            records["loss" in record, record["step"]] = record
    return list(records.values())


def draw_curves(work_dirs: Mapping[str, Path], path: Path) -> None:
    """Draw training loss and validation AP of several trainings into one PNG.

    Args:
        work_dirs: Folder of each training, by title.
        path: The PNG to write.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for number, (title, work_dir) in enumerate(work_dirs.items()):
        records, color = read_scalars(work_dir), f"C{number}"
        train = [record for record in records if "loss" in record]
        steps = [record["step"] for record in train]
        losses.plot(steps, [record["loss"] for record in train], color=color, label=title)
        for metric, style in METRICS.items():
            points = [(r["step"], r[metric]) for r in records if metric in r]
            label = f"{title}, {metric.partition('/')[0]}"
            scores.plot(*zip(*points, strict=True), style, color=color, label=label, marker=".")
    losses.set(xlabel="iteration", ylabel="training loss")
    scores.set(xlabel="epoch", ylabel="AP on validation images", ylim=(0, None))
    losses.legend()
    scores.legend(fontsize="small")
    partial = path.with_suffix(".partial")
    figure.savefig(partial, dpi=110, format="png")
    partial.replace(path)
