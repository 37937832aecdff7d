"""Photographs twice, in rain and as they are, as a detector takes them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch.utils.data import Sampler

from derain_plugin.adapting.renderers import Renderer, rain_of
from derain_plugin.adapting.view import View
from derain_plugin.datasets.seeded_dataset import SeededDataset
from derain_plugin.datasets.transforms import Uint8PhotoMetricDistortion
from derain_plugin.rain import draw_severity
from derain_plugin.rain.images import UnreadableError, read_image
from derain_plugin.rain.severity import check_severity_range


class RainyTwins(SeededDataset):
    """Draw photographs, flip half of them, perhaps crop some, and render rain on most.

    Perhaps the colours of both are distorted then, alike.

    The photographs come in passes, each in an order of its own. A photograph is read and rained
    on once per use.

    Args:
        photos: Files.
        prepare: Makes of an image, ``(H, W, 3)`` uint8, BGR, what the detector takes.
        num_samples: How many are drawn in all.
        seed: Of the order of the photographs.
        severity: Mildest and worst rain, 1-5; drawn uniformly.
        clean_share: Of the samples that stay clean, 0-1, so that clean features stay.
        crop: Up to which share of both sides is cut off half of the photos; 0 crops none.
        distort: Whether contrast, brightness, saturation and hue change at random, in both images
            alike; as mmdet's ``PhotoMetricDistortion``.
        renderer: Of the rain, see :func:`~derain_plugin.adapting.renderers.rain_of`.
        labels: Of each photo ``bboxes``, ``(n, 4)`` xyxy in px, ``labels`` and ``is_crowd``.

    Raises:
        ValueError: No photos, or an argument outside its range.
    """

    metainfo: Mapping[str, Any] = {}  # mmengine asks every data set for it

    def __init__(
        self,
        photos: Sequence[Path],
        prepare: Callable[[np.ndarray], Any],
        *,
        num_samples: int,
        seed: int = 0,
        severity: tuple[int, int] = (1, 5),
        clean_share: float = 0.5,
        crop: float = 0.0,
        distort: bool = False,
        renderer: Renderer = "ours",
        labels: Mapping[Path, InstanceData] | None = None,
    ) -> None:
        super().__init__()
        if not photos:
            raise ValueError("there must be at least one photo")
        check_severity_range(*severity)
        if not 0 <= clean_share <= 1:
            raise ValueError(f"clean_share must be in 0-1, got {clean_share}")
        self.photos, self.prepare, self.rain = list(photos), prepare, rain_of(renderer)
        if not 0 <= crop < 1:
            raise ValueError(f"crop must be from 0 to below 1, got {crop}")
        self.severity, self.clean_share, self.crop = severity, clean_share, crop
        self.labels = labels
        self._distortion = Uint8PhotoMetricDistortion() if distort else None
        self._num_samples, self._seed = num_samples, seed
        self._order: tuple[int, np.ndarray] = (-1, np.zeros(0, int))  # of the present pass

    def __len__(self) -> int:
        """Count all samples of the training."""
        return self._num_samples

    def draw_sample(self, idx: int) -> dict[str, Any]:
        """Return ``rainy`` and ``clean``, each as ``prepare`` gives it, and the ``severity``.

        With labels also ``objects``: ``bboxes``, ``labels`` and ``is_crowd``, and as ``shape`` the
        height and width of what is seen of the photo.

        Raises:
            OSError: The photo cannot be read any longer.
        """
        photo = self._photo(idx)
        try:
            image = read_image(photo)
            view = View.draw(image.shape[:2], crop=self.crop)
            rainy, clean, severity = self._rained(view.of(image), photo, view)
            rainy, clean = self._distorted(rainy, clean)
        except UnreadableError as error:
            raise OSError(
                f"{photo} or its copy could be read before the training and cannot now ({error}): "
                "bring it back and resume"
            ) from error
        sample = dict(rainy=self.prepare(rainy), clean=self.prepare(clean), severity=severity)
        if self.labels is not None:
            sample["objects"] = view.objects(self.labels[photo])
        return sample

    def _rained(
        self, image: np.ndarray, photo: Path, view: View
    ) -> tuple[np.ndarray, np.ndarray, int]:
        seed = random.getrandbits(31)
        severity = draw_severity(*self.severity, seed=seed, prob=1 - self.clean_share)
        if not severity:
            return image, image, 0
        rainy = self.rain.on(image, severity, seed=seed, photo=photo, view=view)
        return rainy, image, severity

    def _distorted(self, rainy: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._distortion is None:
            return rainy, clean
        both = np.concatenate([rainy, clean])  # one image has one draw
        rainy, clean = np.split(self._distortion(dict(img=both))["img"], 2)
        return rainy, clean

    def _photo(self, idx: int) -> Path:
        number, index = divmod(idx, len(self.photos))
        if self._order[0] != number:
            order = np.random.default_rng((self._seed, number)).permutation(len(self.photos))
            self._order = number, order
        return self.photos[self._order[1][index]]


class RoundSampler(Sampler[int]):
    """Give the samples of a round one after another; the last round may be shorter.

    A round takes the place of an epoch, after which there is a checkpoint.

    Args:
        num_samples: Of all rounds.
        per_round: Of each.
    """

    def __init__(self, num_samples: int, per_round: int) -> None:
        self.num_samples, self.per_round, self.seed = num_samples, per_round, 0
        self._round = 0

    @property
    def num_rounds(self) -> int:
        """How many there are."""
        return -(-self.num_samples // self.per_round)

    def set_epoch(self, epoch: int) -> None:
        """Go to a round; ``EpochSeedHook`` does so."""
        self._round = epoch

    def _samples(self) -> range:
        start = self._round * self.per_round
        return range(start, min(start + self.per_round, self.num_samples))

    def __iter__(self) -> Iterator[int]:
        """Give the samples of the round."""
        return iter(self._samples())

    def __len__(self) -> int:
        """Count the samples of the round."""
        return len(self._samples())


def split_held_out(
    photos: Sequence[Path], *, share: float = 0.1, most: int = 50, seed: int = 0
) -> tuple[list[Path], list[Path]]:
    """Return the photos to train on, and those to measure with: at least one of each.

    Raises:
        ValueError: Fewer than two photos.
    """
    if len(photos) < 2:
        raise ValueError(f"at least 2 photos are needed, one to measure with; got {len(photos)}")
    count = min(max(1, round(share * len(photos))), most, len(photos) - 1)
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(seed)).tolist()
    held_out = {photos[index] for index in order[:count]}
    return [p for p in photos if p not in held_out], [p for p in photos if p in held_out]
