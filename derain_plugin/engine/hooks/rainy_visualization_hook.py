"""Drawn detections of a test whose conditions share their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.runner import Runner
from torch import Tensor

from derain_plugin.visualization import ImageNames, file_area


@HOOKS.register_module()
class RainyVisualizationHook(DetVisualizationHook):
    """In a test, paint detections on the image that the detector saw, rain included.

    mmdet's hook paints on the file, which rendered rain never reached, under the file's name,
    so that each condition would overwrite the one before. Here the image is the pipeline's,
    in the file's size, and its name says the condition: ``street_severity_3.jpg``. Pipelines
    must load BGR, as ``LoadImageFromFile`` does. Arguments, and what is shown in validation,
    are mmdet's.
    """

    def before_test_epoch(self, runner: Runner) -> None:
        """Start naming."""
        self._names = ImageNames(runner)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[DetDataSample]
    ) -> None:
        """Paint the images of a batch."""
        if not self.draw:
            return
        for image, sample in zip(data_batch["inputs"], outputs, strict=True):
            self._test_index += 1
            name = self._names.name_next(sample.img_path)
            if name is not None:
                self._visualizer.add_datasample(
                    name if self.show else "test_img",
                    _as_rgb(image, sample),
                    data_sample=sample,
                    show=self.show,
                    wait_time=self.wait_time,
                    pred_score_thr=self.score_thr,
                    out_file=self._out_file(runner, name),
                    step=self._test_index,
                )

    def _out_file(self, runner: Runner, name: str) -> str | None:
        if self.test_out_dir is None:
            return None
        folder = Path(runner.work_dir, runner.timestamp, self.test_out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder / f"{name}.jpg")


def _as_rgb(image: Tensor, sample: DetDataSample) -> np.ndarray:
    """Undo padding and resizing: predictions are in pixels of the file."""
    rows, columns = file_area(sample)
    image = image[:, :rows, :columns]
    bgr = image.detach().cpu().clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    height, width = sample.ori_shape
    return cv2.resize(np.ascontiguousarray(bgr[..., ::-1]), (width, height))
