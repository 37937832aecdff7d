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

from derain_plugin.adapting.frozen_detector import FrozenDetector, freeze
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins
from projects.benchmark.inference import median_interval
from projects.benchmark.timing import Run, times_in_turns

BOXES = 7  # per image; COCO's mean


def measure_adapting(
    model: Any, prepare: Any, photos: Sequence[Path], *, batch_size: int, rounds: int
) -> dict[str, Any]:
    """Measure images per second of whole steps on the same rainy images, in turns.

    Adapting counts reading photos, rain and both passes; it is a step of ``derain-adapt``. The
    supervised step of the same detector, every weight of which trains, counts neither reading nor
    rain; it sees each image once, with boxes that are drawn.

    Args:
        model: Of mmdet, built with its ``train_cfg``.
        prepare: What makes a packed sample of an image.
        photos: At least one.
        batch_size: Images of a step.
        rounds: How often each is timed.

    Returns:
        ``images_per_second`` by step, and ``relative``: adapting's rate over supervised training's,
        with a 95 % interval (median of paired ratios, bootstrap).
    """
    supervised = copy.deepcopy(model).train()
    detector = freeze(model, prepare)
    twins = RainyTwins(photos, prepare, num_samples=(rounds + 2) * batch_size)
    twins.set_run_seed(0)
    steps = _Steps(detector, supervised, twins, batch_size)
    arms = [[steps.adapt], [steps.supervise]]
    is_cuda = detector.device.type == "cuda"
    wait: Run = torch.cuda.synchronize if is_cuda else lambda: None
    adapting, training = np.array(times_in_turns(arms, rounds=rounds, synchronize=wait))[:, 0]
    ratios = training / adapting
    rates = {
        name: 1000 * batch_size / float(np.median(times))
        for name, times in (("adapting", adapting), ("supervised", training))
    }
    return dict(
        rounds=rounds,
        batch_size=batch_size,
        images_per_second=rates,
        relative=float(np.median(ratios)),
        relative_interval=median_interval(ratios),
    )


class _Steps:
    """Both steps; the supervised one takes the images that adapting has just had."""

    def __init__(
        self, detector: FrozenDetector, supervised: Any, twins: RainyTwins, batch_size: int
    ) -> None:
        self._detector, self._supervised = detector, supervised
        self._twins, self._batch_size, self._next = twins, batch_size, 0
        self._adaptation = Adaptation(detector, LossWeights())
        self._optimizers = [_optimizer(self._adaptation), _optimizer(supervised)]
        self._rainy: Any = None

    def adapt(self) -> None:
        first = self._next
        self._next += self._batch_size
        batch = pseudo_collate([self._twins[index] for index in range(first, self._next)])
        self._rainy = batch["rainy"]
        _update(self._optimizers[0], sum(self._adaptation(**batch).values()))

    def supervise(self) -> None:
        images, samples = self._detector.preprocess(self._rainy)
        for sample in samples:
            sample.gt_instances = _boxes(images)
            sample.ignored_instances = sample.gt_instances[:0]
        losses = self._supervised.loss(images, samples)
        _update(self._optimizers[1], self._supervised.parse_losses(losses)[0])


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
