"""How a model differs from a baseline under one condition, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

SUMMARY = ["P", "mPC", "rPC"]
TAILS = 0.025, 0.975  # of a 95 % interval


@dataclass(frozen=True)
class ComparisonRow:
    """A model and the baseline under one condition; values from 0 to 1, nan where undefined.

    Attributes:
        model: Name of the model.
        condition: Name of the condition, or ``P``, ``mPC`` or ``rPC``.
        baseline: AP of the baseline.
        value: AP of the model.
        difference: ``value - baseline``.
        low: Lower end of the 95 % interval of the difference.
        high: Its upper end.
    """

    model: str
    condition: str
    baseline: float
    value: float
    difference: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0

    def record(self) -> dict[str, Any]:
        """Return all of it for a json file, which has no nan: None."""
        # Only nan differs from itself.
        fields = {name: None if value != value else value for name, value in asdict(self).items()}
        return dict(fields, excludes_zero=self.excludes_zero)


def compare_draws(
    names: Sequence[str],
    conditions: Sequence[str],
    rainy: Sequence[str],
    measured: np.ndarray,
    draws: np.ndarray,
) -> list[ComparisonRow]:
    """Compare every model with the first.

    Args:
        names: Of the models.
        conditions: Their names; the first is the clean one.
        rainy: Those that make up mPC; without any there are no rows of the summary.
        measured: AP on every image once, ``(models, conditions)``.
        draws: AP in each resample, ``(resamples, models, conditions)``.
    """
    conditions = list(conditions)
    if rainy:
        places = [conditions.index(name) for name in rainy]
        measured, draws = (with_summary(values, places) for values in (measured, draws))
        conditions += SUMMARY
    rows = []
    for m, c in product(range(1, len(names)), range(len(conditions))):
        baseline, value = float(measured[0, c]), float(measured[m, c])
        low, high = _interval(draws[:, m, c] - draws[:, 0, c])
        rows.append(
            ComparisonRow(names[m], conditions[c], baseline, value, value - baseline, low, high)
        )
    return rows


def with_summary(values: np.ndarray, rainy: Sequence[int]) -> np.ndarray:
    """Append P, mPC and rPC to values whose last axis is the condition, the clean one first."""
    clean, mean = values[..., 0], values[..., rainy].mean(axis=-1)
    relative = np.divide(mean, clean, out=np.full_like(mean, np.nan), where=clean > 0)
    return np.concatenate([values, np.stack([clean, mean, relative], axis=-1)], axis=-1)


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the ends of the percentile interval; resamples without a value do not count."""
    defined = differences[np.isfinite(differences)]
    low, high = np.quantile(defined, TAILS) if len(defined) else (math.nan, math.nan)
    return float(low), float(high)
