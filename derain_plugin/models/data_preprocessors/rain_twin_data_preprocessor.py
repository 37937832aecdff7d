"""Batches of rainy images with their clean versions and their streaks."""

from __future__ import annotations

import copy

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor

TWIN_CHANNELS = 7


@MODELS.register_module()
class RainTwinDataPreprocessor(DetDataPreprocessor):
    """mmdet's data preprocessor, for the images of ``RainTwin`` as well.

    In training it takes the seven channels of ``RainTwin`` apart into three images, which go
    through mmdet's preprocessing in one batch: the same padding, the same size drawn by a batch
    augmentation. Images of three channels are treated as ``DetDataPreprocessor`` does.

    Batch augmentations may move pixels but not change colours or mix images. Arguments are
    those of ``DetDataPreprocessor``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data: ``inputs``, a list of ``(3 or 7, H_i, W_i)`` or one tensor of them, 0-255, and
                ``data_samples``.
            training: Whether to apply the batch augmentations.

        Returns:
            ``inputs``, ``(N, 3, H, W)``, normalised, and ``data_samples``; of seven channels
            also ``clean``, as ``inputs`` but without rain, and ``streaks``, ``(N, 1, H, W)``, their
            opacity 0-1.

        Raises:
            ValueError: Images have other numbers of channels, or seven outside training.
        """
        channels = {len(image) for image in data["inputs"]}
        if channels == {3}:
            return super().forward(data, training)
        if channels != {TWIN_CHANNELS} or not training:
            raise ValueError(
                f"images must have 3 channels, or in training the {TWIN_CHANNELS} of RainTwin, "
                f"got {sorted(channels)} with training={training}: let both sides of a training "
                "set have RainTwin in their pipelines (severity=0 on the clean one), and no other"
            )
        data = self.cast_data(data)
        samples, images = data["data_samples"], list(data["inputs"])
        # Batch augmentations move annotations, some of them in the tensor itself.
        copies = [copy.deepcopy(sample) for _ in range(2) for sample in samples]
        batch = super().forward(
            dict(inputs=self._taken_apart(images), data_samples=[*samples, *copies]), training
        )
        inputs, clean, streaks = batch["inputs"].chunk(3)
        return dict(
            inputs=inputs,
            data_samples=batch["data_samples"][: len(samples)],
            clean=clean,
            streaks=streaks[:, :1],
        )

    def _taken_apart(self, images: list[Tensor]) -> list[Tensor]:
        """Return all rainy images, then all clean ones, then all streaks."""
        return [
            *(image[:3] for image in images),
            *(image[3:6] for image in images),
            *(self._as_image(image[6:]) for image in images),
        ]

    def _as_image(self, streaks: Tensor) -> Tensor:
        """Return an image whose normalisation has the opacity, 0-1, in its first channel."""
        opacity = streaks.float() / 255
        if self._enable_normalize:
            opacity = opacity * self.std[0] + self.mean[0]
        return opacity.expand(3, -1, -1)
