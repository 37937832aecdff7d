"""Random draws that follow from a few numbers instead of from everything drawn before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded_draws(*numbers: int) -> Iterator[None]:
    """Seed the global generators that transforms draw from; restore them at the end.

    These are Python's ``random``, NumPy's legacy generator and torch's on the CPU.

    Args:
        *numbers: Non-negative integers. Others give independent draws.

    Example:
        >>> with seeded_draws(0, 7):
        ...     first = random.random()
        >>> with seeded_draws(0, 7):
        ...     first == random.random()
        True
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    # A key, so that the same numbers mean something else here than in a plain SeedSequence.
    seed = int(np.random.SeedSequence(numbers, spawn_key=(1,)).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch every GPU, too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
