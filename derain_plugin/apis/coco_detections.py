"""Detections as a file in COCO's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import InstanceData

from derain_plugin.apis.video import Frame
from derain_plugin.datasets.labels.classes import CATEGORY_IDS
from derain_plugin.files import atomic_write


class CocoDetections:
    """Collect detections of images and frames, and write what pycocotools' ``COCO`` reads.

    ``COCO(file).loadRes(content["annotations"])`` takes the annotations, which have scores.
    Classes that are all COCO's have COCO's own category ids, others are numbered from 1.

    Args:
        classes: Names by label.
        info: What else the file says, about its origin.
    """

    def __init__(self, classes: Sequence[str], *, info: dict[str, Any]) -> None:
        are_cocos = all(name in CATEGORY_IDS for name in classes)
        self._ids = [CATEGORY_IDS[n] if are_cocos else i for i, n in enumerate(classes, 1)]
        self._info = info
        self._categories = [dict(id=i, name=n) for i, n in zip(self._ids, classes, strict=True)]
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(
        self, path: Path, image: np.ndarray, found: InstanceData, *, frame: Frame | None = None
    ) -> None:
        """Add an image, also one in which nothing was found.

        Args:
            path: Of the image or video: its ``file_name``.
            image: ``(H, W, 3)``, for its size.
            found: ``bboxes`` x1, y1, x2, y2 in pixels of ``image``, ``scores`` and ``labels``.
            frame: Which one of a video.
        """
        height, width = image.shape[:2]
        entry = dict(
            id=len(self._images) + 1, file_name=path.as_posix(), width=width, height=height
        )
        if frame is not None:
            entry |= dict(frame_index=frame.index, seconds=round(frame.seconds, 3))
        self._images.append(entry)
        for box, score, label in zip(found.bboxes, found.scores, found.labels, strict=True):
            x1, y1, x2, y2 = (round(float(side), 2) for side in box)
            w, h = round(x2 - x1, 2), round(y2 - y1, 2)
            self._annotations.append(
                dict(
                    id=len(self._annotations) + 1, image_id=entry["id"],
                    category_id=self._ids[int(label)], bbox=[x1, y1, w, h], area=round(w * h, 2),
                    iscrowd=0, score=round(float(score), 5),
                )
            )  # fmt: skip

    def write(self, path: Path) -> None:
        """Write the file, with its folders, whole."""
        content = dict(
            info=self._info,
            images=self._images,
            categories=self._categories,
            annotations=self._annotations,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(content))
