"""AP of a detector on a set of photographs, and in resamples of them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import InstanceData

from derain_plugin.adapting.labels import names_of
from derain_plugin.datasets.annotations import read_annotations
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.comparison import METRICS
from derain_plugin.evaluation.paired_bootstrap import PairedBootstrap
from derain_plugin.evaluation.saved_predictions import SavedPredictions, load_predictions
from derain_plugin.evaluation.weighted_ap import WeightedAp, match_predictions
from derain_plugin.files import atomic_write
from derain_plugin.rain import image_seed
from derain_plugin.rain.images import read_image
from projects.study.real.photographs import Photographs, PhotoSet
from projects.study.real.renderers import RENDERERS
from projects.study.real.trainees import Trainee
from projects.study.resampled_ap import BOOTSTRAP_SEED, RESAMPLES, identify, packed

MEASURED_RAIN, RAIN_SEED = "ours", 0
CAR = "car"
MEASURES: dict[str, tuple[np.ndarray, str | None]] = {
    "AP": (METRICS["AP"], None),
    "AP50": (METRICS["AP50"], None),
    "car AP": (METRICS["AP"], CAR),
}
"""IoU thresholds, and the one class that counts; None for all that have boxes."""


def predict(trainee: Trainee, photos: Photographs, photo_set: PhotoSet, path: Path) -> None:
    """Detect in all photos of a set, and save that as ``tools/test.py --out`` does."""
    classes = tuple(names_of(trainee.detector.model))
    samples = [
        dict(
            img_id=number,
            dataset=photo_set.name,
            classes=classes,
            pred_instances={name: found[name].clone() for name in ("bboxes", "scores", "labels")},
        )
        for number, found in _detected(trainee, photos, photo_set)
    ]
    content = io.BytesIO()
    pickle.dump(samples, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content.getvalue())


def _detected(
    trainee: Trainee, photos: Photographs, photo_set: PhotoSet
) -> Iterator[tuple[int, InstanceData]]:
    folder, render = photos.data / photo_set.images, RENDERERS[MEASURED_RAIN].render
    for listed in read_annotations(photos.annotations(photo_set))["images"]:
        image = read_image(folder / listed["file_name"])
        if photo_set.severity:
            seed = image_seed(RAIN_SEED, listed["id"])
            image = render(image, photo_set.severity, seed=seed)
        yield listed["id"], trainee.detector.detect(image)


def measure(path: Path, annotations: Path, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Measure saved predictions of one set.

    Resamples depend on their number and on how many photos there are, on nothing else: so those
    of two arms are paired.

    Returns:
        ``num_images``; ``images``, which identifies them and their boxes; ``measures``, those of
        :data:`MEASURES` for which there are boxes; ``bootstrap``, see :func:`packed`.
    """
    (saved,), truth = load_predictions(path).values(), CocoTruth(annotations)
    matched = {
        name: aps
        for name, (thresholds, only) in MEASURES.items()
        if (aps := _matched(saved, truth, thresholds, only)) is not None
    }
    bootstrap = PairedBootstrap(
        [[matched]], dict.fromkeys(matched, saved.image_ids), seed=BOOTSTRAP_SEED
    )
    measured = dict(zip(matched, bootstrap.measure()[0].tolist(), strict=True))
    draws = bootstrap.draw(resamples, workers=1)[:, 0].T
    values = {name: round(value, 5) for name, value in measured.items()}
    return dict(
        num_images=len(saved.image_ids),
        images=identify(saved.image_ids, truth),
        measures=values,
        bootstrap={
            name: packed(values[name], found) for name, found in zip(matched, draws, strict=True)
        },
    )


def _matched(
    saved: SavedPredictions, truth: CocoTruth, thresholds: np.ndarray, only: str | None
) -> WeightedAp | None:
    wanted = saved if only is None else of_class(saved, only)
    condition = {"": wanted}
    found = match_predictions(condition, {"": truth}, thresholds=thresholds)[""]
    has_boxes = not np.isnan(found(np.ones(found.num_images, np.int64)))
    return found if has_boxes else None


def of_class(saved: SavedPredictions, name: str) -> SavedPredictions:
    """Return the detections of one class alone."""
    kept = saved.labels == (saved.classes or ()).index(name)
    image = np.repeat(np.arange(len(saved.counts)), saved.counts)[kept]
    return SavedPredictions(
        saved.source,
        saved.image_ids,
        np.bincount(image, minlength=len(saved.counts)),
        saved.boxes[kept],
        saved.scores[kept],
        np.zeros(kept.sum(), saved.labels.dtype),
        (name,),
    )
