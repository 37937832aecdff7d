"""Where transformers' detectors of the RT-DETR family keep their parts, and what these give out.

RT-DETR, RT-DETRv2 and D-FINE have ``model.backbone.model``, ``model.encoder_input_proj`` and
``model.encoder``. DEIMv2 has backbone and projections in ``model.conv_encoder``, where a DINOv3
has neither a ``model`` nor projections: its features are already as wide as the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.deimv2.modeling_deimv2 import Deimv2EncoderOutput


class FeatureMaps(list[Tensor]):
    """Feature maps that answer to what transformers asks ``inputs_embeds``, which is one tensor.

    With ``encoder_outputs`` RT-DETR reads nothing else of it. DEIMv2 does without
    ``encoder_outputs`` and hands ``inputs_embeds`` to its encoder, which takes a list.
    """

    @property
    def shape(self) -> torch.Size:
        """Of the first map; the batch size is what is read."""
        return self[0].shape

    @property
    def device(self) -> torch.device:
        """Of the first map."""
        return self[0].device


class AlreadyEncoded(nn.Module):
    """Stands where DEIMv2's encoder was, for maps that come from one."""

    def forward(self, maps: list[Tensor], **_: Any) -> Deimv2EncoderOutput:
        """Hand the maps on."""
        return Deimv2EncoderOutput(feature_maps=maps)


def backbone_in(wrapper: Any) -> Any:
    """Return what gives the features in transformers' wrapper of a backbone.

    Args:
        wrapper: A detector's ``model.backbone`` or ``model.conv_encoder``.
    """
    return getattr(wrapper, "model", wrapper)


def backbone_of(model: Any) -> Any:
    """Return what gives the features of a detector; ``model`` is its ``model``."""
    wrapper = getattr(model, "conv_encoder", None)
    return backbone_in(model.backbone if wrapper is None else wrapper)


def channels_given(backbone: Any) -> tuple[int, ...]:
    """Return the channels of each level that :func:`features_of` gives."""
    if hasattr(backbone, "fusion_proj"):  # DINOv3 with its spatial tuning adapter
        return tuple(fusion.conv.out_channels for fusion in backbone.fusion_proj)
    return tuple(backbone.channels)


def features_of(backbone: Any, images: Tensor) -> list[Tensor]:
    """Return the feature maps of images, ``(N, C_i, H_i, W_i)`` each.

    Raises:
        ValueError: A DINOv3, whose maps are joined to those of convolutions, and images whose
            sides are no multiples of 32.
    """
    size = tuple(images.shape[-2:])
    if hasattr(backbone, "fusion_proj") and (size[0] % 32 or size[1] % 32):
        raise ValueError(
            f"a DINOv3 of DEIMv2 needs images with sides in multiples of 32, got {size}: use "
            "Resize, or pad_size_divisor=32 in data_preprocessor"
        )
    outputs = backbone(images)
    return list(getattr(outputs, "feature_maps", outputs))


def projected(model: Any, feats: Sequence[Tensor]) -> FeatureMaps:
    """Give features the width of the hybrid encoder; ``model`` is a detector's ``model``."""
    holder = getattr(model, "conv_encoder", model)
    projections = getattr(holder, "encoder_input_proj", None)
    if projections is None:
        return FeatureMaps(feats)
    return FeatureMaps(proj(feat) for proj, feat in zip(projections, feats, strict=True))


def knows_encoder_outputs(model: Any) -> bool:
    """Whether a detector's ``model`` takes ``encoder_outputs``, which DEIMv2 does not look at."""
    return not hasattr(model, "conv_encoder")


@contextmanager
def without_encoder(model: Any) -> Iterator[None]:
    """Let a detector's ``model`` take encoded maps as ``inputs_embeds``, too, for a while."""
    if knows_encoder_outputs(model):
        yield
        return
    encoder, model.encoder = model.encoder, AlreadyEncoded()
    try:
        yield
    finally:
        model.encoder = encoder


def maps_of(encoded: Any) -> list[Tensor]:
    """Return the maps in what a hybrid encoder gives."""
    return list(encoded.feature_maps if "feature_maps" in encoded else encoded.last_hidden_state)


def layers_of(backbone: Any) -> list[nn.Module]:
    """Return the stem of a backbone and what comes after it: stages, or the layers of a ViT."""
    vit = getattr(backbone, "backbone", None)
    if vit is not None:
        return [vit.embeddings, *vit.model.layer]
    return [backbone.embedder, *backbone.encoder.stages]


def stages_of(backbone: Any) -> dict[str, nn.Module]:
    """Return the parts of a backbone that give maps, by transformers' stage names.

    Raises:
        ValueError: A backbone of another library, whose parts have other names, or a ViT, whose
            parts give tokens.
    """
    if not (hasattr(backbone, "embedder") and hasattr(backbone, "encoder")):
        raise ValueError(
            f"{type(backbone).__name__} cannot have early de-rain blocks: only transformers' "
            "ResNet and HGNetV2 of RT-DETR, RT-DETRv2, D-FINE and DEIMv2 can"
        )
    return dict(zip(backbone.stage_names, layers_of(backbone), strict=True))
