"""A toy detector and a standard mmengine Runner that trains it in phases."""

from itertools import count
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

import derain_plugin  # noqa: F401  registers the hooks, also in spawned processes

DERAIN_THEN_JOINT = (
    dict(name="derain", epochs=(1, 2), lr={"neck.derain": 5e-3}),
    dict(name="joint", epochs=(3, 4), lr={"neck.derain": 1e-3, "*": 1e-4}),
)
ADAMW = dict(type="AdamW", lr=1e-2, weight_decay=0.1)
PHASED = dict(type="OptimWrapper", constructor="PhasedOptimWrapperConstructor", optimizer=ADAMW)
_run_numbers = count()


class Backbone(nn.Module):
    """A stage frozen at construction, one frozen by train(), and one that may train."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen_stage = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.frozen_stage.requires_grad_(False)
        self.late_frozen = nn.Conv2d(4, 4, 1)
        self.stage = nn.Sequential(
            nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.Dropout(0.0)
        )

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        self.late_frozen.requires_grad_(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.stage(self.late_frozen(self.frozen_stage(x)))


class ToyDetector(BaseModel):
    """backbone, neck.derain, neck.neck and head, with BatchNorm in each place that matters."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = nn.Module()
        self.neck.derain = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.neck.neck = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 1)

    def forward(self, inputs: Tensor, target: Tensor, mode: str = "tensor") -> Any:
        feats = self.neck.neck(self.neck.derain(self.backbone(inputs)).relu())
        score = self.head(feats.relu().mean((2, 3)))[:, 0]
        return dict(loss=(score - target).square().mean()) if mode == "loss" else [score]


class ToyData(Dataset):
    """Four random images per batch, unlike those of another seed."""

    def __init__(self, batches: int = 4, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.inputs = torch.randn(4 * batches, 3, 6, 6, generator=generator) + seed
        self.target = torch.randn(4 * batches, generator=generator)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return dict(inputs=self.inputs[index], target=self.target[index])


class Score(BaseMetric):
    """A score that is made up by the test: ``scores[epoch - 1]``."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores, self.runner = scores, None
        self.asked: list[int] = []

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        self.asked.append(self.runner.epoch)
        return dict(acc=self.scores[self.runner.epoch - 1])


class Spy(Hook):
    """Calls a function before each training iteration, after all other hooks."""

    priority = "LOWEST"

    def __init__(self, look: Any) -> None:
        self.look = look

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.look(runner)


class Stop(Hook):
    """Ends the training after an epoch, as a crash just before its validation would."""

    priority = "LOWEST"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_train_epoch(self, runner: Runner) -> None:
        if runner.epoch + 1 == self.epoch:
            raise KeyboardInterrupt


def build_runner(
    work_dir: Path,
    *,
    phases: Any = DERAIN_THEN_JOINT,
    epochs: int = 4,
    batches: int = 4,
    seed: int = 0,
    hooks: tuple = (),
    optim: dict | None = None,
    scores: list[float] | None = None,
    **kwargs: Any,
) -> Runner:
    """A runner whose model, data and order are the same at every call."""
    torch.manual_seed(0)
    loader = dict(
        batch_size=4,
        sampler=dict(type="DefaultSampler", shuffle=False),
        collate_fn=dict(type="default_collate"),
    )
    score = Score(scores or [0.0] * epochs)
    runner = Runner(
        **dict(
            model=ToyDetector(),
            work_dir=str(work_dir),
            train_dataloader=dict(dataset=ToyData(batches, seed), **loader),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_dataloader=dict(dataset=ToyData(1, seed), **loader),
            val_evaluator=[score],
            val_cfg={},
            optim_wrapper=PHASED | (optim or {}),
            custom_hooks=[dict(type="PhasedTrainingHook", phases=phases), *hooks],
            randomness=dict(seed=0),
            default_scope="mmdet",
            log_level="WARNING",
            experiment_name=f"phased-{next(_run_numbers)}",
        )
        | kwargs
    )
    score.runner = runner
    return runner


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Names of what is not bitwise the same."""
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def rate_of(runner: Runner, name: str) -> float:
    """The learning rate that the optimizer uses for a parameter."""
    parameter = runner.model.get_parameter(name)
    groups = runner.optim_wrapper.optimizer.param_groups
    return next(
        group["lr"] for group in groups if any(item is parameter for item in group["params"])
    )
