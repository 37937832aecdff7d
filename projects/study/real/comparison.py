"""Arms of the study on real rain compared by their records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from derain_plugin.evaluation.comparison import TAILS, ComparisonRow, compare_draws
from derain_plugin.evaluation.paired_bootstrap import draw_training_seeds
from projects.study.real.arms import ARMS, RealArm
from projects.study.real.photographs import SETS, PhotoSet
from projects.study.real.records import record_file
from projects.study.resampled_ap import BOOTSTRAP_SEED, unpacked

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ArmResults:
    """An arm and its records.

    Attributes:
        arm: The arm.
        records: By training seed, in ascending order; empty where it has not run.
    """

    arm: RealArm
    records: Mapping[int, Record]
    _draws: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def parts(self, set_name: str) -> list[Record]:
        """Return what was measured on a set, one per seed; nothing if a seed lacks it."""
        parts = [record["sets"].get(set_name) for record in self.records.values()]
        return parts if all(parts) else []

    def mean(self, set_name: str, measure: str) -> float | None:
        """Return the mean over seeds; None where it was not measured."""
        values = self._values(set_name, measure)
        return float(np.mean(values)) if values else None

    def deviation(self, set_name: str, measure: str) -> float | None:
        """Return the standard deviation over seeds; None for less than two."""
        values = self._values(set_name, measure)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def interval(self, set_name: str, measure: str) -> tuple[float, float] | None:
        """Return the 95 % interval over photos and seeds."""
        if not self._values(set_name, measure):
            return None
        draws = self.draws(set_name)[:, self.measures(set_name).index(measure)]
        low, high = np.nanquantile(draws, TAILS)
        return float(low), float(high)

    def measures(self, set_name: str) -> list[str]:
        """Return what was measured on a set."""
        return list(self.parts(set_name)[0]["measures"])

    def draws(self, set_name: str) -> np.ndarray:
        """Return resamples of photos and seeds, ``(resamples, measures)``."""
        if set_name not in self._draws:
            measures = self.measures(set_name)
            each = [
                [unpacked(part["measures"][m], part["bootstrap"][m]) for m in measures]
                for part in self.parts(set_name)
            ]
            by_seed = np.array(each).swapaxes(1, 2)
            self._draws[set_name] = draw_training_seeds(by_seed, seed=BOOTSTRAP_SEED)
        return self._draws[set_name]

    def _values(self, set_name: str, measure: str) -> list[float]:
        parts = self.parts(set_name)
        return [p["measures"][measure] for p in parts if measure in p["measures"]]


def load_results(results: Path, arms: Sequence[RealArm] = ARMS) -> list[ArmResults]:
    """Read the records of all arms.

    Raises:
        ValueError: Two records measured other photos or boxes under one name.
    """
    loaded = [ArmResults(arm, _records_of(results, arm)) for arm in arms]
    first: dict[str, tuple[str, Any]] = {}
    for each in loaded:
        for seed, record in each.records.items():
            where = record_file(results, each.arm, seed).name
            for name, part in record["sets"].items():
                other, images = first.setdefault(name, (where, part["images"]))
                if images != part["images"]:
                    raise ValueError(
                        f"{where} and {other} were measured on other photos or boxes of {name}: "
                        "delete the older one and run it again"
                    )
    return loaded


def _records_of(results: Path, arm: RealArm) -> dict[int, Record]:
    files = (results / "arms").glob(f"{arm.name}_seed*.json")
    records = [json.loads(file.read_text()) for file in files]
    return {r["seed"]: r for r in sorted(records, key=lambda r: r["seed"]) if r["arm"] == arm.name}


def compare(
    arms: Sequence[ArmResults], baseline: ArmResults, photo_set: PhotoSet
) -> list[ComparisonRow]:
    """Compare arms with one of them on a set: a row per arm and measure.

    Photos are drawn the same for all, training seeds as far as two arms have equally many.
    """
    on_set = [each for each in arms if each.parts(photo_set.name) and each is not baseline]
    if not on_set or not baseline.parts(photo_set.name):
        return []
    compared = [baseline, *on_set]
    measures = baseline.measures(photo_set.name)
    measured = [[each.mean(photo_set.name, m) for m in measures] for each in compared]
    draws = [each.draws(photo_set.name) for each in compared]
    return compare_draws(
        [each.arm.name for each in compared], measures, [],
        np.array(measured, float), np.stack(draws, axis=1),
    )  # fmt: skip


def differences(arms: Sequence[ArmResults], baseline: ArmResults) -> dict[str, list[ComparisonRow]]:
    """Return :func:`compare` for each set, by its name."""
    return {each.name: compare(arms, baseline, each) for each in SETS}
