"""What two detectors find in one image, in rain."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from mmengine.structures import InstanceData

from derain_plugin.apis import Detector
from derain_plugin.apis.annotator import Painter, View, arrange
from derain_plugin.apis.base_predictor import select
from derain_plugin.app.images import shrink_to
from derain_plugin.rain import render_rain
from derain_plugin.visualization import MaskedImage, RainMaskRecorder, crop_to_file

MAX_SIDE = 1280  # px; rain, painting and sending of larger images would not be live
RAIN_SEED = 0  # one for all: the severities of an image share their streaks


@dataclass(frozen=True)
class Result:
    """One detector's view of an image.

    Attributes:
        view: Title, painted image and rain masks, if there are some.
        found: What is painted, in pixels of the image: ``bboxes`` ``(n, 4)`` x1, y1, x2, y2,
            ``scores`` ``(n,)`` and ``labels`` ``(n,)``.
        seconds: That detecting took, from pixels to boxes.
    """

    view: View
    found: InstanceData
    seconds: float


class Comparison:
    """Render rain, and detect in it with two detectors.

    Args:
        vanilla: Shown first.
        derained: Shown second. If it has a ``DerainNeck``, where that sees rain is shown, too.

    Attributes:
        detectors: The two.
    """

    def __init__(self, vanilla: Detector, derained: Detector) -> None:
        self.detectors = (vanilla, derained)
        self._painters = [Painter(d.classes, d.palette) for d in self.detectors]
        self._recorder: RainMaskRecorder | None
        try:
            self._recorder = RainMaskRecorder(derained.model)
        except ValueError:  # de-rained in another way: SPDNet, early blocks, plain fine-tuning
            self._recorder = None

    @property
    def shows_masks(self) -> bool:
        """Whether there are rain masks to show."""
        return self._recorder is not None

    def detect(
        self, image: np.ndarray, *, severity: int, score_thr: float
    ) -> tuple[Result, Result]:
        """Return what the two find.

        Args:
            image: ``(H, W, 3)`` uint8, BGR, without rain. Larger ones than ``MAX_SIDE`` are
                shrunk first.
            severity: Of the rain, 0 (none) to 5.
            score_thr: What scores less is left out, 0-1.

        Raises:
            ValueError: ``severity`` or ``score_thr`` is out of range.
        """
        if not 0 <= score_thr <= 1:
            raise ValueError(f"the score threshold must be in 0-1, got {score_thr}")
        image = shrink_to(image, side=MAX_SIDE)
        rainy = render_rain(image, severity, seed=RAIN_SEED)
        first, second = (self._detect(n, rainy, score_thr=score_thr) for n in (0, 1))
        if self._recorder is None:
            return first, second
        view = View(second.view.title, second.view.painted, self._masks(rainy, self._recorder))
        return first, Result(view, second.found, second.seconds)

    def _detect(self, number: int, rainy: np.ndarray, *, score_thr: float) -> Result:
        detector = self.detectors[number]
        start = time.perf_counter()
        found = detector.detect(rainy)
        seconds = time.perf_counter() - start
        found = select(found, score_thr=score_thr, labels=detector.labels_of(None))
        return Result(
            View(detector.name, self._painters[number].paint(rainy, found)), found, seconds
        )

    def _masks(self, rainy: np.ndarray, recorder: RainMaskRecorder) -> MaskedImage:
        """Detect once more: recording costs time, which is not the detector's latency."""
        recorder.start()
        try:
            self.detectors[1].detect(rainy)
        finally:
            recorder.stop()
        return crop_to_file(recorder.take()[0])


def side_by_side(results: tuple[Result, Result]) -> np.ndarray:
    """Return both views in one image: uint8, BGR."""
    return arrange([one.view for one in results])
