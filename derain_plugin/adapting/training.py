"""The training of a de-rain neck in a frozen detector, by mmengine's ``Runner``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from derain_plugin.adapting.dense_outputs import DenseOutput
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.losses import LossWeights, adaptation_losses
from derain_plugin.adapting.renderers import Renderer
from derain_plugin.adapting.twins import RainyTwins, RoundSampler
from derain_plugin.engine.safety import install

DEPRECATED = ('"FileClient"', '"HardDiskBackend"')
ROUND = 50  # iterations between two checkpoints, at most


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
        seed: Of everything that is drawn.
        amp: Whether to compute in mixed precision: fp16 on CUDA, bf16 on CPU.
        weights: Of the parts of the loss.

    Raises:
        ValueError: A count that is none, or a learning rate that is not positive.
    """

    iterations: int
    batch_size: int = 8
    lr: float = 1e-3
    weight_decay: float = 1e-4
    severity: tuple[int, int] = (1, 5)
    clean_share: float = 0.3
    seed: int = 0
    amp: bool = False
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("iterations", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")

    def record(self) -> dict[str, Any]:
        """Return it as json takes it."""
        return asdict(self) | {"severity": list(self.severity)}


class Adaptation(BaseModel):
    """The de-rain neck as mmengine trains it: the detector around it is no part of this model.

    So neither ``train()`` nor the optimizer nor a checkpoint ever reaches the detector.

    Args:
        detector: With its de-rain neck.
        weights: Of the parts of the loss.
    """

    def __init__(self, detector: FrozenDetector, weights: LossWeights) -> None:
        super().__init__()
        self.derain = detector.derain
        self._detector = (detector,)  # in a tuple it is no submodule
        self._weights = weights

    def forward(
        self, rainy: Any, clean: Any, severity: Sequence[int], mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Return the losses of collated samples.

        Raises:
            ValueError: Another ``mode``; predictions are the detector's.
        """
        if mode != "loss":
            raise ValueError(f"mode must be 'loss', got {mode!r}: ask the detector itself")
        detector = self._detector[0]
        images, _ = detector.preprocess(rainy)
        targets, samples = detector.preprocess(clean)
        student, teacher = self._extract(images, targets, torch.tensor(severity) > 0)
        target, context = self._teach(teacher, samples)
        with detector.valid_area(samples):
            read = self._read(student, context)
        return adaptation_losses(read, target, self._weights)

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
        hooks: More of mmengine's hooks, such as one that shows progress.

    Returns:
        Mean losses of each round, of those that this call did.
    """
    twins = RainyTwins(
        photos,
        detector.prepare,
        num_samples=schedule.iterations * schedule.batch_size,
        seed=schedule.seed,
        severity=schedule.severity,
        clean_share=schedule.clean_share,
        renderer=renderer,
    )
    sampler = RoundSampler(len(twins), ROUND * schedule.batch_size)
    loader = DataLoader(
        twins,
        schedule.batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=pseudo_collate,
        persistent_workers=False,
        worker_init_fn=_init_worker if workers else None,
    )
    history = _History()
    name = f"adaptation_{time.time_ns()}"  # mmengine refuses a second of a name
    settings = _runner_settings(schedule, sampler.num_rounds, detector.device.type)
    with install():
        runner = Runner(
            model=Adaptation(detector, schedule.weights),
            work_dir=str(work_dir),
            train_dataloader=loader,
            custom_hooks=[history, *hooks],
            resume=resume,
            experiment_name=name,
            **settings,
        )
        # mmengine warns of its own hook's ways each time.
        runner.logger.addFilter(lambda record: not record.getMessage().startswith(DEPRECATED))
        try:
            runner.train()
        finally:  # mmengine would take it for the visualizer of later runs
            Visualizer._instance_dict.pop(runner.experiment_name, None)
    return history.rounds


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


class _History(Hook):
    """Keep the mean losses of each round."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, float]] = []
        self._sums: dict[str, float] = {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add the losses of a step."""
        for name, value in (outputs or {}).items():  # tensors
            self._sums[name] = self._sums.get(name, 0.0) + value.item()
        self._count = batch_idx + 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Conclude a round."""
        self.rounds.append({name: value / self._count for name, value in self._sums.items()})
        self._sums = {}


class ProgressHook(Hook):
    """Show a bar with the losses and the time that is left, or a line per round in a log."""

    def before_train(self, runner: Runner) -> None:
        """Begin, after a resume in the middle."""
        loader = runner.train_loop.dataloader
        total = -(-loader.sampler.num_samples // loader.batch_size)
        self._bar = tqdm(total=total, initial=runner.iter, desc="adapting", disable=None)
        self._total, self._first, self._start = total, runner.iter, time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move on."""
        if self._bar.disable:
            return
        losses = {name.removeprefix("loss_"): value for name, value in (outputs or {}).items()}
        self._bar.set_postfix({name: f"{value.item():.3f}" for name, value in losses.items()})
        self._bar.update()

    def after_train_epoch(self, runner: Runner) -> None:
        """Write a line where there is no bar."""
        if self._bar.disable:
            each = (time.monotonic() - self._start) / (runner.iter - self._first)
            left = (self._total - runner.iter) * each / 60
            message = f"{runner.iter} of {self._total} iterations, {each:.2f} s each"
            print(f"{message}; about {left:.0f} minutes left", flush=True)

    def after_train(self, runner: Runner) -> None:
        """End."""
        self._bar.close()
