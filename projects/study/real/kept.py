"""How much of what a detector finds on clean photos an arm still finds there.

AP with the vanilla detector's sure detections as the truth. It needs no labels, and so tells what
24 labelled cars cannot: whether an arm leaves clean photos alone. Run as
``python -m projects.study.real.kept``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from derain_plugin.cli.machine import describe_machine
from derain_plugin.evaluation.saved_predictions import SavedPredictions, load_predictions
from derain_plugin.files import atomic_write
from projects.study.real.arms import ARMS, VANILLA, find_arms
from projects.study.real.measures import measure
from projects.study.real.photographs import SETS, Photographs
from projects.study.real.records import predictions_file
from projects.study.report_tables import markdown

SCORE = 0.3
"""A detection of the vanilla detector counts as an object from this score on."""

CLEAN = ("coco", "highway")
MEASURED = ("AP", "AP50")


def as_truth(saved: SavedPredictions, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sure detections of a set as a COCO file has objects.

    Args:
        saved: The vanilla detector's.
        images: The set's, as a COCO file lists them.
    """
    image_ids = np.repeat(saved.image_ids, saved.counts)
    sides = saved.boxes[:, 2:] - saved.boxes[:, :2]
    objects = [
        dict(
            id=number,
            image_id=int(image_ids[index]),
            category_id=int(saved.labels[index]) + 1,
            bbox=[*saved.boxes[index, :2].tolist(), *sides[index].tolist()],
            area=float(sides[index].prod()),
            iscrowd=0,
        )
        for number, index in enumerate(np.flatnonzero(saved.scores >= SCORE), 1)
    ]
    categories = [dict(id=i, name=name) for i, name in enumerate(saved.classes or (), 1)]
    return dict(images=list(images), categories=categories, annotations=objects)


def measure_kept(
    photos: Photographs, work_dir: Path, arms: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Measure each arm and seed that has detections on the clean sets.

    Returns:
        ``arm``, ``title``, ``seed``, ``photos`` and the measures of each.
    """
    (vanilla,), rows = find_arms([VANILLA]), []
    for photo_set in (each for each in SETS if each.name in CLEAN):
        first = predictions_file(photos, work_dir, vanilla, 0, photo_set)
        (own,) = load_predictions(first).values()
        images = json.loads(photos.annotations(photo_set).read_bytes())["images"]
        truth = work_dir / "kept" / f"{photo_set.name}.json"
        truth.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(truth, json.dumps(as_truth(own, images)))
        for arm in find_arms(arms):
            for seed in arm.seeds(seeds) if arm.name == VANILLA else seeds:
                path = predictions_file(photos, work_dir, arm, seed, photo_set)
                if path.is_file():
                    found = measure(path, truth, resamples=2)["measures"]
                    row = dict(arm=arm.name, title=arm.title, seed=seed, photos=photo_set.title)
                    rows.append(row | {name: found[name] for name in MEASURED})
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Format means over seeds as markdown, an arm a line."""
    sets = list(dict.fromkeys(row["photos"] for row in rows))
    columns = [(name, measure) for name in sets for measure in MEASURED]
    lines = []
    for title in dict.fromkeys(row["title"] for row in rows):
        own = [row for row in rows if row["title"] == title]
        cells = [
            f"{np.mean([row[measure] for row in own if row['photos'] == name]):.3f}"
            for name, measure in columns
        ]
        lines.append([title, str(len({row["seed"] for row in own})), *cells])
    return markdown(["arm", "seeds", *(f"{n}, {m}" for n, m in columns)], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write ``kept.json`` and ``kept.md``."""
    parser = argparse.ArgumentParser(description="Measure what arms keep of clean detections.")
    parser.add_argument("data", type=Path, help="folder of the photographs")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/real"))
    parser.add_argument("--results", type=Path, default=Path("projects/study/results/real"))
    parser.add_argument("--arms", nargs="+", default=[a.name for a in ARMS], metavar="ARM")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    args = parser.parse_args(arguments)
    work_dir = args.work_dir.resolve()
    photos = Photographs(args.data.resolve(), work_dir / "labels")
    rows = measure_kept(photos, work_dir, args.arms, args.seeds)
    content = dict(rows=rows, score=SCORE, **describe_machine())
    args.results.mkdir(parents=True, exist_ok=True)
    atomic_write(args.results / "kept.json", json.dumps(content, indent=1) + "\n")
    atomic_write(args.results / "kept.md", table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
