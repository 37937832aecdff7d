"""The interface of what detects in images, in PyTorch or in an exported file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from derain_plugin.visualization import MaskedImage


class BasePredictor(ABC):
    """Detect in images that were read already.

    Attributes:
        name: What people call it.
        classes: Names by label.
        palette: RGB colours by label, or a name that mmdet knows.
    """

    name: str
    classes: tuple[str, ...]
    palette: Any

    @abstractmethod
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found, whatever its score.

        Args:
            image: ``(H, W, 3)`` uint8, BGR.

        Returns:
            On the CPU: ``bboxes`` ``(n, 4)`` x1, y1, x2, y2 in pixels of ``image``, ``scores``
            ``(n,)`` 0-1 and ``labels`` ``(n,)``.
        """

    def record_masks(self) -> None:
        """Keep the rain masks of each image from now on.

        Raises:
            ValueError: There are none.
        """
        raise ValueError(f"{self.name} is an exported file, which gives detections and no masks")

    def take_masks(self) -> MaskedImage | None:
        """Return the masks of the last image, or None where none are recorded."""
        return None

    @property
    def records_masks(self) -> bool:
        """Whether rain masks are kept."""
        return False

    def labels_of(self, names: Collection[str] | None) -> list[int]:
        """Return the labels of class names; of None, all labels.

        Raises:
            ValueError: A name is no class of this detector.
        """
        if names is None:
            return list(range(len(self.classes)))
        if unknown := [name for name in names if name not in self.classes]:
            raise ValueError(
                f"{self.name} has no class {', '.join(map(repr, unknown))}; its classes are "
                f"{', '.join(self.classes)}"
            )
        return [self.classes.index(name) for name in names]


def select(found: InstanceData, *, score_thr: float, labels: Collection[int]) -> InstanceData:
    """Keep what scores at least ``score_thr`` and has one of ``labels``."""
    wanted = torch.isin(found.labels, torch.tensor(list(labels), dtype=found.labels.dtype))
    return found[wanted & (found.scores >= score_thr)]
