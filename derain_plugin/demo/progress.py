"""One line that says which step of how many runs, and how much time is left."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence

from derain_plugin.demo.plan import Step

QUIET_SECONDS = 20  # between lines where a line cannot be rewritten, as in a log file
PRIOR_SECONDS = 100  # how long a machine must have worked before its pace outweighs the plan's


class Progress:
    """Estimate the time left from the plan and from how fast this machine has been.

    Args:
        stages: What is left to do of each stage; the steps of one run at once.
    """

    def __init__(self, stages: Sequence[Sequence[Step]]) -> None:
        self._stages = stages
        self._planned = self._taken = 0.0  # seconds of the stages finished in this run
        self._number, self._running = 0, False
        self._start = self._shown = time.monotonic()

    def start(self, number: int) -> None:
        """Begin a stage and say so."""
        self._number, self._running, self._start = number, True, time.monotonic()
        self._show()

    def tick(self) -> None:
        """Renew the line."""
        if sys.stderr.isatty() or time.monotonic() - self._shown > QUIET_SECONDS:
            self._show()

    def finish(self) -> None:
        """End the stage."""
        self._taken += time.monotonic() - self._start
        self._planned += _planned(self._stages[self._number])
        self._running = False
        self._show()
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def seconds_left(self) -> float:
        """How long the rest will take at the pace so far."""
        first = self._number + (not self._running)
        planned = sum(map(_planned, self._stages[first:]))
        pace = (self._taken + PRIOR_SECONDS) / (self._planned + PRIOR_SECONDS)
        elapsed = time.monotonic() - self._start if self._running else 0.0
        return max(planned * pace - elapsed, 0.0)

    def _show(self) -> None:
        self._shown = time.monotonic()
        steps = self._stages[self._number]
        names = " + ".join(step.name + _epochs(step) for step in steps)
        line = (
            f"[{self._number + 1}/{len(self._stages)}] {names}: "
            f"{'' if self._running else 'done in '}{_clock(self._shown - self._start)}, "
            f"about {_clock(self.seconds_left())} left in all"
        )
        rewrite = sys.stderr.isatty()
        print(
            f"\r\033[K{line}" if rewrite else line,
            end="" if rewrite else "\n",
            file=sys.stderr,
            flush=True,
        )


def _planned(stage: Sequence[Step]) -> float:
    return max((step.seconds for step in stage), default=0.0)


def _epochs(step: Step) -> str:
    """How far a training is, by the checkpoints that it has written."""
    if step.work_dir is None:
        return ""
    marker = step.work_dir / "last_checkpoint"
    last = re.search(r"epoch_(\d+)", marker.read_text()) if marker.is_file() else None
    return f" ({last[1] if last else 0} of {step.epochs} epochs)"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
