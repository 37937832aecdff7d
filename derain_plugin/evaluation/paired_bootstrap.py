"""Confidence intervals by a paired bootstrap over images and training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tqdm.contrib.concurrent import thread_map

from derain_plugin.evaluation.weighted_ap import WeightedAp

Trained = Mapping[str, WeightedAp]  # by test condition
IMAGES, SEEDS = range(2)  # independent streams of random numbers


class PairedBootstrap:
    """AP of several models on resampled images.

    A resample draws as many images as there are, with replacement, the same for all models and
    for all conditions that have the same images. A model is the mean over its training seeds,
    which are drawn likewise: the same positions for models with equally many seeds. What a
    resample draws depends on ``seed`` and its number alone.

    Args:
        models: For each model its training seeds, with the same conditions everywhere.
        image_ids: Ids of the images of each condition.
        seed: Another seed draws other images.

    Example:
        >>> bootstrap = PairedBootstrap([[{"clean": ap}], [{"clean": other_ap}]], image_ids)
        >>> vanilla, derained = bootstrap.draw(1000)[..., 0].T
        >>> np.quantile(derained - vanilla, [0.025, 0.975])
    """

    def __init__(
        self,
        models: Sequence[Sequence[Trained]],
        image_ids: Mapping[str, np.ndarray],
        *,
        seed: int = 0,
    ) -> None:
        self.models = models
        self.seed = seed
        distinct = list(dict.fromkeys(ids.tobytes() for ids in image_ids.values()))
        self._sets = {name: distinct.index(ids.tobytes()) for name, ids in image_ids.items()}
        self._sizes = {self._sets[name]: len(ids) for name, ids in image_ids.items()}

    def measure(self) -> np.ndarray:
        """Return AP on every image once, over all seeds: ``(models, conditions)``."""
        weights = {index: np.ones(size, np.int64) for index, size in self._sizes.items()}
        return self._evaluate(weights, [np.arange(len(trained)) for trained in self.models])

    def draw(self, resamples: int, *, workers: int | None = None) -> np.ndarray:
        """Return AP in each resample: ``(resamples, models, conditions)``.

        Args:
            resamples: How many.
            workers: Threads; the result does not depend on it. As many as cores by default.
        """
        numbers = range(resamples)
        bar = dict(desc="resampling", unit="resample", leave=False)
        return np.array(thread_map(self._resample, numbers, max_workers=workers, **bar))

    def _resample(self, number: int) -> np.ndarray:
        weights = {
            index: np.bincount(_drawn([self.seed, number, IMAGES, index], size), minlength=size)
            for index, size in self._sizes.items()
        }
        counts = map(len, self.models)
        return self._evaluate(weights, [_drawn([self.seed, number, SEEDS, n], n) for n in counts])

    def _evaluate(
        self, weights: Mapping[int, np.ndarray], seeds: Sequence[np.ndarray]
    ) -> np.ndarray:
        means = []
        for trained, drawn in zip(self.models, seeds, strict=True):
            aps = {
                i: [trained[i][name](weights[index]) for name, index in self._sets.items()]
                for i in set(drawn.tolist())
            }
            means.append(np.mean([aps[i] for i in drawn.tolist()], axis=0))
        return np.array(means)


def draw_training_seeds(draws: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Put a model's training seeds together after each was resampled by itself.

    Args:
        draws: AP of each in the same resamples, ``(training seeds, resamples, conditions)``, as
            :meth:`PairedBootstrap.draw` gives them for models of one training seed.
        seed: That of the bootstrap.

    Returns:
        ``(resamples, conditions)``: what one bootstrap of all of them gives.
    """
    count, resamples, _ = draws.shape
    means = [
        draws[_drawn([seed, number, SEEDS, count], count), number].mean(axis=0)
        for number in range(resamples)
    ]
    return np.array(means)


def _drawn(stream: Sequence[int], size: int) -> np.ndarray:
    return np.random.default_rng(stream).integers(size, size=size)
