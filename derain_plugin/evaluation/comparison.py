"""Models compared with a baseline on the same images."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.paired_bootstrap import PairedBootstrap, Trained
from derain_plugin.evaluation.saved_predictions import load_predictions
from derain_plugin.evaluation.weighted_ap import match_predictions

METRICS = {"AP": np.linspace(0.5, 0.95, 10), "AP50": np.array([0.5]), "AP75": np.array([0.75])}
EVERY_CONDITION = "*"
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """Outcome of :func:`compare`.

    Attributes:
        models: Their names; the first is the baseline.
        images: Condition -> how many of its images were predicted.
        listed: Condition -> how many images its annotation file lists.
        rainy: Conditions that make up mPC.
        measured: AP on every image once, ``(models, conditions)``.
        draws: AP in each resample, ``(resamples, models, conditions)``.
    """

    models: list[str]
    images: dict[str, int]
    listed: dict[str, int]
    rainy: list[str]
    measured: np.ndarray
    draws: np.ndarray

    @property
    def rows(self) -> list[ComparisonRow]:
        """One per condition and model other than the baseline."""
        return self.against(self.models[0])

    def against(self, baseline: str) -> list[ComparisonRow]:
        """Return the rows with another model as the baseline, from the same resamples."""
        names = [baseline, *(name for name in self.models if name != baseline)]
        order = [self.models.index(name) for name in names]
        measured, draws = self.measured[order], self.draws[:, order]
        return compare_draws(names, list(self.images), self.rainy, measured, draws)


def compare(
    models: Mapping[str, Sequence[Path]],
    annotations: Mapping[str, Path],
    *,
    metric: str = "AP",
    classes: Sequence[str] | None = None,
    rainy: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    workers: int | None = None,
) -> Comparison:
    """Compare the AP of models with that of the first, with intervals by paired bootstrap.

    AP is pycocotools' (area ``all``, 100 detections per image and class) over the images that
    were predicted. Where conditions share the images of the first, the clean one, there follow
    ``P``, its AP, ``mPC``, the mean over those in rain, and ``rPC = mPC / P``, of Michaelis et
    al. (https://arxiv.org/abs/1907.07484).

    Args:
        models: Name -> files of ``tools/test.py --out``, one per training seed. The first model
            is the baseline of ``rows``.
        annotations: Condition -> COCO annotation file; ``"*"`` stands for every other condition.
        metric: ``AP``, ``AP50`` or ``AP75``.
        classes: The config's ``classes``, where the predictions do not say and it is not all of
            the annotation file.
        rainy: Conditions that make up mPC. By default ``severity_1`` and so on, or, without
            any, all others that have the images of the first.
        resamples: How many times images and seeds are drawn.
        seed: Of these draws.
        workers: Threads; by default as many as cores. Changes no result.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is unsuited, or the models predicted different images.
    """
    _check_settings(models, metric, resamples, seed)
    workers = workers or os.cpu_count()
    image_ids = _image_ids([path for paths in models.values() for path in paths])
    rainy = _rainy(image_ids, rainy)
    truths = _truths(image_ids, annotations)

    def match(path: Path) -> Trained:
        saved, thresholds = load_predictions(path), METRICS[metric]
        return match_predictions(saved, truths, thresholds=thresholds, classes=classes)

    trained = [[match(path) for path in paths] for paths in models.values()]
    bootstrap = PairedBootstrap(trained, image_ids, seed=seed)
    return Comparison(
        models=list(models),
        images={condition: len(ids) for condition, ids in image_ids.items()},
        listed={condition: len(truth.image_ids) for condition, truth in truths.items()},
        rainy=rainy,
        measured=bootstrap.measure(),
        draws=bootstrap.draw(resamples, workers=workers),
    )


def _check_settings(
    models: Mapping[str, Sequence[Path]], metric: str, resamples: int, seed: int
) -> None:
    if len(models) < 2 or not all(models.values()):
        raise ValueError(
            "a comparison needs a baseline and another model, with a file each, got "
            + (", ".join(f"{name} with {len(paths)}" for name, paths in models.items()) or "none")
        )
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")


def _image_ids(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Find out which images all files have, by condition.

    Loads everything once before the matching, so that no work is lost.
    """
    first: dict[str, np.ndarray] = {}
    for path in paths:
        found = {name: part.image_ids for name, part in load_predictions(path).items()}
        first = first or found
        if found.keys() != first.keys():
            raise ValueError(
                f"{path} has the test conditions {', '.join(found)}, but {paths[0]} has "
                f"{', '.join(first)}: test both with the same configuration"
            )
        for condition, ids in first.items():
            here, there = np.setdiff1d(found[condition], ids), np.setdiff1d(ids, found[condition])
            if len(here) or len(there):
                raise ValueError(
                    f"predictions of different images under {condition}: {_counted(here)} only in "
                    f"{path}, {_counted(there)} only in {paths[0]}. Test both on the same images."
                )
    return first


def _truths(
    image_ids: Mapping[str, np.ndarray], annotations: Mapping[str, Path]
) -> dict[str, CocoTruth]:
    """Load the annotation file of each condition, each file once."""
    paths = {name: annotations.get(name, annotations.get(EVERY_CONDITION)) for name in image_ids}
    if None in paths.values() or annotations.keys() - {*image_ids, EVERY_CONDITION}:
        raise ValueError(
            f"the predictions have the test conditions {', '.join(image_ids)}, the annotation "
            f"files are for {', '.join(annotations) or 'none'}"
        )
    loaded = {path: CocoTruth(path) for path in set(paths.values()) if path is not None}
    truths = {name: loaded[path] for name, path in paths.items() if path is not None}
    for name, truth in truths.items():
        unknown = np.setdiff1d(image_ids[name], list(truth.image_ids))
        if len(unknown):
            raise ValueError(
                f"{truth.path} does not list {_counted(unknown)} of the test condition {name}: "
                f"give the annotation file of its test, as {name}=FILE where conditions differ"
            )
    return truths


def _counted(ids: np.ndarray) -> str:
    if not len(ids):
        return "0 images"
    examples = ", ".join(map(str, ids[:3].tolist()))
    return f"{len(ids)} image{'s' * (len(ids) > 1)} (such as {examples})"


def _rainy(image_ids: Mapping[str, np.ndarray], wanted: Sequence[str] | None) -> list[str]:
    """Return the conditions over which mPC is the mean."""
    first, *others = image_ids
    paired = [name for name in others if np.array_equal(image_ids[name], image_ids[first])]
    if wanted is None:
        return [name for name in paired if name.startswith("severity_")] or paired
    if unpaired := [name for name in wanted if name not in paired]:
        raise ValueError(
            f"mPC needs conditions with the images of {first}, which {', '.join(unpaired)} is "
            f"not; there {'is' if len(paired) == 1 else 'are'} {', '.join(paired) or 'none'}"
        )
    return list(wanted)


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
        indices = [conditions.index(name) for name in rainy]
        measured, draws = (with_summary(values, indices) for values in (measured, draws))
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
