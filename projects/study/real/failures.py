"""Which cars are found, by their size, and how many detections are wrong.

Run as ``python -m projects.study.real.failures``, after the report's sets were measured.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from derain_plugin.cli.machine import describe_machine
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.image_matches import match_images
from derain_plugin.evaluation.saved_predictions import load_predictions
from derain_plugin.files import atomic_write
from projects.study.real.arms import RealArm, find_arms
from projects.study.real.measures import CAR, of_class
from projects.study.real.photographs import SETS, Photographs, PhotoSet
from projects.study.real.records import predictions_file
from projects.study.report_tables import markdown

SIZES = dict(small="below 32 px", medium="32-96 px", large="above 96 px")
"""COCO's ranges of box area, by the side of a square of that area."""

IOU, SCORE = 0.5, 0.3
"""A car counts as found by a detection of at least this overlap and score."""


def cars_found(path: Path, annotations: Path) -> dict[str, Any]:
    """Count the cars that saved predictions of a set find.

    Args:
        path: The predictions.
        annotations: COCO file of the set.

    Returns:
        ``photos``; by size the number of ``boxes`` and how many are ``found``; ``wrong``, the
        detections of cars that match none.
    """
    (saved,), truth = load_predictions(path).values(), CocoTruth(annotations)
    cars = of_class(saved, CAR)
    boxes = truth.annotations_of(cars.image_ids.tolist())
    categories = truth.labels_of(cars)

    def matched(area: str) -> Any:
        return match_images(
            cars, boxes, category_ids=categories, iou_thresholds=np.array([IOU]), area=area
        )

    sizes = {}
    for area in SIZES:
        found = matched(area)
        sure = found.score >= SCORE
        sizes[area] = dict(boxes=len(found.positive_image), found=int(found.correct[0, sure].sum()))
    every = matched("all")
    wrong = (every.score >= SCORE) & ~every.correct[0] & ~every.ignored[0]
    return dict(photos=every.num_images, sizes=sizes, wrong=int(wrong.sum()))


def together(each: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of cars found, by size and in ``all``, and wrong detections per photo.

    Args:
        each: What :func:`cars_found` gives for each training seed.
    """
    shares = {}
    for area in SIZES:
        parts = [found["sizes"][area] for found in each]
        shares[area] = _share(parts)
    shares["all"] = _share([part for found in each for part in found["sizes"].values()])
    photos = sum(found["photos"] for found in each)
    return dict(shares, wrong=sum(found["wrong"] for found in each) / photos)


def _share(parts: Sequence[Mapping[str, int]]) -> float:
    boxes = sum(part["boxes"] for part in parts)
    return sum(part["found"] for part in parts) / boxes if boxes else float("nan")


def table(rows: Mapping[tuple[str, str], Mapping[str, float]]) -> str:
    """Format shares by set and arm as markdown."""
    headings = ["photos", "arm", *(f"{name}, {what}" for name, what in SIZES.items())]
    lines = [
        [*key, *(f"{row[area]:.3f}" for area in (*SIZES, "all")), f"{row['wrong']:.2f}"]
        for key, row in rows.items()
    ]
    return markdown([*headings, "all cars", "wrong per photo"], lines)


def draw(rows: Mapping[tuple[str, str], Mapping[str, float]], path: Path) -> None:
    """Draw the share of cars found by size: a set a panel, an arm a bar."""
    sets = list(dict.fromkeys(name for name, _ in rows))
    figure = Figure(figsize=(4 * len(sets), 4.5), layout="constrained")
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, sets, strict=True):
        arms = [arm for found, arm in rows if found == name]
        for number, arm in enumerate(arms):
            x = np.arange(len(SIZES)) + 0.8 * ((number + 0.5) / len(arms) - 0.5)
            shares = [rows[name, arm][area] for area in SIZES]
            panel.bar(x, shares, 0.8 / len(arms), label=arm, color=f"C{number}")
        panel.set_xticks(range(len(SIZES)), [f"{k}\n{what}" for k, what in SIZES.items()])
        panel.set_title(name)
    panels[0].set_ylabel(f"share of cars found, score from {SCORE}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, dpi=110, format="png")
    atomic_write(path, image.getvalue())


def measured(
    photos: Photographs, work_dir: Path, arm: RealArm, photo_set: PhotoSet, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Return :func:`cars_found` for each training seed that was measured on a set."""
    found = []
    for seed in arm.seeds(seeds):
        path = predictions_file(photos, work_dir, arm, seed, photo_set)
        if path.is_file():
            found.append(cars_found(path, photos.annotations(photo_set)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and write ``failures.json``, ``failures.md`` and ``failures.png``."""
    parser = argparse.ArgumentParser(description="Count the cars that arms find, by size.")
    parser.add_argument("data", type=Path, help="folder of the photographs")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/real"))
    parser.add_argument("--results", type=Path, default=Path("projects/study/results/real"))
    parser.add_argument("--arms", nargs="+", required=True, metavar="ARM")
    parser.add_argument("--sets", nargs="+", default=["rain", "fog_report"], metavar="SET")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    args = parser.parse_args(arguments)
    photos = Photographs(args.data.resolve(), args.work_dir.resolve() / "labels")
    wanted = [each for each in SETS if each.name in args.sets]
    rows = {
        (photo_set.title, arm.title): together(found)
        for photo_set in wanted
        for arm in find_arms(args.arms)
        if (found := measured(
            photos, args.work_dir.resolve(), arm, photo_set, args.seeds
        ))
    }  # fmt: skip
    if not rows:
        parser.error(f"{args.work_dir} has no detections of these arms on these sets")
    record = [
        # Only nan, where there is no car of a size, differs from itself.
        dict(photos=name, arm=arm, **{k: None if v != v else v for k, v in row.items()})
        for (name, arm), row in rows.items()
    ]
    content = dict(rows=record, iou=IOU, score=SCORE, seeds=args.seeds, **describe_machine())
    args.results.mkdir(parents=True, exist_ok=True)
    atomic_write(args.results / "failures.json", json.dumps(content, indent=1) + "\n")
    atomic_write(args.results / "failures.md", table(rows) + "\n")
    draw(rows, args.results / "failures.png")
    print(table(rows))


if __name__ == "__main__":
    main()
