"""What the de-rain neck takes for rain in each test image, as files."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from derain_plugin.files import atomic_write
from derain_plugin.visualization import (
    ImageNames,
    MaskedImage,
    RainMaskRecorder,
    crop_to_file,
    draw_mask_panels,
)


@HOOKS.register_module()
class RainMaskSavingHook(Hook):
    """In a test, write each image with its rain masks to a JPEG.

    Image ``street.png`` gives ``street_severity_3_masks.jpg``, named after the test condition
    (``CleanRainEvaluator.dataset_prefixes``), or ``street_masks.jpg`` where there is but one.
    They show the rain that the detector saw, in the proportions of the file and at most as large
    as the detector's input.

    Args:
        out_dir: Folder, under ``<work dir>/<timestamp>/`` unless absolute, as
            ``RainyVisualizationHook`` has it.

    Raises:
        ValueError: At the start of a test, the detector has no ``DerainNeck``.
    """

    priority = "LOW"  # after EMAHook, which swaps its weights in before a test

    def __init__(self, out_dir: str | Path) -> None:
        self.out_dir = Path(out_dir)
        self._recorder: RainMaskRecorder | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Listen to the detector."""
        self._recorder = RainMaskRecorder(runner.model)
        self._recorder.start()
        self._names = ImageNames(runner)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write the images of a batch."""
        if self._recorder is None:
            return
        folder = Path(runner.work_dir, runner.timestamp, self.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for seen in map(crop_to_file, self._recorder.take()):
            name = self._names.name_next(seen.sample.img_path)
            if name is not None:
                atomic_write(folder / f"{name}_masks.jpg", _as_jpeg(seen))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Listen no more."""
        if self._recorder is not None:
            self._recorder.stop()


def _as_jpeg(seen: MaskedImage) -> bytes:
    image = _in_proportion(seen.image, seen.sample.ori_shape)
    panels = draw_mask_panels(image, seen.masks, strides=seen.strides)
    return cv2.imencode(".jpg", panels[..., ::-1])[1].tobytes()


def _in_proportion(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Undo the resizing to one size, but not to more pixels."""
    height, width = shape
    scale = max(image.shape[:2]) / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
