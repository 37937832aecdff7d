"""Pixel-level de-raining: a network restores the images before any detector sees them."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor

from derain_plugin.engine.safety import install


@MODELS.register_module()
class PixelDerainDataPreprocessor(DetDataPreprocessor):
    """mmdet's data preprocessor behind a network that restores each image first.

    Goes in front of any mmdet detector instead of ``DetDataPreprocessor``. Images are restored
    before normalisation, padding and batch augmentations, one at a time: they may differ in size,
    and a pixel-level network needs gigabytes for a batch. They are handed over as RGB, 0-255, in
    the device and dtype of the restorer's parameters and under the caller's autocast; what comes
    back is clamped to 0-255 and not rounded.

    A frozen restorer stays in evaluation mode, without gradients and graph. A trainable one
    learns from the detector's loss (in a phase: ``"data_preprocessor.restorer"``); where the
    clamp cuts, no gradient passes.

    Weights of the restorer's own ``init_cfg`` are loaded at construction, so that testing
    has them as well as training. A checkpoint of the detector alone leaves them as they are.

    Args:
        restorer: Config of a registered module with ``restore(images)``: ``(N, 3, H, W)`` RGB,
            float, 0-255 in and out, such as :class:`SPDNet`.
        trainable: Whether the detector's loss trains the restorer.
        rgb_to_bgr: As in mmdet, for pipelines that load RGB. Otherwise images come as BGR.
        **kwargs: The other arguments of ``DetDataPreprocessor``.

    Raises:
        TypeError: If the restorer has no ``restore``.
    """

    def __init__(
        self, restorer: dict, *, trainable: bool = False, rgb_to_bgr: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(rgb_to_bgr=rgb_to_bgr, **kwargs)
        self.restorer = MODELS.build(restorer)
        if not hasattr(self.restorer, "restore"):
            raise TypeError(
                "`restorer` must be a module with restore(images), such as SPDNet, got "
                f"{type(self.restorer).__name__}"
            )
        if getattr(self.restorer, "init_cfg", None):
            with install():
                self.restorer.init_weights()
        self.trainable = trainable
        self._images_are_rgb = rgb_to_bgr
        if not trainable:
            self.restorer.requires_grad_(False).eval()

    def forward(self, data: dict, training: bool = False) -> dict:
        """Restore ``data["inputs"]``, then do what mmdet's data preprocessor does.

        Args:
            data: ``inputs``, a list of ``(3, H_i, W_i)`` or one ``(N, 3, H, W)``, uint8 or float
                0-255, and ``data_samples``.
            training: Whether to apply the batch augmentations.

        Returns:
            ``inputs``, ``(N, 3, H, W)``, normalised, and ``data_samples``.
        """
        data = self.cast_data(data)
        images = data["inputs"]
        restored: Any = [self._restore(image) for image in images]
        if isinstance(images, Tensor):
            restored = torch.stack(restored)
        return super().forward({**data, "inputs": restored}, training)

    def train(self, mode: bool = True) -> PixelDerainDataPreprocessor:
        """Keep a frozen restorer in evaluation mode."""
        super().train(mode)
        if not self.trainable:
            self.restorer.eval()
        return self

    def _restore(self, image: Tensor) -> Tensor:
        dtype = next((p.dtype for p in self.restorer.parameters()), torch.float32)
        restored = self.restorer.restore(self._swap_to_rgb(image)[None].to(dtype))[0]
        return self._swap_to_rgb(restored.clamp(0, 255))

    def _swap_to_rgb(self, image: Tensor) -> Tensor:
        """Reverse the channels of BGR, which is its own inverse."""
        return image if self._images_are_rgb else image.flip(0)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        own = self.restorer.state_dict(prefix=f"{prefix}restorer.")
        if own and not any(key in state_dict for key in own):
            state_dict.update(own)
            is_loaded = bool(getattr(self.restorer, "init_cfg", None))
            kept = "those of its init_cfg" if is_loaded else "its own, random unless loaded before"
            print_log(
                f"the checkpoint has no weights of {type(self.restorer).__name__}: it keeps {kept}",
                logger="current",
                level=logging.INFO if is_loaded else logging.WARNING,
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
