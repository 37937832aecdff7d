"""Training throughput beside transformers' own model, in turns in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from torch import nn

from derain_plugin.models.detectors import RTDETR
from derain_plugin.models.rtdetr.family import family_of
from projects.benchmark.arm import build_detector
from projects.benchmark.derain_part import find_part
from projects.benchmark.inference import median_interval
from projects.benchmark.setting import Setting
from projects.benchmark.timing import Run, times_in_turns
from projects.benchmark.transformers_arm import transformers_twin

BOXES = 7  # per image; COCO's mean


def measure_training(
    configs: Sequence[str | Path],
    setting: Setting,
    *,
    rounds: int,
    tell: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Measure images per second of whole training steps: forward, losses, backward, AdamW.

    All get the same images and boxes, at one size; everything trains. Transformers' model has
    the architecture and the weights of the first config's, and gets images that are normalised
    already.

    Args:
        configs: Configs of RT-DETRs.
        setting: Circumstances.
        rounds: How often each is timed.
        tell: Gets a line of progress at a time.

    Returns:
        A row for transformers' model and one per config: ``images_per_second``, and ``relative``
        to transformers' with a 95 % interval (medians of paired ratios, bootstrap).

    Raises:
        ValueError: A config has no RT-DETR.
    """
    models = []
    for config in configs:
        tell(f"{config}: build")
        models.append(_build_rtdetr(config, setting))
    theirs = family_of(models[0].bbox_head.detr.config).detector.__name__
    rows: list[dict[str, Any]] = [dict(model=f"transformers {theirs}", derain=None)]
    for config, model in zip(configs, models, strict=True):
        part = find_part(model)
        derain = part.title if part else None
        rows.append(dict(model=Path(config).stem, derain=derain))
    steps = [_transformers_step(models[0], setting), *(_step(m, setting) for m in models)]
    tell(f"{rounds} rounds of training steps")
    found = times_in_turns(
        [[step] for step in steps], rounds=rounds, synchronize=setting.synchronize
    )
    times = np.array(found)[:, 0]  # arms, rounds
    for row, mine in zip(rows, times, strict=True):
        rates = times[0] / mine
        row |= dict(
            rounds=rounds,
            images_per_second=1000 * setting.batch_size / float(np.median(mine)),
            relative=float(np.median(rates)),
            relative_interval=median_interval(rates),
        )
    return rows


def _build_rtdetr(config: str | Path, setting: Setting) -> Any:
    model = build_detector(config, setting).train()
    if not isinstance(model, RTDETR):
        raise ValueError(
            f"--train compares with transformers' RT-DETR, but {config} is a "
            f"{type(model).__name__}: name configs of RTDETR"
        )
    # Its multi-scale sizes would be another work load in every step.
    model.data_preprocessor.batch_augments = None
    return model


def _step(model: Any, setting: Setting) -> Run:
    optimizer = _wrap_optimizer(model)
    batch = setting.draw_batch()
    batch["data_samples"] = _draw_samples(setting)

    def step() -> None:
        with setting.autocast():
            data = model.data_preprocessor(batch, training=True)
            loss, _ = model.parse_losses(model(**data, mode="loss"))
        optimizer.update_params(loss)

    return step


def _transformers_step(model: Any, setting: Setting) -> Run:
    twin = transformers_twin(model).train()
    optimizer = _wrap_optimizer(twin)
    images = torch.stack(setting.draw_batch()["inputs"]).to(setting.device).flip(1) / 255
    labels = [_to_label(sample, setting) for sample in _draw_samples(setting)]

    def step() -> None:
        with setting.autocast():
            loss = twin(pixel_values=images, labels=labels).loss
        optimizer.update_params(loss)

    return step


def _wrap_optimizer(model: nn.Module) -> OptimWrapper:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    return OptimWrapper(optimizer, clip_grad=dict(max_norm=0.1))


def _draw_samples(setting: Setting) -> list[DetDataSample]:
    samples = setting.draw_batch()["data_samples"]
    generator = torch.Generator().manual_seed(0)
    for sample in samples:
        corners = torch.rand(BOXES, 2, generator=generator) * 0.6
        sizes = torch.rand(BOXES, 2, generator=generator) * 0.3 + 0.05
        boxes = torch.cat([corners, corners + sizes], 1) * setting.size
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros(BOXES).long())
    return samples


def _to_label(sample: DetDataSample, setting: Setting) -> dict[str, torch.Tensor]:
    boxes = bbox_xyxy_to_cxcywh(sample.gt_instances.bboxes / setting.size)
    labels = sample.gt_instances.labels
    return dict(class_labels=labels.to(setting.device), boxes=boxes.to(setting.device))
