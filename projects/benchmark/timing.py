"""Time several things in turns, so that whatever slows the machine slows all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import torch

Run = Callable[[], object]
ROUNDS = 31
LEAST_ROUNDS = 3


@torch.inference_mode()
def median_times(runs: Sequence[Run], *, rounds: int = ROUNDS) -> list[float]:
    """Return the median milliseconds of each function, timed in turns after two untimed calls."""
    arms = times_in_turns([[run] for run in runs], rounds=rounds)
    return [statistics.median(times) for (times,) in arms]


def times_in_turns(
    arms: Sequence[Sequence[Run]],
    *,
    rounds: int,
    seconds: float = math.inf,
    warm_up: int = 2,
    synchronize: Run = lambda: None,
) -> list[list[list[float]]]:
    """Time arms of several functions each; times of one arm at one index were taken together.

    An arm that would take longer than ``seconds`` sits some rounds out, evenly spread.

    Args:
        arms: Functions without arguments.
        rounds: How often each arm is timed.
        seconds: Limit of an arm, judged by the last warm-up; it is timed three times at least.
        warm_up: Untimed rounds before.
        synchronize: Waits for the device.

    Returns:
        Milliseconds ``[arm][function][round]``.
    """
    cost = [sum(_timed(arm, synchronize)) for _ in range(warm_up) for arm in arms][-len(arms) :]
    taken = [_rounds_within(1000 * seconds, cost=ms, most=rounds) for ms in cost]
    times: list[list[list[float]]] = [[[] for _ in arm] for arm in arms]
    for turn in range(rounds):
        for number, arm in enumerate(arms):
            if _is_due(turn, taken[number], rounds):
                for kept, milliseconds in zip(times[number], _timed(arm, synchronize), strict=True):
                    kept.append(milliseconds)
    return times


def _timed(runs: Sequence[Run], synchronize: Run) -> list[float]:
    times = []
    for run in runs:
        start = time.perf_counter()
        run()
        synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return times


def _rounds_within(limit: float, *, cost: float, most: int) -> int:
    return most if cost * most <= limit else min(most, max(LEAST_ROUNDS, int(limit / cost)))


def _is_due(turn: int, taken: int, rounds: int) -> bool:
    """Whether an arm that is timed ``taken`` times in ``rounds`` is timed in this one."""
    return (turn + 1) * taken // rounds > turn * taken // rounds
