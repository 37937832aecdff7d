"""What a training of a de-rain neck says while it runs."""

from __future__ import annotations

import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

FIRST_LINE = 5  # iterations after which a log says how long it will take


class LossHistory(Hook):
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
            if runner.iter + 1 - self._first == FIRST_LINE:
                self._say(runner.iter + 1)
            return
        losses = {name.removeprefix("loss_"): value for name, value in (outputs or {}).items()}
        self._bar.set_postfix({name: f"{value.item():.3f}" for name, value in losses.items()})
        self._bar.update()

    def after_train_epoch(self, runner: Runner) -> None:
        """Write a line where there is no bar."""
        if self._bar.disable:
            self._say(runner.iter)

    def _say(self, done: int) -> None:
        each = (time.monotonic() - self._start) / (done - self._first)
        left = (self._total - done) * each / 60
        message = f"{done} of {self._total} iterations, {each:.2f} s each"
        print(f"{message}; about {left:.0f} minutes left", flush=True)

    def after_train(self, runner: Runner) -> None:
        """End."""
        self._bar.close()
