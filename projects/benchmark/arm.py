"""A detector of a config, with and without its de-rain part, ready to be timed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from derain_plugin.config import load_config
from projects.benchmark.derain_part import find_part
from projects.benchmark.resources import (
    count_flops,
    count_parameters,
    peak_bytes,
    weight_bytes,
)
from projects.benchmark.setting import Setting
from projects.benchmark.timing import Run


def build_detector(config: str | Path, setting: Setting) -> nn.Module:
    """Build the model of a config with random weights, which cost what trained ones do."""
    cfg = load_config(config)
    init_default_scope(cfg.get("default_scope", "mmdet"))
    model = MODELS.build(cfg.model).to(setting.device)
    return model.to(memory_format=torch.channels_last) if setting.channels_last else model


class Arm:
    """One detector in a benchmark.

    It runs as in a test: from uint8 images to boxes in pixels, data preprocessor included.
    Without its de-rain part it is the same detector in the same memory: the part is taken out
    and put back.

    Args:
        config: A detection config; a ``DerainNeck``, an ``early_derain`` of its backbone or a
            ``PixelDerainDataPreprocessor`` in it is the de-rain part, or several together.
        setting: Circumstances.

    Attributes:
        name: File name of the config, without suffix.
        derain: Class name of the de-rain part; None without one.
    """

    def __init__(self, config: str | Path, setting: Setting) -> None:
        self.name = Path(config).stem
        self._setting = setting
        self._batch = setting.draw_batch()
        self._model: Any = build_detector(config, setting).eval().requires_grad_(False)
        self._part: Any = find_part(self._model)
        self.derain = self._part.title if self._part else None
        if self._part:
            with torch.inference_mode(), setting.autocast():
                self._derain = self._part.alone(self._model, self._batch)

    @property
    def runs(self) -> list[Run]:
        """What to time, see ``summarise``.

        The first call brings the caches into the same state for all that follow; runs without
        the part surround the one with it, so that a steady drift cancels.
        """
        if self._part is None:
            return [self.run, self.run]
        return [self.run_without, self.run_without, self.run, self.run_without, self.run_alone]

    def timed_inside(self) -> AbstractContextManager[list[float]]:
        """Note for a while how long the de-rain neck takes in each run with it, in milliseconds."""
        return self._part.timed()

    def count(self) -> dict[str, float]:
        """Return parameters and GFLOPs per image, of all and of the de-rain part."""
        found = dict(parameters=count_parameters(self._model), gflops=self._gflops(self.run))
        if self._part:
            found["derain_parameters"] = count_parameters(self._part.module)
            found["derain_gflops"] = self._gflops(self.run_alone)
        return found

    def peak_megabytes(self) -> dict[str, float]:
        """Return the peak of memory (MB): weights and all else, and the de-rain part's own.

        Of the part only what it allocates while it runs alone: neither weights nor its input.
        """
        device = torch.device(self._setting.device)
        whole = weight_bytes(self._model) + peak_bytes(self.run, device)
        found = dict(memory_mb=whole / 1e6)
        if self._part:
            found["derain_memory_mb"] = peak_bytes(self.run_alone, device) / 1e6
        return found

    def compile(self) -> None:
        """Compile what computes: the detector's children, and the de-rain part by itself."""
        children = [m for n, m in self._model.named_children() if n != "data_preprocessor"]
        if self._part:
            children += self._part.computing
        for child in children:
            child.compile(dynamic=False)

    @torch.inference_mode()
    def run(self) -> object:
        """Detect."""
        with self._setting.autocast():
            return self._model.test_step(self._batch)

    def run_without(self) -> object:
        """Detect without de-raining."""
        with self._part.taken_out():
            return self.run()

    @torch.inference_mode()
    def run_alone(self) -> object:
        """De-rain what the detector gives the de-rain part."""
        with self._setting.autocast():
            return self._derain()

    def _gflops(self, run: Run) -> float:
        return count_flops(run) / self._setting.batch_size / 1e9
