"""One json per arm and seed: what was measured of it, on which set, when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from projects.study.real.arms import RealArm
from projects.study.real.measures import MEASURED_RAIN, MEASURES, RAIN_SEED
from projects.study.real.photographs import CONFIG, SETS, Photographs, PhotoSet
from projects.study.real.renderers import RENDERERS
from projects.study.resampled_ap import RESAMPLES
from projects.study.settings import digest_of


def record_file(results: Path, arm: RealArm, seed: int) -> Path:
    """Return where the record of an arm and seed is."""
    return results / "arms" / f"{arm.name}_seed{seed}.json"


def wanted_sets(*, is_report: bool) -> list[PhotoSet]:
    """Return the sets to measure on: those for the report only if asked for."""
    return [each for each in SETS if is_report or not each.is_reported]


def training_settings(arm: RealArm, seed: int, photos: Photographs) -> str:
    """Return a digest of all that decides what is trained."""
    recipe = arm.recipe.record()
    # What is not used is left out, so that a new option retrains no older arm.
    used = {name: value for name, value in recipe.items() if value}
    rain = RENDERERS[arm.recipe.rain].version
    return digest_of(CONFIG, arm.kind, used, rain, seed, photos.identity)


def set_settings(trained: str, photo_set: PhotoSet) -> str:
    """Return a digest of all that decides what is measured on a set."""
    rain = [MEASURED_RAIN, RENDERERS[MEASURED_RAIN].version, RAIN_SEED]
    return digest_of(
        trained, photo_set.name, [photo_set.severity, *rain] if photo_set.severity else None,
        sorted(MEASURES), RESAMPLES,
    )  # fmt: skip


def predictions_file(
    photos: Photographs, work_dir: Path, arm: RealArm, seed: int, photo_set: PhotoSet
) -> Path:
    """Return where what an arm and seed detected in a set is, if it was measured."""
    trained = training_settings(arm, seed, photos)
    settings = set_settings(trained, photo_set)
    folder = work_dir / "predictions" / f"{arm.name}_seed{seed}_{trained[:8]}"
    return folder / f"{photo_set.name}_{settings[:8]}.pkl"


def read_record(path: Path, trained: str) -> dict[str, Any]:
    """Return a record with those of its sets that are measured as they would be now.

    Args:
        path: Of the record.
        trained: What :func:`training_settings` gives.

    Returns:
        Empty where there is none of this training.
    """
    record = json.loads(path.read_text()) if path.is_file() else {}
    if record.get("settings") != trained:
        return {}
    current = {each.name: set_settings(trained, each) for each in SETS}
    kept = {
        name: part for name, part in record["sets"].items() if part["settings"] == current.get(name)
    }
    return dict(record, sets=kept)


def is_recorded(path: Path, trained: str, sets: Sequence[PhotoSet]) -> bool:
    """Tell whether all sets were measured already."""
    record = read_record(path, trained)
    return bool(record) and all(each.name in record["sets"] for each in sets)
