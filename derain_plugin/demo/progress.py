"""One line that says which step of how many runs, and how much time is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from derain_plugin.demo.plan import Step

QUIET_SECONDS = 20  # between lines where a line cannot be rewritten, as in a log file


class Progress:
    """Estimate the time left from the plan and from how fast this machine has been.

    Args:
        steps: The plan.
        finished: Which of them an earlier run has finished.
    """

    def __init__(self, steps: Sequence[Step], *, finished: Sequence[bool]) -> None:
        self.finished = list(finished)
        self._steps = steps
        self._planned = self._taken = 0.0  # seconds of the steps finished in this run
        self._number = 0
        self._start = self._shown = time.monotonic()

    def start(self, number: int) -> None:
        """Begin a step and say so."""
        self._number, self._start = number, time.monotonic()
        self._show()

    def tick(self) -> None:
        """Renew the line."""
        if sys.stderr.isatty() or time.monotonic() - self._shown > QUIET_SECONDS:
            self._show()

    def finish(self) -> None:
        """End the step."""
        self._taken += time.monotonic() - self._start
        self._planned += self._steps[self._number].seconds
        self.finished[self._number] = True
        self._show()
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def seconds_left(self) -> float:
        """How long the rest will take at the pace so far."""
        elapsed = time.monotonic() - self._start
        pairs = zip(self._steps, self.finished, strict=True)
        planned = sum(step.seconds for step, finished in pairs if not finished)
        pace = self._taken / self._planned if self._planned else 1.0
        running = 0.0 if self.finished[self._number] else elapsed
        return max(planned * pace - running, 0.0)

    def _show(self) -> None:
        self._shown = time.monotonic()
        step = self._steps[self._number]
        state = "done" if self.finished[self._number] else _epochs(step)
        line = (
            f"[{self._number + 1}/{len(self._steps)}] {step.name}{state and ': ' + state}, "
            f"{_clock(self._shown - self._start)}; about {_clock(self.seconds_left())} left in all"
        )
        rewrite = sys.stderr.isatty()
        print(
            f"\r\033[K{line}" if rewrite else line,
            end="" if rewrite else "\n",
            file=sys.stderr,
            flush=True,
        )


def _epochs(step: Step) -> str:
    """How far a training is, by the checkpoints that it has written."""
    if step.work_dir is None:
        return ""
    done = len(list(step.work_dir.glob("epoch_*.pth")))
    return f"{done} of {step.epochs} epochs"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
