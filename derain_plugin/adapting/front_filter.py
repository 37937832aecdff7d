"""The image filter of an adapter: in front of a backbone that stays as it is."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from torch import nn

from derain_plugin.hf.image_processor import processor_statistics
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.models.backbones import ImageFilter, add_image_filter, remove_image_filter
from derain_plugin.models.data_preprocessors.pixel_statistics import pixel_statistics


class AdapterFilter(ImageFilter):
    """A filter that is an adapter's, unlike one that a detector was trained with."""

    TYPE = ImageFilter.__name__

    def describe(self) -> str:
        """Say for people what it does."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return (
            "haze and contrast of each image, in front of the backbone; "
            f"{parameters:,} parameters train"
        )


def build_filter(model: nn.Module, prepare: Any, *, seed: int = 0) -> AdapterFilter:
    """Build a fresh filter for a detector, which stays as it is.

    Args:
        model: Of mmdet, or of transformers without an adapter.
        prepare: For transformers the image processor: it says how images are normalised, as the
            data preprocessor does in mmdet.
        seed: Of the weights.

    Raises:
        ValueError: The detector has a filter already.
    """
    detector: Any = model
    if getattr(getattr(detector, "backbone", None), "image_filter", None) is not None:
        raise ValueError(
            f"the backbone of this {type(model).__name__} has an image filter, and cannot have "
            "another one in front: adapt it without a filter (--no-filter)"
        )
    is_mmdet = isinstance(model, BaseDetector)
    statistics: dict[str, Any] = (
        pixel_statistics(detector.data_preprocessor)
        if is_mmdet
        else processor_statistics(prepare.to_dict())
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AdapterFilter(**statistics)


def filter_of(model: nn.Module) -> AdapterFilter | None:
    """Return an adapter's filter in front of a detector's backbone, or None."""
    is_ours = isinstance(model, FeatureDerainRTDetr)
    holder = model if is_ours else getattr(model, "backbone", None)
    found = getattr(holder, "image_filter", None)
    return found if isinstance(found, AdapterFilter) else None


def put_filter_in(model: nn.Module, image_filter: AdapterFilter) -> None:
    """Put a filter in front of a backbone, for that of an adapter that may be there."""
    detector: Any = model
    take_filter_out(model)
    if isinstance(model, FeatureDerainRTDetr):
        detector.image_filter = image_filter.to(next(model.parameters()))
        detector.config.image_filter = image_filter.settings
    else:
        add_image_filter(detector.backbone, image_filter)


def take_filter_out(model: nn.Module) -> None:
    """Leave the backbone as it was, without an adapter's filter, if it has one."""
    detector: Any = model
    if filter_of(model) is None:
        return
    if isinstance(model, FeatureDerainRTDetr):
        detector.image_filter = detector.config.image_filter = None
    else:
        remove_image_filter(detector.backbone)
