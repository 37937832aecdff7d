"""Boxes, names and scores on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData

READABLE = 320  # px, longer side: on smaller images labels would cover the objects
LINE_SHARE = 200  # of the longer side: the width of a line


class Painter:
    """Paint detections by mmdet's visualizer.

    Args:
        classes: Names by label.
        palette: RGB colours by label, or a name that mmdet knows.
        max_side: Longer side of larger images, px; default as they are.
    """

    def __init__(
        self, classes: Sequence[str], palette: Any, *, max_side: int | None = None
    ) -> None:
        self._max_side = max_side
        # Not get_instance: the process's visualizer belongs to runners.
        self._visualizer = _KeepingVisualizer(name="inference")
        self._visualizer.dataset_meta = dict(classes=classes, palette=palette)

    def paint(self, image: np.ndarray, found: InstanceData) -> np.ndarray:
        """Return a painted copy; enlarged by a whole factor if it is under ``READABLE``.

        Args:
            image: ``(H, W, 3)`` uint8, BGR.
            found: ``bboxes`` x1, y1, x2, y2 in pixels of ``image``, ``scores`` and ``labels``,
                all of which are painted.
        """
        side = max(image.shape[:2])
        factor: float = -(-READABLE // side)
        if self._max_side is not None and side > self._max_side:
            factor = self._max_side / side
        scaled = InstanceData(
            bboxes=found.bboxes * factor, scores=found.scores, labels=found.labels
        )
        canvas = _resized(image, factor)
        self._visualizer.line_width = max(1, round(max(canvas.shape[:2]) / LINE_SHARE))
        self._visualizer.add_datasample(
            "image",
            canvas[..., ::-1],
            DetDataSample(pred_instances=scaled),
            draw_gt=False,
            pred_score_thr=-1,  # they were chosen already
        )
        return np.ascontiguousarray(self._visualizer.painted[..., ::-1])


class _KeepingVisualizer(DetLocalVisualizer):
    """Keep what was painted; ``get_image`` would paint it once more, in as much time."""

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Keep ``image``, RGB."""
        self.painted = image


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)
