"""Where transformers' detectors of the RT-DETR family keep their parts, and what these give out.

RT-DETR, RT-DETRv2 and D-FINE have ``model.backbone.model``, ``model.encoder_input_proj`` and
``model.encoder``. DEIMv2 has backbone and projections in ``model.conv_encoder``, where a DINOv3
has neither a ``model`` nor projections: its features are already as wide as the encoder. RF-DETR
and LW-DETR have a ViT and a projector in ``model.backbone``, and no other encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.deimv2.modeling_deimv2 import (
    Deimv2DINOv3ConvEncoder,
    Deimv2EncoderOutput,
)
from transformers.models.lw_detr.modeling_lw_detr import LwDetrViTBackbone
from transformers.models.rf_detr.modeling_rf_detr import RfDetrDinov2Backbone

VITS = (RfDetrDinov2Backbone, LwDetrViTBackbone)
"""Backbones whose attention has windows; they give maps of one size."""
NARROW: dict[str, Any] = dict(num_residual_blocks=1, reduction=8)
"""Options of a multi-scale neck behind a ViT, whose maps are all of the same width: with its
defaults it would take more than 3 % of the detector's time."""


class FeatureMaps(list[Tensor]):
    """Feature maps that answer to what transformers asks ``inputs_embeds``, which is one tensor.

    With ``encoder_outputs`` RT-DETR reads nothing else of it. DEIMv2 does without
    ``encoder_outputs`` and hands ``inputs_embeds`` to its encoder, which takes a list. RF-DETR and
    LW-DETR take them as ``pixel_values``, which they hand to :class:`AlreadyProjected`.
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


class AlreadyProjected(nn.Module):
    """Stands where ViT and projector of an RF-DETR or LW-DETR were, for maps that come from them.

    Args:
        in_list: Whether maps and masks are given as a list of pairs, as LW-DETR's are.
    """

    def __init__(self, *, in_list: bool) -> None:
        super().__init__()
        self.in_list = in_list

    def forward(self, maps: Sequence[Tensor], pixel_mask: Tensor) -> Any:
        """Hand the maps on, each with the mask of what is no padding, in its size."""
        mask = pixel_mask[None].float()
        pairs = [(each, interpolate(mask, size=each.shape[-2:]).bool()[0]) for each in maps]
        return pairs if self.in_list else pairs[0]


def has_projector(model: Any) -> bool:
    """Whether a detector's ``model`` is that of an RF-DETR or LW-DETR."""
    backbone = getattr(model, "backbone", None)
    return isinstance(backbone, AlreadyProjected) or hasattr(backbone, "projector")


def has_vit(model: nn.Module) -> bool:
    """Whether a detector, of ours or of transformers, has a ViT of DEIMv2, RF-DETR or LW-DETR."""
    return any(isinstance(part, (*VITS, Deimv2DINOv3ConvEncoder)) for part in model.modules())


def backbone_in(wrapper: Any) -> Any:
    """Return what gives the features in transformers' wrapper of a backbone.

    Args:
        wrapper: A detector's ``model.backbone`` or ``model.conv_encoder``.
    """
    return wrapper.backbone if hasattr(wrapper, "projector") else getattr(wrapper, "model", wrapper)


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
            sides are no multiples of 32; a ViT with windows, and images that do not consist of
            whole windows, or with RF-DETR's are not square.
    """
    size = tuple(images.shape[-2:])
    if isinstance(backbone, VITS):
        _check_windows(backbone, size)
    if hasattr(backbone, "fusion_proj") and (size[0] % 32 or size[1] % 32):
        raise ValueError(
            f"a DINOv3 of DEIMv2 needs images with sides in multiples of 32, got {size}: use "
            "Resize, or pad_size_divisor=32 in data_preprocessor"
        )
    outputs = backbone(images)
    return list(getattr(outputs, "feature_maps", outputs))


def _check_windows(vit: Any, size: tuple[int, ...]) -> None:
    is_square = isinstance(vit, RfDetrDinov2Backbone)
    windows = vit.config.num_windows if is_square else vit.config.num_windows_side
    unit = vit.config.patch_size * windows
    if size[0] % unit or size[1] % unit:
        raise ValueError(
            f"this {type(vit).__name__} has {windows}x{windows} windows of patches of "
            f"{vit.config.patch_size} px, so that sides of images must be multiples of {unit}, "
            f"got {size}: use Resize, or pad_size_divisor={unit} in data_preprocessor"
        )
    if is_square and windows > 1 and size[0] != size[1]:
        raise ValueError(
            f"RF-DETR needs square images, got {size}: of others transformers mixes up the places "
            "of its patches. Use Resize with keep_ratio=False"
        )


def projected(model: Any, feats: Sequence[Tensor]) -> FeatureMaps:
    """Give features the width of the hybrid encoder; ``model`` is a detector's ``model``."""
    holder = getattr(model, "conv_encoder", model)
    projections = getattr(holder, "encoder_input_proj", None)
    if projections is None:
        return FeatureMaps(feats)
    return FeatureMaps(proj(feat) for proj, feat in zip(projections, feats, strict=True))


