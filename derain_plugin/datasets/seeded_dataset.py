"""Datasets whose random samples follow from the run's seed, the epoch and the image alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

UNKNOWN = -1


class SeededDataset(Dataset):
    """Draw each sample from generators seeded with (run's seed, epoch, image).

    ``EpochSeedHook`` tells the run's seed and the epoch. From then on all that a sample draws
    from the global generators of Python, NumPy and torch (CPU) follows from these numbers: it is
    the same in any worker, persistent or not, in the main process, whose generators stay as they
    are, and after a resume. Without a seed the generators are used as they are.

    A subclass gives ``draw_sample(idx)`` and ``__len__``.
    """

    def __init__(self) -> None:
        self._told = torch.tensor([UNKNOWN, 0]).share_memory_()  # the run's seed, the epoch

    @property
    def epoch(self) -> int:
        """The epoch that was told, 0 before."""
        return int(self._told[1])

    def full_init(self) -> None:
        """Do nothing; all is loaded at construction, where errors are wanted."""

    def set_epoch(self, epoch: int) -> None:
        """Draw anew; reaches workers that are already running."""
        self._tell(1, "epoch", epoch)

    def set_run_seed(self, seed: int) -> None:
        """Let every sample follow from ``seed``, the epoch and the image alone."""
        self._tell(0, "the run's seed", seed)

    def __getitem__(self, idx: int) -> Any:
        """Return what the pipeline makes of image ``idx``; see the subclass."""
        seed, epoch = self._told.tolist()
        numbers = seed, epoch, int(idx) % len(self)
        with nullcontext() if seed == UNKNOWN else seeded_draws(*numbers):
            return self.draw_sample(int(idx))

    def draw_sample(self, idx: int) -> Any:
        """Return what the pipeline makes of image ``idx``."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Count the images of an epoch."""
        raise NotImplementedError

    def _tell(self, index: int, name: str, value: int) -> None:
        if value < 0:
            raise ValueError(f"{name} must not be negative, got {value}")
        # Shared memory is what workers that outlive an epoch see; a deep copy has to share anew.
        self._told.share_memory_()[index] = value


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
