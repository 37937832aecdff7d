"""Average precision on images that count more or less often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.image_matches import ImageMatches, match_images
from derain_plugin.evaluation.saved_predictions import SavedPredictions

RECALLS = np.linspace(0, 1, 101)


def match_predictions(
    saved: Mapping[str, SavedPredictions],
    truths: Mapping[str, CocoTruth],
    *,
    thresholds: np.ndarray,
    area: str = "all",
    classes: Sequence[str] | None = None,
) -> dict[str, WeightedAp]:
    """Match the predictions of each condition with its ground truth.

    Args:
        saved: Predictions by condition.
        truths: Ground truth of each condition that is wanted.
        thresholds: IoU thresholds, over which AP is the mean.
        area: ``all``, ``small``, ``medium`` or ``large``: COCO's ranges of box area.
        classes: The config's ``classes``, where the predictions do not say and it is not all of
            the annotation file.

    Raises:
        ValueError: A label has no category, or a class is unknown.
    """
    category_ids = {name: truth.labels_of(saved[name], classes) for name, truth in truths.items()}
    found = {}
    for name in tqdm(truths, desc="matching", leave=False):
        matches = match_images(
            saved[name],
            truths[name].annotations_of(saved[name].image_ids.tolist()),
            category_ids=category_ids[name],
            iou_thresholds=thresholds,
            area=area,
        )
        found[name] = WeightedAp(matches)
    return found


class WeightedAp:
    """COCO's interpolated average precision as a function of how often each image counts.

    It is what pycocotools gives for a data set in which an image of weight ``w`` occurs ``w``
    times, without matching or sorting again. Only a correct detection can raise the precision:
    one running sum over all detections, and the rest is done at the correct ones. (Copies of an
    image in which two detections of a class share a score would mix; here they do not.)

    Args:
        matches: Matches at one or more IoU thresholds, over which AP is the mean.

    Attributes:
        num_images: How many weights it takes.
    """

    def __init__(self, matches: ImageMatches) -> None:
        self.num_images = matches.num_images
        self._shape = len(matches.correct), matches.num_categories
        self._positive_image = matches.positive_image
        self._positive_category = matches.positive_category

        ranking = _ranking(matches)
        category = matches.category[ranking]
        first = np.searchsorted(category, np.arange(matches.num_categories))
        self._image = _after_nothing(matches, matches.image[ranking])
        self._first = first

        # A segment is a category at a threshold; thresholds come one after another.
        threshold, rank = np.nonzero(matches.correct[:, ranking])
        self._rank = rank + 1
        self._segment = threshold * matches.num_categories + category[rank]
        self._bounds = np.searchsorted(self._segment, np.arange(np.prod(self._shape) + 1))
        self._correct_image = _after_nothing(matches, matches.image[ranking][rank])

        # How many ignored detections precede each correct one, and each segment.
        ignored_threshold, ignored_rank = np.nonzero(matches.ignored[:, ranking])
        self._ignored_image = _after_nothing(matches, matches.image[ranking][ignored_rank])
        position = ignored_threshold * len(ranking) + ignored_rank
        starts = np.add.outer(np.arange(self._shape[0]) * len(ranking), first).ravel()
        self._ignored_before = np.searchsorted(position, threshold * len(ranking) + rank)
        self._ignored_first = np.searchsorted(position, starts)

    def __call__(self, weights: np.ndarray) -> float:
        """Return the mean over the categories that have ground truth, 0 to 1.

        Args:
            weights: ``(num_images,)``, whole numbers: how often each image counts.

        Returns:
            AP, or nan where no image that counts has ground truth.
        """
        weights = np.append(weights, 0)
        positives = np.zeros(self._shape[1], np.int64)
        np.add.at(positives, self._positive_category, weights[self._positive_image])
        present = np.flatnonzero(positives)
        if not len(present):
            return float("nan")
        correct = np.cumsum(weights.take(self._correct_image))
        before = correct[self._bounds[:-1]]
        right = correct[1:] - before[self._segment]
        envelope = self._envelope(right / (self._counted(weights) + np.spacing(1)))

        segments = np.add.outer(np.arange(self._shape[0]) * self._shape[1], present)
        wanted = before[segments][..., None] + _least_correct(positives[present])
        found = np.searchsorted(correct[1:], wanted)  # (T, present, 101)
        found[found >= self._bounds[segments + 1][..., None]] = -1
        return float(np.append(envelope, 0).take(found).mean())

    def _counted(self, weights: np.ndarray) -> np.ndarray:
        """Sum the weights of the right and wrong detections up to each correct one."""
        seen = np.cumsum(weights.take(self._image))
        ignored = np.cumsum(weights.take(self._ignored_image))
        before = np.tile(seen[self._first], self._shape[0]) - ignored[self._ignored_first]
        return seen[self._rank] - ignored[self._ignored_before] - before[self._segment]

    def _envelope(self, precision: np.ndarray) -> np.ndarray:
        """Raise each precision to the highest that follows in its segment."""
        # An offset that grows towards the front keeps maxima from crossing into the next segment.
        offset = 2.0 * (self._bounds.size - self._segment)
        return np.maximum.accumulate((precision + offset)[::-1])[::-1] - offset


def _after_nothing(matches: ImageMatches, images: np.ndarray) -> np.ndarray:
    """Put an image of weight 0 in front, so that running sums start at 0."""
    return np.concatenate([[matches.num_images], images]).astype(np.int32)


def _ranking(matches: ImageMatches) -> np.ndarray:
    """Order each category by falling score, up to its last detection that is ever correct."""
    order = np.lexsort((-matches.score, matches.category))
    category = matches.category[order]
    last = np.full(matches.num_categories, -1)
    correct = np.flatnonzero(matches.correct[:, order].any(axis=0))
    last[category[correct]] = correct
    return order[np.arange(len(order)) <= last[category]]


def _least_correct(positives: np.ndarray) -> np.ndarray:
    """Return how many boxes must be found for each recall, ``(len(positives), 101)``.

    At least one; rounded as pycocotools' comparison of ``found / positives`` with the recall.
    """
    total = positives[:, None]
    least = np.ceil(RECALLS * total)
    least -= (least - 1) / total >= RECALLS
    least += least / total < RECALLS
    return np.maximum(least, 1).astype(np.int64)
