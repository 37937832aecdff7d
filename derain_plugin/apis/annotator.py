"""Annotated images: boxes and masks of one detector, or of several beside each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData

from derain_plugin.apis.base_predictor import BasePredictor, select
from derain_plugin.visualization import MaskedImage, draw_mask_panels

READABLE = 320  # px, longer side: on smaller images labels would cover the objects
LINE_SHARE = 200  # of the longer side: the width of a line
GAP = 4  # px, between views
FONT = cv2.FONT_HERSHEY_SIMPLEX
MASKED_SIDE = 640  # px, longer side of each panel: masks are coarse, and there are several


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


@dataclass(frozen=True)
class View:
    """One detector's view of an image.

    Attributes:
        title: Of the detector.
        painted: ``(H, W, 3)`` uint8, BGR, with its detections.
        masked: Its rain masks, if they are wanted and it has some.
    """

    title: str
    painted: np.ndarray
    masked: MaskedImage | None = None


def arrange(views: Sequence[View]) -> np.ndarray:
    """Set views beside each other, or below each other if there are masks beside them.

    Returns:
        uint8, BGR. Several views have their titles above them; one alone has none, and is the
        painted image itself where it has no masks.
    """
    panels = [_with_masks(view) for view in views]
    if len(views) == 1:
        return panels[0]
    titled = [_titled(panel, view.title) for panel, view in zip(panels, views, strict=True)]
    if all(view.masked is None for view in views):
        return np.hstack([titled[0], *(_bordered(panel, left=GAP) for panel in titled[1:])])
    width = max(panel.shape[1] for panel in titled)
    return np.vstack([_bordered(panel, right=width - panel.shape[1]) for panel in titled])


def _with_masks(view: View) -> np.ndarray:
    if view.masked is None:
        return view.painted
    rgb = np.ascontiguousarray(view.painted[..., ::-1])
    panels = draw_mask_panels(rgb, view.masked.masks, strides=view.masked.strides)
    return np.ascontiguousarray(panels[..., ::-1])


def _titled(panel: np.ndarray, title: str) -> np.ndarray:
    scale = max(0.5, panel.shape[0] / 1000)  # grows with the image, however many masks
    (width, _), _ = cv2.getTextSize(title, FONT, scale, 1)
    header = round(50 * scale)
    framed = _bordered(panel, top=header)
    scale *= min(1, (panel.shape[1] - 8) / width)  # or its end would be cut off
    origin = (4, round(0.7 * header))
    cv2.putText(framed, title, origin, FONT, scale, (0, 0, 0), max(1, round(scale)), cv2.LINE_AA)
    return framed


def _bordered(panel: np.ndarray, *, top: int = 0, left: int = 0, right: int = 0) -> np.ndarray:
    return cv2.copyMakeBorder(panel, top, 0, left, right, cv2.BORDER_CONSTANT, value=[255] * 3)


class Annotator:
    """Detect, choose and paint.

    Args:
        detectors: Their views are shown in this order.
        score_thr: What scores less is left out.
        classes: Names of what is shown; default all.

    Attributes:
        seconds: By detector, what detecting has taken so far.

    Raises:
        ValueError: A detector does not have one of the classes.
    """

    def __init__(
        self,
        detectors: Sequence[BasePredictor],
        *,
        score_thr: float,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.detectors = detectors
        self.seconds = [0.0 for _ in detectors]
        self._score_thr = score_thr
        self._labels = [d.labels_of(classes) for d in detectors]
        side = MASKED_SIDE if any(d.records_masks for d in detectors) else None
        self._painters = [Painter(d.classes, d.palette, max_side=side) for d in detectors]

    def annotate(self, image: np.ndarray) -> tuple[np.ndarray, InstanceData]:
        """Return the annotated image, and what the first detector found.

        Args:
            image: ``(H, W, 3)`` uint8, BGR.
        """
        chosen = [self._detect(number, image) for number in range(len(self.detectors))]
        views = [
            View(detector.name, painter.paint(image, found), detector.take_masks())
            for detector, painter, found in zip(self.detectors, self._painters, chosen, strict=True)
        ]
        return arrange(views), chosen[0]

    def _detect(self, number: int, image: np.ndarray) -> InstanceData:
        start = time.perf_counter()
        found = self.detectors[number].detect(image)
        self.seconds[number] += time.perf_counter() - start
        return select(found, score_thr=self._score_thr, labels=self._labels[number])
