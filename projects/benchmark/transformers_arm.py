"""Transformers' own detector, ready to be timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, RTDetrImageProcessorPil

from derain_plugin.hf.hf_checkpoint import to_mmdet_keys
from derain_plugin.models import RTDETR
from derain_plugin.models.rtdetr.family import family_of
from projects.benchmark.arm import build_detector
from projects.benchmark.resources import (
    count_flops,
    count_parameters,
    peak_bytes,
    weight_bytes,
)
from projects.benchmark.setting import Setting
from projects.benchmark.timing import Run


class TransformersArm:
    """The vanilla detector of transformers in eager mode, with its own post-processing.

    From uint8 images to boxes in pixels as an ``Arm``; 0-1 is all the preprocessing it gets.

    Args:
        config: Of an RT-DETR, whose architecture it has; without a de-rain neck.
        setting: Circumstances.

    Attributes:
        name: What transformers calls it.
        derain: None.

    Raises:
        ValueError: ``config`` has no RT-DETR.
    """

    def __init__(self, config: str | Path, setting: Setting) -> None:
        model = build_detector(config, setting)
        if not isinstance(model, RTDETR):
            raise ValueError(f"{config} has a {type(model).__name__}, but RTDETR is compared with")
        self._setting = setting
        self._model = transformers_twin(model).eval().requires_grad_(False)
        self.name, self.derain = f"transformers {type(self._model).__name__}", None
        self._processor = RTDetrImageProcessorPil()
        batch = setting.draw_batch()
        self._images = torch.stack(batch["inputs"])
        self._sizes = [sample.ori_shape for sample in batch["data_samples"]]

    @property
    def runs(self) -> list[Run]:
        """What to time, see ``summarise``."""
        return [self.run, self.run]

    def count(self) -> dict[str, float]:
        """Return parameters and GFLOPs per image."""
        gflops = count_flops(self.run) / self._setting.batch_size / 1e9
        return dict(parameters=count_parameters(self._model), gflops=gflops)

    def peak_megabytes(self) -> dict[str, float]:
        """Return the peak of memory (MB): weights and all else."""
        peak = peak_bytes(self.run, torch.device(self._setting.device))
        return dict(memory_mb=(weight_bytes(self._model) + peak) / 1e6)

    def compile(self) -> None:
        """Do nothing: this is eager mode."""

    @torch.inference_mode()
    def run(self) -> object:
        """Detect."""
        with self._setting.autocast():
            pixels = self._images.to(self._setting.device).flip(1) / 255
            found = self._model(pixel_values=pixels)
        return self._processor.post_process_object_detection(
            found, threshold=0, target_sizes=self._sizes
        )


@torch.no_grad()
def transformers_twin(model: Any) -> PreTrainedModel:
    """Return transformers' model of the same architecture and weights, without a de-rain neck."""
    config = model.bbox_head.detr.config
    twin = family_of(config).detector(config)
    ours = {key.replace("neck.neck.", "neck."): w for key, w in model.state_dict().items()}
    for key, weight in to_mmdet_keys(twin.state_dict()).items():
        weight.copy_(ours[key])
    parameter = next(model.parameters())
    return twin.to(parameter.device)
