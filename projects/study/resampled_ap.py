"""AP of one training seed and in resamples of the images, small enough to be committed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.comparison import METRICS, SUMMARY, with_summary
from derain_plugin.evaluation.paired_bootstrap import PairedBootstrap
from derain_plugin.evaluation.saved_predictions import SavedPredictions
from derain_plugin.evaluation.weighted_ap import match_predictions
from derain_plugin.rain import SEVERITIES

RESAMPLES, BOOTSTRAP_SEED = 1000, 0
UNIT = 1e-5  # of AP; in it resamples are kept
DETAILS = {
    "AP50": (METRICS["AP50"], "all"),
    "AP_S": (METRICS["AP"], "small"),
    "AP_M": (METRICS["AP"], "medium"),
    "AP_L": (METRICS["AP"], "large"),
}
"""IoU thresholds and range of box area of the metrics beside AP."""

Saved = Mapping[str, SavedPredictions]  # by test condition


def resample_images(
    saved: Saved,
    truth: CocoTruth,
    *,
    details: Mapping[str, Mapping[str, float | None]],
    classes: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure AP on the images that were predicted, and on resamples of them.

    Resamples depend on their number and on how many images there are, on nothing else: those of
    two models on the same images are paired, and so are those of two records.

    Args:
        saved: Predictions of the same images under each condition, the clean one first.
        truth: Their ground truth.
        details: Metrics beside AP, by condition.
        classes: The config's ``classes``, where it is not all of the annotation file.
        resamples: How many.
        workers: Threads; changes no result.

    Returns:
        ``num_images``; ``images``, which identifies them and their ground truth; ``conditions``,
        AP and ``details`` of each; ``P``, ``mPC`` and ``rPC`` (None where P is 0); ``bootstrap``,
        for each condition how far AP in each resample lies from AP, in 1e-5.

    Raises:
        ValueError: A severity is missing, conditions have other images than the first, or one has
            no ground truth.
    """
    rainy = [f"severity_{k}" for k in SEVERITIES]
    if missing := [name for name in rainy if name not in saved]:
        raise ValueError(f"the predictions lack the conditions {', '.join(missing)}")
    ids = {name: part.image_ids for name, part in saved.items()}
    clean_ids = next(iter(ids.values()))
    if others := [name for name, found in ids.items() if not np.array_equal(found, clean_ids)]:
        raise ValueError(f"{', '.join(others)} has other images than {next(iter(ids))}")
    truths = dict.fromkeys(saved, truth)
    matched = match_predictions(saved, truths, thresholds=METRICS["AP"], classes=classes)
    bootstrap = PairedBootstrap([[matched]], ids, seed=BOOTSTRAP_SEED)
    measured = bootstrap.measure()[0]
    if np.isnan(measured).any():
        raise ValueError(f"{truth.path} has no ground truth for the images that were predicted")
    draws = bootstrap.draw(resamples, workers=workers)[:, 0].T
    aps = dict(zip(saved, (round(float(ap), 5) for ap in measured), strict=True))
    indices = [list(saved).index(name) for name in rainy]
    summary = with_summary(measured, indices)[-len(SUMMARY) :]
    return dict(
        num_images=len(clean_ids),
        images=identify(clean_ids, truth),
        conditions={name: dict(AP=ap, **details[name]) for name, ap in aps.items()},
        **{name: _rounded(value) for name, value in zip(SUMMARY, summary, strict=True)},
        bootstrap={n: packed(aps[n], found) for n, found in zip(saved, draws, strict=True)},
    )


def measure_details(
    saved: Saved,
    truth: CocoTruth,
    *,
    classes: Sequence[str] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Return AP50, AP_S, AP_M and AP_L of each condition; None where it has no such boxes."""
    rows: dict[str, dict[str, float | None]] = {name: {} for name in saved}
    for key, (thresholds, area) in DETAILS.items():
        truths = dict.fromkeys(saved, truth)
        matched = match_predictions(
            saved, truths, thresholds=thresholds, area=area, classes=classes
        )
        for name, ap in matched.items():
            value = ap(np.ones(ap.num_images, np.int64))
            rows[name][key] = _rounded(value)
    return rows


def resampled_aps(measured: Mapping[str, Any]) -> np.ndarray:
    """Return AP in each resample, ``(resamples, conditions)``, of :func:`resample_images`."""
    columns = [
        unpacked(measured["conditions"][name]["AP"], steps)
        for name, steps in measured["bootstrap"].items()
    ]
    return np.stack(columns, axis=-1)


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


def packed(ap: float, draws: np.ndarray) -> str:
    """Return how far AP in each resample lies from AP, in 1e-5, as text."""
    # Adding 0 turns -0 into 0.
    return " ".join(f"{step:.0f}" for step in np.rint((draws - ap) / UNIT) + 0.0)


def unpacked(ap: float, steps: str) -> np.ndarray:
    """Return AP in each resample, of :func:`packed`."""
    return ap + UNIT * np.array(steps.split(), dtype=float)


def identify(ids: np.ndarray, truth: CocoTruth) -> str:
    """Return a digest of images and their ground truth."""
    content = json.dumps([ids.tolist(), truth.annotations_of(ids.tolist())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
