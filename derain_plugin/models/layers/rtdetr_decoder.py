"""The part of transformers' RT-DETR that comes after the hybrid encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import RTDetrConfig, RTDetrForObjectDetection
from transformers.models.rt_detr.modeling_rt_detr import RTDetrObjectDetectionOutput

from derain_plugin.models.layers.rtdetr_init import init_like_upstream


class RTDETRDecoder(RTDetrForObjectDetection):
    """``RTDetrForObjectDetection`` without backbone, input projections and hybrid encoder.

    Query selection, denoising, decoder, prediction heads and loss are transformers' own code,
    with the same state-dict names; it only starts from the encoder's maps. The loss is computed
    in fp32 under autocast too, where the matcher's logarithms would underflow.

    Args:
        config: The whole detector's config.
    """

    def __init__(self, config: RTDetrConfig) -> None:
        super().__init__(config)
        self.loss_type = RTDetrForObjectDetection.__name__  # transformers takes the class's name
        for name in ("backbone", "encoder_input_proj", "encoder"):
            delattr(self.model, name)
        init_like_upstream(self)

    def forward(
        self, feats: tuple[Tensor, ...], labels: list[dict[str, Tensor]] | None = None
    ) -> RTDetrObjectDetectionOutput:
        """Detect from the encoder's maps, and with ``labels`` compute the losses.

        Args:
            feats: Tuple of ``(N, decoder_in_channels[i], H_i, W_i)``.
            labels: Per image ``class_labels`` (M,), int64, and ``boxes`` (M, 4) as
                cx, cy, w, h in 0-1.
        """
        return super().forward(
            pixel_values=None, inputs_embeds=feats[0], encoder_outputs=(list(feats),), labels=labels
        )

    @property
    def loss_function(self) -> Callable[..., Any]:
        """Transformers' loss, with autocast off and floating-point inputs in fp32."""
        loss_function = super().loss_function

        def in_fp32(logits: Tensor, *args: Any, **kwargs: Any) -> Any:
            with torch.autocast(logits.device.type, enabled=False):
                return loss_function(
                    _to_fp32(logits),
                    *(_to_fp32(arg) for arg in args),
                    **{name: _to_fp32(arg) for name, arg in kwargs.items()},
                )

        return in_fp32


def _to_fp32(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value
