"""COCO's AP of a detector's results, by pycocotools, without files."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def coco_of(truth: Sequence[InstanceData], sizes: Sequence[tuple[int, int]]) -> COCO:
    """Return objects as pycocotools takes them; the categories are the labels.

    Args:
        truth: Of each image ``bboxes``, ``(n, 4)`` xyxy in px, ``labels`` and perhaps
            ``is_crowd``.
        sizes: Height and width of each image.
    """
    images = [dict(id=i, height=h, width=w) for i, (h, w) in enumerate(sizes, 1)]
    annotations: list[dict[str, Any]] = []
    for number, objects in enumerate(truth, 1):
        crowd = objects.get("is_crowd", np.zeros(len(objects.labels), bool))
        for box, label, is_crowd in zip(_xywh(objects), objects.labels, crowd, strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,  # pycocotools never matches an annotation 0
                    image_id=number,
                    category_id=int(label),
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=int(is_crowd),
                )
            )
    labels = sorted({annotation["category_id"] for annotation in annotations})
    coco = COCO()
    coco.dataset = dict(
        images=images, annotations=annotations, categories=[dict(id=label) for label in labels]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def precision_of(truth: COCO, found: Sequence[InstanceData]) -> np.ndarray:
    """Return COCO's precision, ``(10, 101, C)``: IoU thresholds, recalls, labels of ``truth``.

    All areas, 100 detections an image. A label without objects that count is -1; without any
    detection all is 0.
    """
    labels = truth.getCatIds()
    if not any(len(each.scores) for each in found):
        return np.zeros((10, 101, len(labels)))
    rows = [
        np.column_stack(
            [np.full(len(each.scores), number), _xywh(each), each.scores, each.labels]
        ).reshape(-1, 7)
        for number, each in enumerate(found, 1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(np.concatenate(rows)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, -1]


def mean_precision(precision: np.ndarray) -> float:
    """Return AP, 0-1, of what :func:`precision_of` gave or a part of it; NaN without objects."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")


def _xywh(found: InstanceData) -> list[list[float]]:
    boxes = found.bboxes.double().numpy().reshape(-1, 4)
    return np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
