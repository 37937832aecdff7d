"""COCO's evaluation of boxes by hotcoco, from arrays: no lists of dicts, no json."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, TypeAlias

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params

AREAS: dict[str, list[float]] = dict(
    zip(Params("bbox").areaRngLbl, Params("bbox").areaRng, strict=True)
)
"""COCO's ranges of box area, in square px."""
Evaluator: TypeAlias = hotcoco.COCOeval | COCOeval
_threads_of: int | None = None  # the process that has hotcoco's threads


@dataclass(frozen=True)
class BoxTruth:
    """``G`` boxes of ground truth, with images and categories numbered from 0.

    Attributes:
        num_images: ``I``.
        num_categories: ``K``.
        image: ``(G,)``, image of each box.
        category: ``(G,)``, its category.
        boxes: ``(G, 4)``, x, y, w, h in px.
        area: ``(G,)``, in square px, as the annotation file says.
        iscrowd: ``(G,)``, whether it is a crowd, which is not to be found.
    """

    num_images: int
    num_categories: int
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray

    @classmethod
    def of(
        cls,
        annotations: Sequence[Mapping[str, Any]],
        *,
        image_ids: Sequence[int],
        category_ids: Sequence[int],
    ) -> BoxTruth:
        """Number COCO annotations; those of other images and categories are left out.

        Args:
            annotations: With ``image_id``, ``category_id``, ``bbox``, ``area``, ``iscrowd``.
            image_ids: Ids of the images, ascending.
            category_ids: Ids of the categories, ascending.
        """
        images = {id_: i for i, id_ in enumerate(image_ids)}
        categories = {id_: i for i, id_ in enumerate(category_ids)}
        kept = [a for a in annotations if a["image_id"] in images if a["category_id"] in categories]
        return cls(
            num_images=len(images),
            num_categories=len(categories),
            image=np.array([images[a["image_id"]] for a in kept], np.int64),
            category=np.array([categories[a["category_id"]] for a in kept], np.int64),
            boxes=np.array([a["bbox"] for a in kept], np.float64).reshape(-1, 4),
            area=np.array([a["area"] for a in kept], np.float64),
            iscrowd=np.array([a["iscrowd"] for a in kept], bool),
        )


@dataclass(frozen=True)
class BoxDetections:
    """``D`` detections, with the numbers of a :class:`BoxTruth`.

    Attributes:
        image: ``(D,)``, image of each.
        category: ``(D,)``, its category.
        boxes: ``(D, 4)``, x, y, w, h in px, float64.
        score: ``(D,)``, float64. Of equal scores the first is the better, as in pycocotools.
    """

    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    score: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> BoxDetections:
        """Return some of them, by index or mask."""
        return BoxDetections(*(column[chosen] for column in vars(self).values()))


def boxes_xywh(corners: np.ndarray) -> np.ndarray:
    """Return x, y, w, h of ``(D, 4)`` x1, y1, x2, y2, subtracted in float64 as mmdet does."""
    boxes = corners.astype(np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def match_boxes(
    truth: BoxTruth,
    found: BoxDetections,
    *,
    iou_thresholds: np.ndarray,
    max_detections: Sequence[int],
    areas: Sequence[str] = tuple(AREAS),
) -> Evaluator:
    """Match detections to ground truth, as ``COCOeval.evaluate`` of pycocotools does.

    Bitwise, but for boxes with nan: here they find nothing, there whatever they are compared with.
    In a copy (``fork``) of a process that has evaluated, it is pycocotools that evaluates:
    hotcoco would wait for threads that are not copied.

    Args:
        truth: Boxes to be found.
        found: Detections of the same images.
        iou_thresholds: ``(T,)``, at which overlaps a detection finds a box.
        max_detections: How many detections of an image and category count.
        areas: Names of ``AREAS``.

    Returns:
        What has ``accumulate``, ``eval`` and ``evalImgs``, these in no particular order; its ids of
        images and categories are the numbers of ``truth``.
    """
    global _threads_of
    _threads_of = _threads_of or os.getpid()
    evaluator = _hotcoco if _threads_of == os.getpid() else _pycocotools
    with redirect_stdout(io.StringIO()):
        evaluation = evaluator(truth, found)
        params = evaluation.params
        params.iouThrs, params.maxDets = iou_thresholds, sorted(max_detections)
        params.areaRng, params.areaRngLbl = [AREAS[name] for name in areas], list(areas)
        evaluation.evaluate()
    return evaluation


def _hotcoco(truth: BoxTruth, found: BoxDetections) -> hotcoco.COCOeval:
    coco = hotcoco.COCO.from_arrays(
        [dict(id=i, file_name="", width=0, height=0) for i in range(truth.num_images)],
        [dict(id=i, name=str(i)) for i in range(truth.num_categories)],
        truth.image,
        truth.category,
        truth.boxes,
        ids=np.arange(1, len(truth.image) + 1),
        area=truth.area,
        iscrowd=truth.iscrowd.astype(np.int64),
    )
    score = np.where(np.isnan(found.score), -np.inf, found.score)  # NumPy sorts nan last
    rows = np.column_stack([found.image, found.boxes, score, found.category])
    return hotcoco.COCOeval(coco, coco.load_res(rows), "bbox")


def _pycocotools(truth: BoxTruth, found: BoxDetections) -> COCOeval:
    area = found.boxes[:, 2] * found.boxes[:, 3]
    known = _columns(truth.image, truth.category, truth.boxes, truth.area, iscrowd=truth.iscrowd)
    seen = _columns(found.image, found.category, found.boxes, area, score=found.score)
    sides = []
    for side in known, seen:
        coco = COCO()
        coco.dataset = dict(
            images=[dict(id=i) for i in range(truth.num_images)],
            categories=[dict(id=i) for i in range(truth.num_categories)],
            annotations=side,
        )
        coco.createIndex()
        sides.append(coco)
    return COCOeval(*sides, "bbox")


def _columns(
    image: np.ndarray, category: np.ndarray, boxes: np.ndarray, area: np.ndarray, **own: np.ndarray
) -> list[dict[str, Any]]:
    columns = dict(image_id=image, category_id=category, bbox=boxes, area=area, **own)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True), id=i) for i, row in enumerate(rows, 1)]
