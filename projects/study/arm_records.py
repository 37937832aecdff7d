"""The study's records, arm by arm, checked to belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from derain_plugin.evaluation.comparison import ComparisonRow, compare_draws
from derain_plugin.evaluation.paired_bootstrap import draw_training_seeds
from projects.study.resampled_ap import BOOTSTRAP_SEED, resampled_aps

HARD = ("severity_3", "severity_4", "severity_5")
HARD_MEAN = "severities_3-5"
"""The deciding condition: the mean over :data:`HARD`."""

Part = Mapping[str, Any]  # what resample_images returned


class PlannedArm(Protocol):
    """What the report needs to know of an arm before it has run."""

    @property
    def name(self) -> str:
        """Folder of its records."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def decides(self) -> bool:
        """Whether it runs with every seed; others run with one."""


@dataclass(frozen=True)
class ArmRecords:
    """An arm and what was measured of it.

    Attributes:
        plan: The arm.
        by_seed: Its records by training seed, in ascending order; empty where it has not run.
    """

    plan: PlannedArm
    by_seed: Mapping[int, dict[str, Any]]

    @property
    def largest(self) -> int:
        """On how many images it was tested; 0 where it has not run."""
        return max((record["whole"]["num_images"] for record in self.by_seed.values()), default=0)

    def parts(self, num_images: int) -> list[Part]:
        """Return what was measured on that many images, a part per training seed."""
        found = (part for record in self.by_seed.values() for part in _parts(record))
        return [part for part in found if part["num_images"] == num_images]


def load_arms(results: Path, arms: Sequence[PlannedArm], *, split: str) -> list[ArmRecords]:
    """Read ``arms/<name>/<split>_seed*.json`` of all arms.

    Raises:
        ValueError: There are none, a file is not a record of its arm, or two of them cannot be
            compared: other images, ground truth, conditions or number of resamples.
    """
    found = [ArmRecords(arm, _load_arm(results / "arms" / arm.name, split)) for arm in arms]
    first: dict[int, tuple[Path, Any]] = {}
    for arm in found:
        for seed, record in arm.by_seed.items():
            path = results / "arms" / arm.plan.name / f"{split}_seed{seed}.json"
            for part in _parts(record):
                _check_comparable(part, path, first)
    if not first:
        raise ValueError(f"{results / 'arms'} has no records of the {split} split")
    return found


def compare_arms(arms: Sequence[ArmRecords], num_images: int) -> list[ComparisonRow]:
    """Compare arms with the first of them, on the resamples of images that their records keep.

    Training seeds are drawn as :class:`PairedBootstrap` draws them. The result is that of
    ``evaluation.comparison.compare`` on the predictions, up to the records' rounding (1e-5).

    Args:
        arms: All have been tested on ``num_images`` images.
        num_images: Of which part of the records.

    Returns:
        A row per arm other than the first and condition, ``severities_3-5``, the mean of these,
        among them.
    """
    parts = [arm.parts(num_images) for arm in arms]
    conditions = list(parts[0][0]["conditions"])
    indices = [conditions.index(name) for name in HARD]
    draws = [
        draw_training_seeds(np.stack([resampled_aps(part) for part in own]), seed=BOOTSTRAP_SEED)
        for own in parts
    ]
    return compare_draws(
        [arm.plan.name for arm in arms],
        [*conditions, HARD_MEAN],
        [name for name in conditions if name.startswith("severity_")],
        _with_mean(np.stack([_measured(own) for own in parts]), indices),
        _with_mean(np.stack(draws, axis=1), indices),
    )


def _measured(parts: Sequence[Part]) -> np.ndarray:
    aps = [[row["AP"] for row in part["conditions"].values()] for part in parts]
    return np.mean(aps, axis=0)


def _with_mean(values: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    return np.concatenate([values, values[..., indices].mean(axis=-1, keepdims=True)], axis=-1)


def _load_arm(folder: Path, split: str) -> dict[int, dict[str, Any]]:
    records = {}
    for path in sorted(folder.glob(f"{split}_seed*.json")):
        record = json.loads(path.read_text())
        named = f"{record.get('split')}_seed{record.get('seed')}.json"
        if record.get("arm") != folder.name or named != path.name:
            raise ValueError(
                f"{path} is not what its name says but a record of the arm "
                f"{record.get('arm')!r}, split {record.get('split')!r}, seed {record.get('seed')!r}"
            )
        records[record["seed"]] = record
    return dict(sorted(records.items()))


def _parts(record: Mapping[str, Any]) -> Iterator[Part]:
    for name in ("whole", "subset"):
        if name in record:
            yield record[name]


def _check_comparable(part: Part, path: Path, first: dict[int, tuple[Path, Any]]) -> None:
    resamples = {len(steps.split()) for steps in part["bootstrap"].values()}
    identity = dict(
        images=part["images"], conditions=list(part["conditions"]), resamples=sorted(resamples)
    )
    other, expected = first.setdefault(part["num_images"], (path, identity))
    for key, value in identity.items():
        if value != expected[key]:
            raise ValueError(
                f"{path} and {other} cannot be compared: they have other {key}, {value} and "
                f"{expected[key]}. Run the older one again."
            )
