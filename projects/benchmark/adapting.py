"""A step of adapting beside the detector's own supervised training step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.adapting.front_filter import build_filter
from derain_plugin.adapting.frozen_detector import FrozenDetector, freeze
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import CROP, Adaptation
from derain_plugin.adapting.twins import RainyTwins
from projects.benchmark.inference import median_interval
from projects.benchmark.timing import Run, times_in_turns

BOXES = 7  # per image; COCO's mean
SUPERVISED = "supervised"


def measure_adapting(
    model: Any, prepare: Any, photos: Sequence[Path], *, batch_size: int, rounds: int
) -> dict[str, Any]:
    """Measure images per second of whole steps, in turns.

    Adapting counts reading photos, rain and both passes; it is a step of ``derain-adapt`` with its
    defaults, and one without the image filter. The supervised step of the same detector, every
    weight of which trains, counts neither reading nor rain; it sees the rainy images of the step
    before, with boxes that are drawn.

    Args:
        model: Of mmdet, built with its ``train_cfg``.
        prepare: What makes a packed sample of an image.
        photos: At least one.
        batch_size: Images of a step.
        rounds: How often each is timed.

    Returns:
        ``images_per_second`` by step, and by kind of adapting ``relative``: its rate over
        supervised training's, with a 95 % interval (median of paired ratios, bootstrap).
    """
    others = {name: copy.deepcopy(model) for name in ("without the filter", SUPERVISED)}
    steps = {
        name: _Adapting(
            freeze(each, prepare, image_filter=build_filter(each, prepare) if has_filter else None),
            RainyTwins(
                photos, prepare, num_samples=(rounds + 2) * batch_size, crop=CROP, distort=True
            ),
            batch_size,
        )
        for name, each, has_filter in (
            ("adapting", model, True),
            ("without the filter", others["without the filter"], False),
        )
    }
    supervised = _Supervised(others[SUPERVISED].train(), steps["without the filter"])
    runs: list[Run] = [*(step.run for step in steps.values()), supervised.run]
    device = next(model.parameters()).device
    wait: Run = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    found = np.array(times_in_turns([[r] for r in runs], rounds=rounds, synchronize=wait))[:, 0]
    times = dict(zip([*steps, SUPERVISED], found, strict=True))
    ratios = {name: times[SUPERVISED] / times[name] for name in steps}
    return dict(
        rounds=rounds,
        batch_size=batch_size,
        images_per_second={
            name: 1000 * batch_size / float(np.median(each)) for name, each in times.items()
        },
        relative={name: float(np.median(ratio)) for name, ratio in ratios.items()},
        relative_interval={name: median_interval(ratio) for name, ratio in ratios.items()},
    )


class _Adapting:
    """Steps of ``derain-adapt``; ``rainy`` are the images of the last one."""

    def __init__(self, detector: FrozenDetector, twins: RainyTwins, batch_size: int) -> None:
        twins.set_run_seed(0)
        self.detector, self.rainy = detector, None
        self._twins, self._batch_size, self._next = twins, batch_size, 0
        self._adaptation = Adaptation(detector, LossWeights())
        self._optimizer = _optimizer(self._adaptation)

    def run(self) -> None:
        first = self._next
        self._next += self._batch_size
        batch = pseudo_collate([self._twins[index] for index in range(first, self._next)])
        self.rainy = batch["rainy"]
        _update(self._optimizer, sum(self._adaptation(**batch).values()))


class _Supervised:
    """Training steps of the detector itself on the images that adapting has just had."""

    def __init__(self, model: Any, adapting: _Adapting) -> None:
        self._model, self._adapting, self._optimizer = model, adapting, _optimizer(model)

    def run(self) -> None:
        images, samples = self._adapting.detector.preprocess(self._adapting.rainy)
        for sample in samples:
            sample.gt_instances = _boxes(images)
            sample.ignored_instances = sample.gt_instances[:0]
        losses = self._model.loss(images, samples)
        _update(self._optimizer, self._model.parse_losses(losses)[0])


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)


def _update(optimizer: torch.optim.Optimizer, loss: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _boxes(images: Tensor) -> InstanceData:
    height, width = images.shape[-2:]
    corners = torch.rand(BOXES, 2) * 0.6
    sizes = torch.rand(BOXES, 2) * 0.3 + 0.05
    boxes = torch.cat([corners, corners + sizes], 1) * torch.tensor([width, height] * 2)
    return InstanceData(
        bboxes=boxes.to(images.device), labels=torch.zeros(BOXES).long().to(images.device)
    )
