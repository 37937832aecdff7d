"""The part of transformers' RT-DETR and its successors that comes after the hybrid encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Deimv2Config,
    Deimv2ForObjectDetection,
    DFineConfig,
    DFineForObjectDetection,
    PreTrainedModel,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from derain_plugin.models.rtdetr.half_on_cpu import HalfOnCpuWarning
from derain_plugin.models.rtdetr.init import init_like_upstream
from derain_plugin.models.rtdetr.parts import AlreadyEncoded, FeatureMaps


class EncoderlessDetector(PreTrainedModel):
    """Take backbone, input projections and hybrid encoder out of a detector of transformers.

    Query selection, denoising, decoder, prediction heads and loss are transformers' own code,
    with the same state-dict names; it only starts from the encoder's maps. The loss is computed
    in fp32 under autocast too, where the matcher's logarithms would underflow. Where predictions
    are NaN, so is the loss, which the matcher would not come to: see ``SkipNonFiniteHook``.

    Args:
        config: The whole detector's config.

    Attributes:
        class_loss: transformers' name for the loss of the classes.
    """

    _tied_weights_keys = None  # of RT-DETRv2 and later: to heads that are taken out, too
    class_loss = "loss_vfl"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.loss_type = type(self).__bases__[-1].__name__  # transformers takes the class's name
        for name in ("backbone", "conv_encoder", "encoder_input_proj", "encoder"):
            if hasattr(self.model, name):
                delattr(self.model, name)
        for name in ("class_embed", "bbox_embed"):
            if hasattr(self, name):  # a copy of the decoder's, which alone is used
                delattr(self, name)
        init_like_upstream(self)
        self._warn_of_half = HalfOnCpuWarning()

    def forward(
        self, feats: tuple[Tensor, ...], labels: list[dict[str, Tensor]] | None = None
    ) -> Any:
        """Detect from the encoder's maps, and with ``labels`` compute the losses.

        Args:
            feats: Tuple of ``(N, decoder_in_channels[i], H_i, W_i)``.
            labels: Per image ``class_labels`` (M,), int64, and ``boxes`` (M, 4) as
                cx, cy, w, h in 0-1.

        Returns:
            transformers' output of the whole detector.

        Raises:
            ValueError: The maps have fewer locations than there are queries to choose.
        """
        self._require_enough(feats)
        self._warn_of_half(feats, channels=self.config.d_model)
        maps = FeatureMaps(feats)
        return super().forward(
            pixel_values=None, inputs_embeds=maps, encoder_outputs=(maps,), labels=labels
        )

    def _require_enough(self, feats: tuple[Tensor, ...]) -> None:
        count = sum(feat.shape[-2] * feat.shape[-1] for feat in feats)
        # Where upstream adds levels of its own they are not counted here.
        if count < self.config.num_queries and len(feats) == self.config.num_feature_levels:
            raise ValueError(
                f"the image gives {count} locations on maps of "
                f"{', '.join(f'{f.shape[-2]} x {f.shape[-1]}' for f in feats)}, fewer than the "
                f"{self.config.num_queries} queries: take larger images, or set num_queries in "
                "bbox_head"
            )

    @property
    def loss_function(self) -> Callable[..., Any]:
        """Transformers' loss, with autocast off and floating-point inputs in fp32."""
        loss_function = super().loss_function

        def in_fp32(logits: Tensor, *args: Any, **kwargs: Any) -> Any:
            inputs = [arg for arg in (logits, *args, *kwargs.values()) if isinstance(arg, Tensor)]
            if torch.stack([item.isnan().any() for item in inputs]).any():  # waits once
                return _nan_loss(inputs, self.class_loss)
            with torch.autocast(logits.device.type, enabled=False):
                return loss_function(
                    _to_fp32(logits),
                    *(_to_fp32(arg) for arg in args),
                    **{name: _to_fp32(arg) for name, arg in kwargs.items()},
                )

        return in_fp32


class RTDETRDecoder(EncoderlessDetector, RTDetrForObjectDetection):
    """``RTDetrForObjectDetection`` (Zhao et al. 2023) after its hybrid encoder."""

    config: RTDetrConfig


class RTDETRv2Decoder(EncoderlessDetector, RTDetrV2ForObjectDetection):
    """``RTDetrV2ForObjectDetection`` (Lv et al. 2024, arXiv 2407.17140) after its encoder."""

    config: RTDetrV2Config


class DFINEDecoder(EncoderlessDetector, DFineForObjectDetection):
    """``DFineForObjectDetection`` (Peng et al. 2024, arXiv 2410.13842) after its encoder."""

    config: DFineConfig


class DEIMv2Decoder(EncoderlessDetector, Deimv2ForObjectDetection):
    """``Deimv2ForObjectDetection`` (Huang et al. 2025, arXiv 2509.20787) after its encoder."""

    config: Deimv2Config
    class_loss = "loss_mal"

    def __init__(self, config: Deimv2Config) -> None:
        super().__init__(config)
        self.model.encoder = AlreadyEncoded()


def _nan_loss(inputs: list[Tensor], name: str) -> tuple[Tensor, dict[str, Tensor], None]:
    """Depends on all that the loss depends on: DDP waits for every gradient."""
    loss = torch.stack([item.sum() for item in inputs if item.requires_grad]).sum() * math.nan
    return loss, {name: loss}, None


def _to_fp32(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value
