"""What a detector costs: parameters, and time beside another one in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

ROUNDS = 31


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.inference_mode()
def median_times(runs: Sequence[Callable[[], object]], *, rounds: int = ROUNDS) -> list[float]:
    """Time several functions in turns, so that whatever slows the machine slows all of them.

    Args:
        runs: What to time.
        rounds: How often each is timed, after two untimed calls.

    Returns:
        Median milliseconds of each.
    """
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(rounds + 2):
        for run, found in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            if turn >= 2:
                found.append(1000 * (time.perf_counter() - start))
    return [statistics.median(found) for found in times]
