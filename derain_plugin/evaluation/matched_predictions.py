"""Average precision of saved predictions, ready to be asked for with any weights of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from tqdm.contrib.concurrent import process_map

from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.image_matches import ImageMatches, match_images
from derain_plugin.evaluation.saved_predictions import SavedPredictions
from derain_plugin.evaluation.weighted_ap import WeightedAp

IMAGES_PER_TASK = 100


def match_predictions(
    saved: Mapping[str, SavedPredictions],
    truths: Mapping[str, CocoTruth],
    *,
    thresholds: np.ndarray,
    area: str = "all",
    classes: Sequence[str] | None = None,
    workers: int | None = None,
) -> dict[str, WeightedAp]:
    """Match the predictions of each condition with its ground truth, several pieces at once.

    Args:
        saved: Predictions by condition.
        truths: Ground truth of each condition that is wanted.
        thresholds: IoU thresholds, over which AP is the mean.
        area: ``all``, ``small``, ``medium`` or ``large``: COCO's ranges of box area.
        classes: The config's ``classes``, where it is not all of the annotation file.
        workers: Processes; by default as many as cores. Changes no result.

    Raises:
        ValueError: A label has no category, or a class is unknown.
    """
    category_ids = {name: truth.category_ids(classes) for name, truth in truths.items()}
    pieces = [(name, piece) for name in truths for piece in saved[name].split(IMAGES_PER_TASK)]
    tasks = [
        (piece, truths[name].annotations_of(piece.image_ids.tolist()), category_ids[name])
        for name, piece in pieces
    ]
    match = partial(_match_piece, thresholds=thresholds, area=area)
    bar = dict(desc=f"matching {pieces[0][1].source}", leave=False)
    matches = process_map(match, tasks, max_workers=workers, chunksize=1, **bar)
    by_condition: dict[str, list[ImageMatches]] = {name: [] for name in truths}
    for (name, _), matched in zip(pieces, matches, strict=True):
        by_condition[name].append(matched)
    return {name: WeightedAp(ImageMatches.join(parts)) for name, parts in by_condition.items()}


def _match_piece(
    task: tuple[SavedPredictions, list[dict], list[int]], *, thresholds: np.ndarray, area: str
) -> ImageMatches:
    piece, annotations, category_ids = task
    return match_images(
        piece, annotations, category_ids=category_ids, iou_thresholds=thresholds, area=area
    )
