"""What a frozen detector can do, whichever library it is of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.adapting.base_weights import base_weights
from derain_plugin.adapting.dense_outputs import DenseOutput, kind_of
from derain_plugin.adapting.early_blocks import AdapterBlocks, put_early_in, take_early_out
from derain_plugin.adapting.front_filter import AdapterFilter, put_filter_in, take_filter_out
from derain_plugin.models.necks.feature_derain import BaseFeatureDerain

Prepare = Callable[[np.ndarray], Any]


class FrozenDetector(ABC):
    """A detector that stays as it is, and the de-rain neck in front of its own.

    Args:
        model: The detector; in eval mode and without gradients from now on.
        prepare: Makes of an image, ``(H, W, 3)`` uint8, BGR, a sample as the detector takes it.

    Attributes:
        model: The detector with its de-rain neck.
        derain: The neck.
        early: De-rain blocks inside the backbone, or None.
        image_filter: In front of the backbone, or None. Only these three have gradients.
        prepare: As given.
    """

    model: Any
    derain: BaseFeatureDerain
    early: AdapterBlocks | None = None
    image_filter: AdapterFilter | None = None

    def __init__(self, model: nn.Module, prepare: Prepare) -> None:
        self.model, self.prepare = model, prepare
        model.eval().requires_grad_(False)
        self.kind = kind_of(model)

    @property
    def device(self) -> torch.device:
        """Where the detector is."""
        return next(self.model.parameters()).device

    @property
    def blocks(self) -> dict[str, nn.Module]:
        """All that trains: ``derain``, the neck, and ``early`` and ``image_filter`` if there."""
        parts: dict[str, nn.Module | None] = dict(
            derain=self.derain, early=self.early, image_filter=self.image_filter
        )
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def changes_backbone(self) -> bool:
        """Whether what the backbone gives is changed, so that gradients pass through it."""
        return self.early is not None or self.image_filter is not None

    def weights(self) -> dict[str, Tensor]:
        """Return the detector's weights and buffers, without those of the de-rain blocks."""
        return base_weights(self.model)

    def context(self, encoded: Sequence[Tensor], samples: Any) -> Any:
        """Return what teacher and student share, from the teacher's features after its neck."""
        return self.kind.context(self.model, encoded, samples)

    def outputs(self, encoded: Sequence[Tensor], context: Any) -> list[DenseOutput]:
        """Return the raw outputs of the heads; none where a detector's heads are not known."""
        return self.kind.outputs(self.model, encoded, context)

    @abstractmethod
    def preprocess(self, samples: Any) -> tuple[Tensor, Any]:
        """Return the images ``(N, 3, H, W)`` of collated samples, and what the heads need."""

    def valid_area(self, samples: Any) -> AbstractContextManager[None]:
        """Return what hides the padding of a batch from the de-rain blocks; here there is none."""
        return nullcontext()

    def norms_in_convs(self) -> AbstractContextManager[None]:
        """Return what makes training steps cheaper where frozen norms follow convolutions."""
        return nullcontext()

    def extract(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the backbone's features; with gradients for early blocks and a filter alone."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.changes_backbone):
            return self._extract(images)

    @abstractmethod
    def _extract(self, images: Tensor) -> tuple[Tensor, ...]: ...

    @abstractmethod
    def encode(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features after the detector's own neck."""

    @abstractmethod
    def _take_neck_out(self) -> None: ...

    @abstractmethod
    def _put_neck_in(self) -> None: ...

    def take_out(self) -> None:
        """Leave the detector without the de-rain blocks: what it was."""
        self._take_neck_out()
        take_early_out(self.model)
        take_filter_out(self.model)

    def put_in(self) -> None:
        """Put the de-rain blocks in, where they are not."""
        self._put_neck_in()
        if self.early is not None:
            put_early_in(self.model, self.early)
        if self.image_filter is not None:
            put_filter_in(self.model, self.image_filter)

    @abstractmethod
    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found in ``(H, W, 3)`` uint8, BGR: bboxes in its pixels, on the CPU."""

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Take the de-rain blocks out for a while: the teacher has the same weights, not a copy."""
        self.take_out()
        try:
            yield
        finally:
            self.put_in()
