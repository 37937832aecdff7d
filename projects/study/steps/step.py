"""One command among several that need each other."""

from __future__ import annotations

from collections.abc import Callable
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
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    needs: tuple[str, ...] = ()
    settings: str = ""
    is_there: Callable[[], bool] | None = None
    work_dir: Path | None = None
    epochs: int = 0
