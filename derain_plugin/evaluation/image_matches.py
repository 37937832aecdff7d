"""Which detections are right, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from derain_plugin.evaluation.saved_predictions import SavedPredictions

MAX_DETECTIONS = 100


@dataclass(frozen=True)
class ImageMatches:
    """Outcome of COCO's matching for ``I`` images, ``K`` categories and ``T`` IoU thresholds.

    Images and categories are numbered in ascending order of their ids. Detections are the at
    most 100 best of each image and category, for each category in ascending order of images.

    Attributes:
        num_images: ``I``.
        num_categories: ``K``.
        image: ``(D,)``, image of each detection.
        category: ``(D,)``, its category.
        score: ``(D,)``, its score.
        correct: ``(T, D)``, whether it found a box of the ground truth.
        ignored: ``(T, D)``, whether it counts neither as right nor as wrong.
        positive_image: ``(G,)``, image of each box to be found; crowds are not.
        positive_category: ``(G,)``, its category.
    """

    num_images: int
    num_categories: int
    image: np.ndarray
    category: np.ndarray
    score: np.ndarray
    correct: np.ndarray
    ignored: np.ndarray
    positive_image: np.ndarray
    positive_category: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[ImageMatches]) -> ImageMatches:
        """Put together the matches of successive images."""
        starts = np.cumsum([0, *(part.num_images for part in parts)])
        shifted = list(zip(parts, starts, strict=False))
        return cls(
            num_images=int(starts[-1]),
            num_categories=parts[0].num_categories,
            image=np.concatenate([part.image + start for part, start in shifted]),
            category=np.concatenate([part.category for part in parts]),
            score=np.concatenate([part.score for part in parts]),
            correct=np.concatenate([part.correct for part in parts], axis=1),
            ignored=np.concatenate([part.ignored for part in parts], axis=1),
            positive_image=np.concatenate([part.positive_image + start for part, start in shifted]),
            positive_category=np.concatenate([part.positive_category for part in parts]),
        )


def match_images(
    predictions: SavedPredictions,
    annotations: Sequence[dict[str, Any]],
    *,
    category_ids: Sequence[int],
    iou_thresholds: np.ndarray,
    area: str = "all",
) -> ImageMatches:
    """Match detections to ground truth by ``COCOeval.evaluate`` of pycocotools.

    Args:
        predictions: Detections of the images.
        annotations: COCO annotations of the same images, with ``iscrowd``.
        category_ids: The category of each label.
        iou_thresholds: ``(T,)``, at which overlaps a detection finds a box.
        area: ``all``, ``small``, ``medium`` or ``large``: which boxes are to be found; others are
            ignored.

    Raises:
        ValueError: A label has no category.
    """
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(
            _indexed([dict(annotation) for annotation in annotations]),
            _indexed(_coco_results(predictions, category_ids)),
            "bbox",
        )
        params = evaluation.params
        params.imgIds, params.catIds = predictions.image_ids, category_ids
        params.iouThrs, params.maxDets = iou_thresholds, [MAX_DETECTIONS]
        params.areaRng = [params.areaRng[params.areaRngLbl.index(area)]]
        params.areaRngLbl = [area]
        evaluation.evaluate()
    shape = len(category_ids), len(predictions.image_ids)
    return _flattened(evaluation.evalImgs, shape, num_thresholds=len(iou_thresholds))


def _indexed(annotations: list[dict[str, Any]]) -> COCO:
    coco = COCO()
    coco.dataset = dict(annotations=annotations, categories=[])
    coco.createIndex()
    return coco


def _coco_results(
    predictions: SavedPredictions, category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """What ``COCO.loadRes`` makes of the results that mmdet's ``CocoMetric`` writes."""
    labels = predictions.labels
    if labels.size and not 0 <= labels.min() <= labels.max() < len(category_ids):
        raise ValueError(
            f"{predictions.source}: labels go from {labels.min()} to {labels.max()}, but there "
            f"are {len(category_ids)} classes. Name the classes that the model was tested with, "
            "and give the annotation file that it was tested on."
        )
    boxes = predictions.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    columns: dict[str, Any] = dict(
        id=list(range(1, len(labels) + 1)),
        image_id=np.repeat(predictions.image_ids, predictions.counts).tolist(),
        category_id=np.asarray(category_ids)[labels].tolist(),
        bbox=boxes.tolist(),
        area=(boxes[:, 2] * boxes[:, 3]).tolist(),
        score=predictions.scores.tolist(),
    )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _flattened(
    entries: Sequence[dict[str, Any] | None], shape: tuple[int, int], *, num_thresholds: int
) -> ImageMatches:
    """Put the entries, one per category and image, one after another."""
    num_categories, num_images = shape
    present = [i for i, entry in enumerate(entries) if entry is not None]
    kept = [entry for entry in entries if entry is not None]
    category, image = np.divmod(np.array(present, dtype=np.int64), num_images)
    detections = np.array([len(entry["dtScores"]) for entry in kept], dtype=np.int64)
    positives = np.array([np.sum(entry["gtIgnore"] == 0) for entry in kept], dtype=np.int64)
    nothing = np.zeros((num_thresholds, 0), bool)
    ignored = np.concatenate([nothing, *(entry["dtIgnore"] for entry in kept)], axis=1)
    matched = np.concatenate([nothing, *(entry["dtMatches"] != 0 for entry in kept)], axis=1)
    return ImageMatches(
        num_images=num_images,
        num_categories=num_categories,
        image=np.repeat(image, detections).astype(np.int32),
        category=np.repeat(category, detections).astype(np.int32),
        score=np.array([score for entry in kept for score in entry["dtScores"]], dtype=np.float64),
        correct=matched & ~ignored,
        ignored=ignored,
        positive_image=np.repeat(image, positives),
        positive_category=np.repeat(category, positives),
    )
