"""From images to annotated images, with one detector or several beside each other."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from mmengine.structures import InstanceData

from derain_plugin.apis.base_predictor import BaseDetector
from derain_plugin.apis.detector import select
from derain_plugin.apis.painter import Painter
from derain_plugin.apis.views import View, arrange

MASKED_SIDE = 640  # px, longer side of each panel: masks are coarse, and there are several


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
        detectors: Sequence[BaseDetector],
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
