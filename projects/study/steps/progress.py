"""One line that says which steps run, and how much time is left."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence

from projects.study.steps.schedule import Step, time_needed

QUIET_SECONDS = 20  # between lines where a line cannot be rewritten, as in a log file
PRIOR_SECONDS = 100  # how long a machine must have worked before its pace outweighs the plan's


class Progress:
    """Estimate the time left from the plan and from how fast this machine has been.

    Args:
        steps: What is left to do, in order.
        jobs: How many steps run at once.
    """

    def __init__(self, steps: Sequence[Step], *, jobs: int) -> None:
        self._waiting, self._count, self._jobs = list(steps), len(steps), jobs
        self._running: dict[Step, float] = {}  # since when
        self._planned = self._taken = 0.0  # seconds of the steps finished in this run
        self._shown = time.monotonic()

    def start(self, step: Step) -> None:
        """Say that ``step`` runs now."""
        self._waiting.remove(step)
        self._running[step] = time.monotonic()
        self._show(self._states())

    def tick(self) -> None:
        """Renew the line."""
        if sys.stderr.isatty() or time.monotonic() - self._shown > QUIET_SECONDS:
            self._show(self._states())

    def finish(self, step: Step) -> None:
        """Say that ``step`` is done."""
        taken = time.monotonic() - self._running.pop(step)
        self._taken += taken
        self._planned += step.seconds
        self._show(f"{step.name}{_epochs(step)}: done in {clock(taken)}")
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def seconds_left(self) -> float:
        """How long the rest will take at the pace so far."""
        now = time.monotonic()
        pace = (self._taken + PRIOR_SECONDS) / (self._planned + PRIOR_SECONDS)
        seconds = {step.name: step.seconds * pace for step in self._waiting}
        for step, start in self._running.items():
            seconds[step.name] = max(step.seconds * pace - (now - start), 0.0)
        return time_needed([*self._running, *self._waiting], seconds, jobs=self._jobs)

    def _states(self) -> str:
        now = time.monotonic()
        return " + ".join(
            f"{step.name}{_epochs(step)}: {clock(now - start)}"
            for step, start in self._running.items()
        )

    def _show(self, states: str) -> None:
        self._shown = time.monotonic()
        done = self._count - len(self._waiting) - len(self._running)
        left = f"about {clock(self.seconds_left())} left in all"
        line = f"[{done} of {self._count} done] {states}, {left}"
        rewrite = sys.stderr.isatty()
        print(
            f"\r\033[K{line}" if rewrite else line,
            end="" if rewrite else "\n",
            file=sys.stderr,
            flush=True,
        )


def clock(seconds: float) -> str:
    """Format as ``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _epochs(step: Step) -> str:
    """How far a training is, by the checkpoints that it has written."""
    if step.work_dir is None:
        return ""
    marker = step.work_dir / "last_checkpoint"
    last = re.search(r"epoch_(\d+)", marker.read_text()) if marker.is_file() else None
    return f" ({last[1] if last else 0} of {step.epochs} epochs)"
