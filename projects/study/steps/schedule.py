"""Commands that need each other: which of them run, when, and beside how many others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
"""The checkout, where commands run."""


@dataclass(frozen=True)
class Step:
    """A command, what it needs and what it leaves.

    Attributes:
        name: For people and for the files of the step; unique.
        command: Program and arguments.
        seconds: How long it should take; tells the time left.
        needs: Names of the steps that must have run before.
        settings: Identifies what the command does; a step of other settings is not continued.
        is_there: Tells whether what it left is still there; else it runs again.
        work_dir: Where it trains, if it does.
        epochs: How many epochs it trains.
        begun: File from which on ``--resume`` continues what was stopped; of a training by default
            ``last_checkpoint`` in ``work_dir``.
        prepare: Writes what the command reads, right before it starts.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    needs: tuple[str, ...] = ()
    settings: str = ""
    is_there: Callable[[], bool] | None = None
    work_dir: Path | None = None
    epochs: int = 0
    begun: Path | None = None
    prepare: Callable[[], object] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether an earlier attempt can be resumed."""
        of_training = self.work_dir and self.work_dir / "last_checkpoint"
        begun = self.begun or of_training
        return begun is not None and begun.is_file()


def steps_left(steps: Sequence[Step], is_done: Callable[[Step], bool]) -> list[Step]:
    """Return what has to run, in order: backward from the steps that no other one needs.

    What only finished steps need does not run, whether it is done or not.

    Raises:
        ValueError: Two steps share a name, or one comes before what it needs.
    """
    _check_order(steps)
    wanted = {step.name for step in steps} - {name for step in steps for name in step.needs}
    left = []
    for step in reversed(steps):
        if step.name in wanted and not is_done(step):
            left.append(step)
            wanted.update(step.needs)
    return left[::-1]


def next_steps(waiting: Sequence[Step], running: Collection[Step], *, jobs: int) -> list[Step]:
    """Return which of ``waiting`` start now, so that no more than ``jobs`` run at once."""
    unfinished = {step.name for step in (*waiting, *running)}
    ready = [step for step in waiting if unfinished.isdisjoint(step.needs)]
    return ready[: max(jobs - len(running), 0)]


def time_needed(steps: Sequence[Step], seconds: Mapping[str, float], *, jobs: int) -> float:
    """Return how long ``steps`` take together.

    Args:
        steps: In order; what they need besides each other is there.
        seconds: How long each of them takes, by name.
        jobs: How many run at once.
    """
    waiting, now = list(steps), 0.0
    running: dict[Step, float] = {}  # until when
    while waiting or running:
        for step in next_steps(waiting, running, jobs=jobs):
            waiting.remove(step)
            running[step] = now + seconds[step.name]
        first = min(running, key=lambda step: running[step])
        now = running.pop(first)
    return now


def most_at_once(steps: Sequence[Step], *, jobs: int) -> dict[str, int]:
    """Return how many steps may run at once while each one does, itself included.

    It follows from what needs what, not from the order in which steps happen to finish, so that
    a step gets the same threads whenever it runs.
    """
    before: dict[str, set[str]] = {}
    for step in steps:
        before[step.name] = set(step.needs).union(*(before[name] for name in step.needs))
    after = {name: sum(name in others for others in before.values()) for name in before}
    return {
        name: min(jobs, len(before) - len(earlier) - after[name])
        for name, earlier in before.items()
    }


def _check_order(steps: Sequence[Step]) -> None:
    names: set[str] = set()
    for step in steps:
        if step.name in names:
            raise ValueError(f"two steps are named {step.name!r}")
        if missing := set(step.needs) - names:
            raise ValueError(f"{step.name!r} needs {sorted(missing)}, which no earlier step makes")
        names.add(step.name)
