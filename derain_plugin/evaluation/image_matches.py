"""Which detections are right, image by image."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from derain_plugin.evaluation.box_evaluation import (
    AREAS,
    BoxDetections,
    BoxTruth,
    boxes_xywh,
    match_boxes,
)
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


def match_images(
    predictions: SavedPredictions,
    annotations: Sequence[dict[str, Any]],
    *,
    category_ids: Sequence[int],
    iou_thresholds: np.ndarray,
    area: str = "all",
) -> ImageMatches:
    """Match detections to ground truth as ``COCOeval.evaluate`` of pycocotools does.

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
    truth = BoxTruth.of(
        annotations, image_ids=predictions.image_ids.tolist(), category_ids=sorted(category_ids)
    )
    found = _ranked(_detections(predictions, category_ids), truth.num_images)
    correct, ignored = _matched(truth, found, iou_thresholds=iou_thresholds, area=area)
    is_positive = ~truth.iscrowd & ~_is_outside(truth.area, area)
    order = np.lexsort((truth.image, truth.category))
    positive = order[is_positive[order]]
    return ImageMatches(
        num_images=truth.num_images,
        num_categories=truth.num_categories,
        image=found.image.astype(np.int32),
        category=found.category.astype(np.int32),
        score=found.score,
        correct=correct,
        ignored=ignored,
        positive_image=truth.image[positive],
        positive_category=truth.category[positive],
    )


def _detections(predictions: SavedPredictions, category_ids: Sequence[int]) -> BoxDetections:
    labels = predictions.labels.astype(np.int64)
    if labels.size and not 0 <= labels.min() <= labels.max() < len(category_ids):
        raise ValueError(
            f"{predictions.source}: labels go from {labels.min()} to {labels.max()}, but there "
            f"are {len(category_ids)} classes. Name the classes that the model was tested with, "
            "and give the annotation file that it was tested on."
        )
    return BoxDetections(
        image=np.repeat(np.arange(len(predictions.image_ids)), predictions.counts),
        category=np.argsort(np.argsort(category_ids))[labels],
        boxes=boxes_xywh(predictions.boxes),
        score=predictions.scores.astype(np.float64),
    )


def _ranked(found: BoxDetections, num_images: int) -> BoxDetections:
    """Order by category, image and falling score, and keep the best of each image and category."""
    found = found[np.lexsort((-found.score, found.image, found.category))]
    group = found.category * num_images + found.image
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    return found[rank < MAX_DETECTIONS]


def _matched(
    truth: BoxTruth, found: BoxDetections, *, iou_thresholds: np.ndarray, area: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ranked detections are correct and which are ignored, ``(T, D)`` each."""
    num_thresholds = len(iou_thresholds)
    outside = _is_outside(found.boxes[:, 2] * found.boxes[:, 3], area)
    matched = np.zeros((num_thresholds, len(outside)), bool)
    ignored = np.tile(outside, (num_thresholds, 1))
    # Where there is nothing to find, nothing is found: no need to ask.
    groups = (each.category * truth.num_images + each.image for each in (truth, found))
    has_truth = np.isin(*reversed(list(groups)))
    evaluation = match_boxes(
        truth,
        found[has_truth],
        iou_thresholds=iou_thresholds,
        max_detections=[MAX_DETECTIONS],
        areas=[area],
    )
    with _without_garbage_collection():
        entries = [entry for entry in evaluation.evalImgs if entry is not None]
    entries.sort(key=itemgetter("category_id", "image_id"))
    nothing = np.zeros((num_thresholds, 0), bool)
    for outcome, key in (matched, "dtMatches"), (ignored, "dtIgnore"):
        parts = [np.array(entry[key], bool) for entry in entries]
        outcome[:, has_truth] = np.concatenate([nothing, *parts], axis=1)
    return matched & ~ignored, ignored


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """While many lists are made, the collector takes ten times as long as making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _is_outside(areas: np.ndarray, name: str) -> np.ndarray:
    low, high = AREAS[name]
    return (areas < low) | (areas > high)
