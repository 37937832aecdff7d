"""Which images an epoch shows, and which of them are rainy."""

import math
from numbers import Integral, Real

import numpy as np

BOTH, ONLY_CLEAN, ONLY_RAINY = range(3)


class RainDraw:
    """Choose a fixed set of images and, for every epoch anew, its rainy part.

    An image that exists on one side only can be shown only so. The set is the
    largest one of which exactly ``rain_ratio`` (to one image) can be rainy:
    every image that exists on both sides, and as many one-sided images as
    the ratio has room for. ``percent`` of that set is a random sample that also
    keeps the ratio; a smaller sample lies inside every larger one.

    The set depends on the seed and the two masks alone, never on the epoch. The
    rainy part depends on the set, the seed and the epoch, so every process that
    is told the epoch computes the same.

    Args:
        on_clean: (P,) bool, whether an image exists on the clean side.
        on_rainy: (P,) bool, whether it exists on the rainy side; at least one of the two.
        rain_ratio: Rainy share of an epoch, 0-1.
        percent: Share of the largest set that is used, in (0, 100].
        seed: Non-negative integer. ``None`` is refused: ranks have to agree.

    Attributes:
        images: (N,) int, ascending positions in the masks of the images that are used.
        largest: Size of the set before ``percent`` is applied.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of its range, or ``percent`` leaves no image.

    Example:
        >>> draw = RainDraw(np.ones(10, bool), np.ones(10, bool), rain_ratio=0.7)
        >>> draw.rainy(epoch=0).sum()
        7
    """

    def __init__(
        self,
        on_clean: np.ndarray,
        on_rainy: np.ndarray,
        *,
        rain_ratio: float,
        percent: float = 100,
        seed: int = 0,
    ) -> None:
        check_options(rain_ratio=rain_ratio, percent=percent, seed=seed)
        self._ratio, self._seed = rain_ratio, seed
        kind = np.where(on_clean & on_rainy, BOTH, np.where(on_clean, ONLY_CLEAN, ONLY_RAINY))
        order = self._order(kind)
        self.largest = len(order)
        size = _round(percent / 100 * self.largest)
        if size == 0:
            raise ValueError(
                f"percent={percent} of {self.largest} images leaves none; "
                f"use at least {math.ceil(5000 / max(self.largest, 1)) / 100:g}"
            )
        self.images = np.sort(order[:size])
        self._kind = kind[self.images]
        self._latest: tuple[int, np.ndarray] | None = None

    def rainy(self, epoch: int) -> np.ndarray:
        """Return the (N,) bool mask of the images that are rainy in ``epoch``."""
        if self._latest is None or self._latest[0] != epoch:
            rainy = self._kind == ONLY_RAINY
            count = _round(self._ratio * len(rainy)) - np.count_nonzero(rainy)
            # Entry 0 belongs to the choice of images.
            rng = np.random.default_rng([self._seed, epoch + 1])
            rainy[rng.permutation(np.flatnonzero(self._kind == BOTH))[:count]] = True
            self._latest = epoch, rainy
        return self._latest[1]

    def _order(self, kind: np.ndarray) -> np.ndarray:
        """Order images so that the first n of them can keep the ratio, for every n.

        Takes the next image of a random order that the ratio has room for, and
        stops when it has room for none; the stop is then the largest possible.
        """
        rank = np.random.default_rng([self._seed, 0]).permutation(len(kind))
        queues = [np.flatnonzero(kind == k) for k in (BOTH, ONLY_CLEAN, ONLY_RAINY)]
        queues = [queue[np.argsort(rank[queue])] for queue in queues]
        taken = [0, 0, 0]
        order: list[int] = []
        while True:
            size = len(order) + 1
            num_rainy = _round(self._ratio * size)
            room = (size, size - num_rainy, num_rainy)
            open_kinds = [k for k in range(3) if taken[k] < min(room[k], len(queues[k]))]
            if not open_kinds:
                return np.array(order, dtype=np.int64)
            heads = {k: queues[k][taken[k]] for k in open_kinds}
            first = min(open_kinds, key=lambda k: rank[heads[k]])
            order.append(heads[first])
            taken[first] += 1


def check_options(*, rain_ratio: float, percent: float, seed: int) -> None:
    """Raise a TypeError or ValueError that names an option a draw cannot work with."""
    for name, value in dict(rain_ratio=rain_ratio, percent=percent).items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= rain_ratio <= 1:
        raise ValueError(f"rain_ratio must be in [0, 1], got {rain_ratio}")
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be in (0, 100], got {percent}")
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed must be an integer (all ranks need the same), got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")


def _round(number: float) -> int:
    # Half up, unlike round(): the counts must grow with the size of the set.
    return math.floor(number + 0.5)
