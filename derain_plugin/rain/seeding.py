"""Random streams that depend on nothing but the caller's seed and the renderer's version."""

import zlib
from collections.abc import Sequence
from numbers import Integral

import numpy as np

RENDERER_VERSION = 3
"""Raise it with every change that moves a pixel: it is part of the seed."""

Seed = int | Sequence[int]
"""A non-negative integer, or several, such as :func:`image_seed` returns."""


def image_seed(seed: int, image_id: int | str) -> Seed:
    """Combine a run's seed with the id of one image; ``7`` and ``"7"`` are the same id."""
    return seed, int.from_bytes(str(image_id).encode())


def random_stream(
    seed: Seed, purpose: str, *, version: int = RENDERER_VERSION
) -> np.random.Generator:
    """Return the generator of one ``purpose``, the same in every process.

    Streams of different purposes are independent, so drawing more from one (more streaks)
    leaves the others as they were.

    Raises:
        TypeError: If ``seed`` holds something that is not an integer.
        ValueError: If ``seed`` holds a negative number.
    """
    check_seed(seed)
    entropy = [version, *(seed if isinstance(seed, Sequence) else (seed,))]
    stream = zlib.crc32(purpose.encode())
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(stream,)))
    )


def check_seed(seed: Seed) -> None:
    """Raise unless ``seed`` is a non-negative integer or a sequence of them."""
    for number in seed if isinstance(seed, Sequence) else (seed,):
        if not isinstance(number, Integral):
            raise TypeError(f"seed must be made of integers, got {seed!r}")
        if number < 0:
            raise ValueError(f"seed must not be negative, got {seed!r}")
