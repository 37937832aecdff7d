"""The training of a de-rain neck in a frozen detector, by mmengine's ``Runner``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from torch import Tensor
from torch.utils.data import DataLoader

from derain_plugin.adapting.dense_outputs import DenseOutput
from derain_plugin.adapting.detection_loss import detection_loss
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.losses import LossWeights, adaptation_losses
from derain_plugin.adapting.progress import LossHistory
from derain_plugin.adapting.renderers import Renderer
from derain_plugin.adapting.twins import RainyTwins, RoundSampler
from derain_plugin.engine.safety import install

DEPRECATED = ('"FileClient"', '"HardDiskBackend"')
ROUND = 50  # iterations between two checkpoints, at most
CROP, CLEAN_SHARE = 0.6, 0.5
"""Shares of the sides that crops may lose and of the samples without rain: docs/real_rain.md."""


@dataclass(frozen=True)
class Schedule:
    """What a training does; with the same photos and detector it gives the same neck.

    Attributes:
        iterations: Steps of the optimizer.
        batch_size: Photos of a step.
        lr: Learning rate of AdamW, which falls to 0 along half a cosine.
        weight_decay: Of AdamW.
        severity: Mildest and worst rain.
        clean_share: Of the samples that stay clean.
        crop: Up to which share of both sides is cut off half of the photos.
        distort: Whether colours change at random, of the rainy and the clean image alike.
        seed: Of everything that is drawn.
        amp: Whether to compute in mixed precision: fp16 on CUDA, bf16 on CPU.
        weights: Of the parts of the loss.
        early: Modules of the backbone that have a block.
        image_filter: Whether a filter in front of the backbone trains, too.

    Raises:
        ValueError: A count that is none, a learning rate that is not positive, a crop outside its
            range.
    """

    iterations: int
    batch_size: int = 8
    lr: float = 1e-3
    weight_decay: float = 1e-4
    severity: tuple[int, int] = (1, 5)
    clean_share: float = CLEAN_SHARE
    crop: float = CROP
    distort: bool = True
    seed: int = 0
    amp: bool = False
    labels: bool = False
    weights: LossWeights = field(default_factory=LossWeights)
    early: tuple[str, ...] = ()
    image_filter: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("iterations", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        if not 0 <= self.crop < 1:
            raise ValueError(f"crop must be from 0 to below 1, got {self.crop}")

    def record(self) -> dict[str, Any]:
        """Return it as json takes it."""
        return asdict(self) | dict(severity=list(self.severity), early=list(self.early))


class Adaptation(BaseModel):
    """The de-rain blocks as mmengine trains them: the detector around is no part of this model.

    So neither ``train()`` nor the optimizer nor a checkpoint ever reaches the detector.

    Args:
        detector: With its de-rain neck.
        weights: Of the parts of the loss.
    """

    def __init__(self, detector: FrozenDetector, weights: LossWeights) -> None:
        super().__init__()
        for name, block in detector.blocks.items():
            self.add_module(name, block)
        self._detector = (detector,)  # in a tuple it is no submodule
        self._weights = weights

    def forward(
        self,
        rainy: Any,
        clean: Any,
        severity: Sequence[int],
        objects: Sequence[InstanceData] | None = None,
        mode: str = "loss",
    ) -> dict[str, Tensor]:
        """Return the losses of collated samples; with ``objects`` that of detection, too.

        Raises:
            ValueError: Another ``mode``; predictions are the detector's.
        """
        if mode != "loss":
            raise ValueError(f"mode must be 'loss', got {mode!r}: ask the detector itself")
        with self._detector[0].norms_in_convs():
            return self._losses(rainy, clean, severity, objects)

    def _losses(
        self,
        rainy: Any,
        clean: Any,
        severity: Sequence[int],
        objects: Sequence[InstanceData] | None,
    ) -> dict[str, Tensor]:
        detector = self._detector[0]
        images, _ = detector.preprocess(rainy)
        targets, samples = detector.preprocess(clean)
        if detector.changes_backbone:
            student, teacher = self._extract_apart(images, targets, samples)
        else:
            student, teacher = self._extract(images, targets, torch.tensor(severity) > 0)
        target, context = self._teach(teacher, samples)
        with detector.valid_area(samples):
            read = self._read(student, context)
        losses = adaptation_losses(read, target, self._weights)
        if objects is not None:
            losses["loss_detection"] = self._weights.detection * detection_loss(
                detector.model, images, read[0], samples, objects
            )
        return losses

    def _extract(
        self, images: Tensor, targets: Tensor, is_rainy: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the features of both batches; a clean image goes through the backbone once."""
        batch = torch.cat([images[is_rainy], targets]).contiguous(
            memory_format=torch.channels_last  # a third faster in a frozen CSPDarknet on a CPU
        )
        count = int(is_rainy.sum())
        feats = self._detector[0].extract(batch)
        teacher = tuple(feat[count:] for feat in feats)
        student = tuple(feat.clone() for feat in teacher)
        for into, feat in zip(student, feats, strict=True):
            into[is_rainy] = feat[:count]
        return student, teacher

    def _extract_apart(
        self, images: Tensor, targets: Tensor, samples: Any
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the same where what the backbone makes of any image is changed."""
        detector, layout = self._detector[0], torch.channels_last
        with torch.no_grad(), detector.plain():
            teacher = detector.extract(targets.contiguous(memory_format=layout))
        with detector.valid_area(samples):
            student = detector.extract(images.contiguous(memory_format=layout))
        return student, teacher

    def to(self, *_: Any, **__: Any) -> Adaptation:
        """Stay where the detector is: mmengine moves every model to the best device there is."""
        return self

    @torch.no_grad()
    def _teach(self, feats: Sequence[Tensor], samples: Any) -> tuple[Any, Any]:
        detector = self._detector[0]
        with detector.plain():
            encoded = detector.encode(feats)
            context = detector.context(encoded, samples)
            return (encoded, self._outputs(encoded, context)), context

    def _read(self, feats: Sequence[Tensor], context: Any) -> tuple[Any, Any]:
        encoded = self._detector[0].encode(feats)
        return encoded, self._outputs(encoded, context)

    def _outputs(self, encoded: Sequence[Tensor], context: Any) -> list[DenseOutput]:
        if not (self._weights.classes or self._weights.boxes):
            return []
        return self._detector[0].outputs(encoded, context)


def train(
    detector: FrozenDetector,
    photos: Sequence[Path],
    schedule: Schedule,
    *,
    work_dir: Path,
    resume: bool = False,
    workers: int = 0,
    renderer: Renderer = "ours",
    labels: Mapping[Path, InstanceData] | None = None,
    hooks: Sequence[Hook] = (),
) -> list[dict[str, float]]:
    """Train the de-rain neck of ``detector`` in place.

    A training that was killed and resumed ends as one that was not, bitwise on the CPU.

    Args:
        detector: Frozen, with a de-rain neck.
        photos: To train on.
        schedule: What to do.
        work_dir: For checkpoints, some hundred KB each, and logs.
        resume: Whether to go on from the last checkpoint in ``work_dir``, if there is one.
        workers: Processes that prepare samples; changes no result.
        renderer: Of the rain, see :func:`~derain_plugin.adapting.renderers.rain_of`.
        labels: Of the photos, which adds the detector's own loss; see :class:`RainyTwins`.
        hooks: More of mmengine's hooks, such as one that shows progress.

    Returns:
        Mean losses of each round, of those that this call did.
    """
    twins = RainyTwins(
        photos, detector.prepare, num_samples=schedule.iterations * schedule.batch_size,
        seed=schedule.seed, severity=schedule.severity, clean_share=schedule.clean_share,
        crop=schedule.crop, distort=schedule.distort, renderer=renderer, labels=labels,
    )  # fmt: skip
    sampler = RoundSampler(len(twins), ROUND * schedule.batch_size)
    loader = DataLoader(
        twins, schedule.batch_size, sampler=sampler, num_workers=workers,
        collate_fn=pseudo_collate, worker_init_fn=_init_worker if workers else None,
    )  # fmt: skip
    history = LossHistory()
    settings = _runner_settings(schedule, sampler.num_rounds, detector.device.type)
    with install():
        runner = Runner(
            model=Adaptation(detector, schedule.weights),
            work_dir=str(work_dir),
            train_dataloader=loader,
            custom_hooks=[history, *hooks],
            resume=resume,
            experiment_name=f"adaptation_{time.time_ns()}",  # mmengine refuses a second of a name
            **settings,
        )
        _run(runner)
    return history.rounds


def _run(runner: Runner) -> None:
    # mmengine warns of its own hook's ways each time.
    runner.logger.addFilter(lambda record: not record.getMessage().startswith(DEPRECATED))
    try:
        runner.train()
    finally:  # mmengine would take it for the visualizer of later runs
        Visualizer._instance_dict.pop(runner.experiment_name, None)


def _init_worker(worker_id: int) -> None:
    worker_init_fn(worker_id, num_workers=1, rank=0, seed=0)  # the twins seed themselves


def _runner_settings(schedule: Schedule, num_rounds: int, device: str) -> dict[str, Any]:
    wrapper: dict[str, Any] = dict(type="OptimWrapper")
    if schedule.amp:
        is_cpu = device == "cpu"
        wrapper = dict(type="BF16OptimWrapper" if is_cpu else "AmpOptimWrapper")
        wrapper |= {} if is_cpu else dict(loss_scale="dynamic")
    return dict(
        train_cfg=dict(by_epoch=True, max_epochs=num_rounds, val_interval=num_rounds + 1),
        optim_wrapper=dict(
            optimizer=dict(type="AdamW", lr=schedule.lr, weight_decay=schedule.weight_decay),
            clip_grad=dict(max_norm=1.0),
            **wrapper,
        ),
        param_scheduler=dict(
            type="CosineAnnealingLR", by_epoch=False, T_max=schedule.iterations, eta_min=0.0
        ),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type="CrashSafeCheckpointHook", interval=1, max_keep_ckpts=1),
            sampler_seed=dict(type="EpochSeedHook"),
            skip_non_finite=dict(type="SkipNonFiniteHook"),
        ),
        default_scope="mmdet",
        randomness=dict(seed=schedule.seed),
        log_level="WARNING",
    )