def encoded(model: Any, feats: Sequence[Tensor], **options: Any) -> Any:
    """Return what a detector's hybrid encoder or projector makes of the backbone's features."""
    encoder = model.backbone.projector if has_projector(model) else model.encoder
    return encoder(projected(model, feats), **options)


def inputs_of(model: Any, maps: Sequence[Tensor]) -> dict[str, Any]:
    """Return arguments with which a detector starts from encoded maps, see :func:`without_encoder`.

    Args:
        model: Its ``model``.
        maps: From its encoder.
    """
    maps = FeatureMaps(maps)
    if has_projector(model):
        return dict(pixel_values=maps)
    outputs = BaseModelOutput(last_hidden_state=maps)
    return dict(pixel_values=None, inputs_embeds=maps, encoder_outputs=outputs)


def stand_in(model: Any) -> tuple[str, nn.Module] | None:
    """Return name and substitute of the part of a detector's ``model`` that encoded maps skip.

    None where the model takes ``encoder_outputs``, which the later ones do not look at.
    """
    if has_projector(model):
        return "backbone", AlreadyProjected(
            in_list=hasattr(model.backbone.projector, "scale_layers")
        )
    return ("encoder", AlreadyEncoded()) if hasattr(model, "conv_encoder") else None


@contextmanager
def without_encoder(model: Any) -> Iterator[None]:
    """Let a detector's ``model`` take encoded maps, too, for a while; see :func:`inputs_of`."""
    found = stand_in(model)
    if found is None:
        yield
        return
    name, substitute = found
    own = getattr(model, name)
    setattr(model, name, substitute)
    try:
        yield
    finally:
        setattr(model, name, own)


def maps_of(encoded: Any) -> list[Tensor]:
    """Return the maps in what a hybrid encoder or a projector gives."""
    if isinstance(encoded, Tensor):
        return [encoded]
    if isinstance(encoded, list):
        return encoded
    return list(encoded.feature_maps if "feature_maps" in encoded else encoded.last_hidden_state)


def layers_of(backbone: Any) -> list[nn.Module]:
    """Return the stem of a backbone and what comes after it: stages, or the layers of a ViT."""
    if isinstance(backbone, VITS):
        return [backbone.embeddings, *backbone.encoder.layer]
    vit = getattr(backbone, "backbone", None)
    if vit is not None:
        return [vit.embeddings, *vit.model.layer]
    return [backbone.embedder, *backbone.encoder.stages]


def unused_parameters(backbone: Any) -> Iterator[nn.Parameter]:
    """Give the parameters on which no map depends: a ViT's mask token, and layers after the last.

    LW-DETR's ViTs and that of RF-DETR's base have one layer more than they give maps of.
    """
    last = max(backbone.config.out_indices) if isinstance(backbone, VITS) else None
    for layer in [] if last is None else layers_of(backbone)[last + 1 :]:
        yield from layer.parameters()
    yield from (each for name, each in backbone.named_parameters() if name.endswith("mask_token"))


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
