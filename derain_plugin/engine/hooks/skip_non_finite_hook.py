"""Batches whose loss or gradients are not finite change nothing; several in a row end the run."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer


@HOOKS.register_module()
class SkipNonFiniteHook(Hook):
    """Skip batches whose loss or gradients are NaN or infinite.

    Of such a batch nothing stays: its gradients are dropped before the optimizer steps, so
    parameters, moments and step counts are as before, and the running statistics of norm layers
    are put back before ``EMAHook`` averages them. Under gradient accumulation the batches that
    were accumulated with it are lost as well. A warning names what was not finite and the
    images. Under DDP all ranks skip together, whichever had the batch.

    A batch whose loss is finite and whose gradients overflow in fp16 is skipped by the loss
    scaler of ``AmpOptimWrapper``, as ever: it is neither reported nor counted.

    Args:
        max_in_row: After so many skipped batches without a step in between the run ends, since
            more of the same would only use up data.

    Raises:
        ValueError: ``max_in_row`` is no positive integer.
        FloatingPointError: That many batches in a row were skipped. The state that the last good
            step left is saved first, as ``non_finite_iter_N.pth`` in the work dir;
            ``last_checkpoint`` keeps naming the last complete epoch.
    """

    priority = "VERY_HIGH"  # before EMAHook

    def __init__(self, max_in_row: int = 3) -> None:
        if not isinstance(max_in_row, int) or max_in_row < 1:
            raise ValueError(f"max_in_row must be an integer >= 1, got {max_in_row!r}")
        self.max_in_row = max_in_row
        self._in_row = 0
        self._stepped: bool | None = None  # in this iteration; None: no optimizer tried to
        self._statistics: list[tuple[Tensor, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Look at all gradients before each step, after their clipping and synchronisation."""
        for optimizer in _optimizers(runner):
            optimizer.register_step_pre_hook(self._drop_non_finite)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Note the running statistics."""
        self._stepped = None
        self._statistics = [(item, item.clone()) for item in _statistics(runner.model)]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Undo what a bad batch did, and end the run if it was one too many."""
        bad_losses = [] if self._stepped else _not_finite(outputs)
        is_bad = torch.tensor(float(bool(bad_losses) or self._stepped is False))
        all_reduce(is_bad, "max")
        if is_bad:
            self._in_row += 1
            self._undo(runner)
            self._report(runner, bad_losses, data_batch)
        elif self._stepped:
            self._in_row = 0

    def _drop_non_finite(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        parameters = (item for group in optimizer.param_groups for item in group["params"])
        grads = [item.grad for item in parameters if item.grad is not None]
        is_finite = bool(nn.utils.get_total_norm(grads, norm_type=math.inf).isfinite())
        self._stepped = is_finite and self._stepped is not False
        if not is_finite:
            optimizer.zero_grad(set_to_none=True)  # what has no gradient is not touched by a step

    def _undo(self, runner: Runner) -> None:
        for value, before in self._statistics:
            value.copy_(before)
        for optimizer in _optimizers(runner):
            optimizer.zero_grad(set_to_none=True)

    def _report(self, runner: Runner, bad_losses: list[str], data_batch: Any) -> None:
        named = all_gather_object(f"{', '.join(bad_losses)} of {_images(data_batch)}")
        ours = [text for text in named if not text.startswith(" of")] or [f"gradients{named[0]}"]
        where = f"iteration {runner.iter + 1} (epoch {runner.epoch + 1})"
        runner.logger.log(
            logging.WARNING,
            f"SkipNonFiniteHook: {where} is skipped, not finite: {'; '.join(ours)}. "
            f"{self._in_row} in a row, the run ends at {self.max_in_row}.",
        )
        if self._in_row >= self.max_in_row:
            name = f"non_finite_iter_{runner.iter + 1}.pth"
            runner.save_checkpoint(runner.work_dir, name, by_epoch=False)
            raise FloatingPointError(
                f"{self._in_row} batches in a row were not finite, the last at {where}: "
                f"{'; '.join(ours)}. The state before them is {runner.work_dir}/{name}, the log "
                "names the images. Lower the learning rate, clip gradients "
                "(optim_wrapper.clip_grad), train without --amp or look at the images, then "
                "continue from the last complete epoch with --resume."
            )


def _optimizers(runner: Runner) -> Iterator[Optimizer]:
    wrapper: OptimWrapper | OptimWrapperDict = runner.optim_wrapper
    several = isinstance(wrapper, OptimWrapperDict)
    for item in wrapper.values() if several else [wrapper]:
        yield item.optimizer


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    """Buffers that a forward pass in training mode changes, of norm layers of any class."""
    for module in model.modules():
        buffers = dict(module.named_buffers(recurse=False))
        if "num_batches_tracked" in buffers:
            yield from (buffers["running_mean"], buffers["running_var"])
            yield buffers["num_batches_tracked"]


def _not_finite(outputs: dict | None) -> list[str]:
    """Losses that are not finite, with their values; none if their sum is."""
    if outputs is None or "loss" not in outputs or math.isfinite(_number(outputs["loss"])):
        return []
    losses = {name: _number(value) for name, value in outputs.items() if "loss" in name}
    return [f"{name}={value}" for name, value in losses.items() if not math.isfinite(value)]


def _number(loss: Tensor | float) -> float:
    return loss.item() if isinstance(loss, Tensor) else float(loss)  # no warning about gradients


def _images(data_batch: Any) -> str:
    samples = data_batch.get("data_samples", []) if isinstance(data_batch, dict) else []
    paths = [path for sample in samples if (path := getattr(sample, "img_path", None))]
    return ", ".join(map(str, paths)) or "this batch"
