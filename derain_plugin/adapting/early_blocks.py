"""Early de-rain blocks of an adapter: inside a backbone that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from torch import nn

from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.models.backbones import (
    EarlyFeatureDerain,
    RTDETRBackbone,
    add_early_derain,
    remove_early_derain,
)
from derain_plugin.models.backbones.derain_backbone import block_name, channels_of, modules_at
from derain_plugin.models.rtdetr.parts import backbone_of, stages_of


class AdapterBlocks(EarlyFeatureDerain):
    """Early blocks that are an adapter's, unlike those that a detector was trained with.

    Args:
        stage_channels: Channels by module of the backbone, from the first to run, at which the
            gate looks.
        places: Which of these modules have a block.
        **options: Of :class:`EarlyFeatureDerain`.

    Attributes:
        settings: ``type`` and arguments, as an adapter's config has them.
    """

    TYPE = EarlyFeatureDerain.__name__

    def __init__(
        self, stage_channels: Mapping[str, int], places: Sequence[str], **options: Any
    ) -> None:
        channels = {block_name(place): number for place, number in stage_channels.items()}
        super().__init__(channels, [block_name(place) for place in places], **options)
        self.settings: dict[str, Any] = dict(
            type=self.TYPE, stage_channels=dict(stage_channels), places=list(places), **options
        )

    def describe(self) -> str:
        """Say for people where they are."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        places = ", ".join(self.settings["places"])
        return f"blocks inside the backbone, after {places}; {parameters:,} parameters train"


def build_early(model: nn.Module, places: Sequence[str], *, seed: int = 0) -> AdapterBlocks | None:
    """Build blocks for a detector, which stays as it is; None for no ``places``.

    Args:
        model: Of mmdet, or of transformers without an adapter.
        places: Names of modules of the backbone, as :func:`add_early_derain` takes them; for
            RT-DETR, RT-DETRv2, D-FINE and DEIMv2 of either library their stages, ``stem``,
            ``stage1``, ...
        seed: Of the weights.

    Raises:
        ValueError: The backbone has no such modules, or has early blocks.
    """
    if not places:
        return None
    detector: Any = model
    is_mmdet = isinstance(model, BaseDetector)
    backbone = detector.backbone if is_mmdet else backbone_of(detector.model)
    if getattr(backbone, "derain", None) is not None:
        raise ValueError(
            f"this {type(backbone).__name__} has early de-rain blocks, and cannot have others "
            f"after {', '.join(places)}: adapt it without early blocks"
        )
    if is_mmdet and not isinstance(backbone, RTDETRBackbone):
        channels = channels_of(backbone, modules_at(backbone, places))
        places = list(channels)
    else:
        inner = backbone.model if is_mmdet else backbone
        channels = channels_of(inner, stages_of(inner))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AdapterBlocks(channels, places)


def early_of(model: nn.Module) -> AdapterBlocks | None:
    """Return an adapter's early blocks in a detector, or None."""
    detector: Any = model
    if isinstance(model, FeatureDerainRTDetr):
        blocks = model.early_derain
    else:
        blocks = getattr(getattr(detector, "backbone", None), "derain", None)
    return blocks if isinstance(blocks, AdapterBlocks) else None


def put_early_in(model: nn.Module, blocks: AdapterBlocks) -> None:
    """Put blocks into the backbone of a detector, for those of an adapter that it may have."""
    detector: Any = model
    take_early_out(model)
    blocks.to(next(model.parameters()))
    if isinstance(model, FeatureDerainRTDetr):
        model.set_early_derain(blocks)
        model.config.early_derain = blocks.settings
    elif isinstance(detector.backbone, RTDETRBackbone):
        detector.backbone.derain = blocks
    else:
        add_early_derain(detector.backbone, blocks, list(blocks.settings["stage_channels"]))


def take_early_out(model: nn.Module) -> None:
    """Leave the backbone as it was, without an adapter's blocks, if it has any."""
    detector: Any = model
    if early_of(model) is None:
        return
    if isinstance(model, FeatureDerainRTDetr):
        model.set_early_derain(None)
        model.config.early_derain = None
    elif isinstance(detector.backbone, RTDETRBackbone):
        del detector.backbone.derain
        detector.backbone.derain = None
    else:
        remove_early_derain(detector.backbone)
