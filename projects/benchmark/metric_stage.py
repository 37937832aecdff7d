"""What COCO's metrics take after a test: our metric beside pycocotools, on random boxes."""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from derain_plugin.evaluation import NamedCocoMetric
from projects.benchmark.inference import median_interval
from projects.benchmark.timing import times_in_turns

BOXES = 7  # of ground truth in an image, as in COCO
CORRECT = 0.3  # share of detections that are near such a box
SIZE = 640


class MetricStage:
    """Random ground truth and detections, and both evaluators of them.

    Args:
        folder: For the annotation file.
        images: How many.
        detections: Of each image.
        classes: How many.

    Attributes:
        stats: pycocotools' twelve, by evaluator, of its last call.
    """

    def __init__(self, folder: Path, *, images: int, detections: int, classes: int) -> None:
        rng = np.random.default_rng(0)
        truth = [_random_boxes(rng, rng.poisson(BOXES), classes) for _ in range(images)]
        ann_file = folder / "annotations.json"
        ann_file.write_text(json.dumps(_content(truth, classes)))
        self.found = [
            dict(img_id=number, **_detections(rng, *boxes, count=detections, classes=classes))
            for number, boxes in enumerate(truth, 1)
        ]
        self.stats: dict[str, np.ndarray] = {}
        self._results: list[dict[str, Any]] = []
        with redirect_stdout(io.StringIO()):
            self._truth = COCO(ann_file)
        self._metric = NamedCocoMetric(str(ann_file), proposal_nums=(1, 10, 100))
        self._metric.dataset_meta = dict(classes=[str(number) for number in range(classes)])

    def ours(self) -> None:
        """Compute the metrics from what a test has kept."""
        with redirect_stdout(io.StringIO()):
            self._metric.compute_metrics([({}, found) for found in self.found])

    def as_dicts(self) -> None:
        """Make what pycocotools takes, and changes."""
        self._results = list(_as_dicts(self.found))

    def by_pycocotools(self) -> None:
        """Do what mmdet's metric does after it has written and read its json."""
        with redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._truth, self._truth.loadRes(self._results), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        self.stats["pycocotools"] = evaluation.stats

    def largest_difference(self) -> float:
        """Return how far any of our unrounded metrics is from pycocotools' last."""
        with redirect_stdout(io.StringIO()):
            self.stats["ours"] = self._metric.evaluate_boxes(self.found).stats
        return float(np.abs(self.stats["ours"] - self.stats["pycocotools"]).max())


def compare_metric_stages(stage: MetricStage, *, rounds: int) -> dict[str, Any]:
    """Time both in turns, after one untimed round.

    Returns:
        ``seconds`` and ``all_seconds`` by evaluator; ``ratio``, the median of the paired ratios,
        and its 95 % ``interval``; ``AP``, and the ``difference`` of the metric that differs most.
    """
    (_, theirs), (ours,) = times_in_turns(
        [[stage.as_dicts, stage.by_pycocotools], [stage.ours]], rounds=rounds, warm_up=1
    )
    ratios = np.array(theirs) / np.array(ours)
    seconds = {
        name: [milliseconds / 1000 for milliseconds in times]
        for name, times in dict(ours=ours, pycocotools=theirs).items()
    }
    difference = stage.largest_difference()
    return dict(
        seconds={name: statistics.median(times) for name, times in seconds.items()},
        all_seconds=seconds,
        ratio=float(np.median(ratios)),
        interval=median_interval(ratios),
        AP={name: float(stats[0]) for name, stats in stage.stats.items()},
        difference=difference,
    )


def _random_boxes(
    rng: np.random.Generator, count: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes, xywh, and their labels."""
    corners, sizes = rng.uniform(0, SIZE / 2, (count, 2)), rng.uniform(8, SIZE / 2, (count, 2))
    return np.hstack([corners, sizes]), rng.integers(0, classes, count)


def _content(truth: list[tuple[np.ndarray, np.ndarray]], classes: int) -> dict[str, Any]:
    annotations = [
        dict(image_id=number, category_id=label + 1, bbox=box, area=box[2] * box[3], iscrowd=0)
        for number, (boxes, labels) in enumerate(truth, 1)
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True)
    ]
    return dict(
        images=[
            dict(id=number, file_name=f"{number}.jpg", width=SIZE, height=SIZE)
            for number in range(1, len(truth) + 1)
        ],
        annotations=[dict(annotation, id=i) for i, annotation in enumerate(annotations, 1)],
        categories=[dict(id=label + 1, name=str(label)) for label in range(classes)],
    )


def _detections(
    rng: np.random.Generator, boxes: np.ndarray, labels: np.ndarray, *, count: int, classes: int
) -> dict[str, np.ndarray]:
    """Return detections of one image, as a detector gives them: x1, y1, x2, y2, float32."""
    source = rng.integers(0, max(1, len(boxes)), count)
    found, found_labels = _random_boxes(rng, count, classes)
    if len(boxes):
        is_near = rng.random(count) < CORRECT
        near = (boxes[source] + rng.normal(0, 8, (count, 4))).clip(1)
        found = np.where(is_near[:, None], near, found)
        found_labels = np.where(is_near, labels[source], found_labels)
    found[:, 2:] += found[:, :2]
    return dict(
        bboxes=found.astype(np.float32), scores=rng.random(count, np.float32), labels=found_labels
    )


def _as_dicts(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for image in found:
        boxes = image["bboxes"].astype(float)
        boxes[:, 2:] -= boxes[:, :2]
        columns = boxes.tolist(), image["scores"].tolist(), image["labels"].tolist()
        for box, score, label in zip(*columns, strict=True):
            yield dict(image_id=image["img_id"], category_id=label + 1, bbox=box, score=score)
