"""What rain does inside the arms' detectors, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from projects.study.arm_records import PlannedArm
from projects.study.report_tables import MISSING, markdown

SEVERITY = "severity_5"
HEADINGS = (
    "arm", "distance before", "distance",
    "mask", "correlation", "mean rainy", "mean clean", "blend",
)  # fmt: skip
DIAGNOSIS_NOTE = """\
{images} images at severity 5 and their clean twins, first seed. Distance: how far rain moves the
features that reach the detector's own neck, finest level first, mean squared, in units of the clean
features' variance; before: in front of the de-rain neck. Correlation: of a rain mask with the
opacity of the streaks, over the cells of its map. Blend: the share of the features that a mask of 1
takes away; below 0 it adds to them."""


def diagnosis_table(results: Path, arms: Sequence[PlannedArm], *, split: str) -> list[str]:
    """Return the table and its note; nothing where no arm was diagnosed.

    Args:
        results: Folder of the study's results.
        arms: What is listed, in this order, where there is a diagnosis.
        split: Of the images.
    """
    lines, images = [], 0
    for arm in arms:
        path = results / "diagnosis" / f"{split}_{arm.name}.json"
        if path.is_file():
            found = json.loads(path.read_text())
            images = found["images"]
            lines += _lines(arm.title, found)
    if not lines:
        return []
    return [markdown(HEADINGS, lines), DIAGNOSIS_NOTE.format(images=images)]


def _lines(title: str, found: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each mask of an arm, or one where it has none."""
    numbers = found[SEVERITY]
    first = [title, _levels(numbers, "distance_before"), _levels(numbers, "distance")]
    masks = [key.removeprefix("rainy ") for key in numbers if key.startswith("rainy ")]
    lines = [_mask(name, numbers, found.get("blend", {})) for name in masks]
    lines = lines or [[MISSING] * (len(HEADINGS) - len(first))]
    return [[*(first if not i else ["", "", ""]), *line] for i, line in enumerate(lines)]


def _levels(numbers: Mapping[str, float], kind: str) -> str:
    levels = [value for key, value in numbers.items() if key.rpartition(" ")[0] == kind]
    return " / ".join(f"{value:.3f}" for value in levels) or MISSING


def _mask(name: str, numbers: Mapping[str, float | None], blends: Mapping[str, float]) -> list[str]:
    block = name.removeprefix("level ")
    blend = next((value for key, value in blends.items() if f".blocks.{block}." in key), None)
    kinds = ("correlation", "rainy", "clean")
    return [name, *(_cell(numbers.get(f"{kind} {name}")) for kind in kinds), _cell(blend)]


def _cell(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
