"""The part of transformers' RT-DETR and its successors that comes after encoder or projector."""

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
    LwDetrConfig,
    LwDetrForObjectDetection,
    PreTrainedModel,
    RfDetrConfig,
    RfDetrForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from derain_plugin.models.rtdetr.half_on_cpu import HalfOnCpuWarning
from derain_plugin.models.rtdetr.init import init_like_upstream
from derain_plugin.models.rtdetr.parts import inputs_of, stand_in


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
        copied_heads: Second names of heads, which are the decoder's.
        averages_boxes: Whether the loss is divided by the mean number of boxes over the ranks.
    """

    _tied_weights_keys = None  # of RT-DETRv2 and later: to heads that are taken out, too
    class_loss = "loss_vfl"
    copied_heads: tuple[str, ...] = ("class_embed", "bbox_embed")
    averages_boxes = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.loss_type = type(self).__bases__[-1].__name__  # transformers takes the class's name
        substitute = stand_in(self.model)
        for name in ("backbone", "conv_encoder", "encoder_input_proj", "encoder"):
            if hasattr(self.model, name):
                delattr(self.model, name)
        if substitute is not None:
            self.model.add_module(*substitute)
        for name in self.copied_heads:
            if hasattr(self, name):
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
        return super().forward(**inputs_of(self.model, feats), labels=labels)

    def weighted(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the terms of ``loss_dict`` as their sum is the loss; here they are so."""
        return losses

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


class GroupedDecoder(EncoderlessDetector):
    """What comes after the projector of an RF-DETR or LW-DETR.

    In training there are ``group_detr`` groups of queries, each matched for itself (Chen et al.
    2023, https://arxiv.org/abs/2207.13085); only the first one detects.
    """

    class_loss = "loss_ce"
    copied_heads = ()
    averages_boxes = True

    def weighted(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the terms with their weights, without ``cardinality_error``, which is none."""
        config = self.config
        weights = dict(
            loss_ce=config.class_loss_coefficient,
            loss_bbox=config.bbox_loss_coefficient,
            loss_giou=config.giou_loss_coefficient,
        )
        return {
            name: loss * weight
            for name, loss in losses.items()
            for kind, weight in weights.items()
            if name.startswith(kind)
        }


class RFDETRDecoder(GroupedDecoder, RfDetrForObjectDetection):
    """``RfDetrForObjectDetection`` (Robinson et al. 2025, arXiv 2511.09554) after its projector."""

    config: RfDetrConfig


class LWDETRDecoder(GroupedDecoder, LwDetrForObjectDetection):
    """``LwDetrForObjectDetection`` (Chen et al. 2024, arXiv 2406.03459) after its projector."""

    config: LwDetrConfig


def _nan_loss(inputs: list[Tensor], name: str) -> tuple[Tensor, dict[str, Tensor], None]:
    """Depends on all that the loss depends on: DDP waits for every gradient."""
    loss = torch.stack([item.sum() for item in inputs if item.requires_grad]).sum() * math.nan
    return loss, {name: loss}, None


def _to_fp32(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value
