"""A frozen detector with de-rain blocks that can be put in and taken out, of mmdet or transformers.

Both kinds of library get the same few methods, so that training, measuring and adapter files do
not ask which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from torch import nn

from derain_plugin.adapting.base_frozen_detector import FrozenDetector
from derain_plugin.adapting.early_blocks import AdapterBlocks, early_of
from derain_plugin.adapting.front_filter import AdapterFilter, filter_of
from derain_plugin.adapting.frozen_mmdet import FrozenMMDetDetector
from derain_plugin.adapting.frozen_transformers import FrozenTransformersDetector
from derain_plugin.hf.configuration_feature_derain_rtdetr import (
    DETECTORS,
    FeatureDerainRTDetrConfig,
)
from derain_plugin.models.rtdetr.parts import NARROW, has_vit

DERAIN = dict(type="MultiScaleFeatureDerain")


def freeze(
    model: nn.Module,
    prepare: Any,
    *,
    derain: Mapping[str, Any] | None = None,
    early: AdapterBlocks | None = None,
    image_filter: AdapterFilter | None = None,
    seed: int = 0,
) -> FrozenDetector:
    """Freeze a detector and put de-rain blocks into it, fresh ones unless it has an adapter's.

    Args:
        model: A detector of mmdet, or an RT-DETR of transformers or one of its kin, up to LW-DETR.
        prepare: For mmdet what makes of an image, ``(H, W, 3)`` uint8, BGR, a packed sample: the
            test pipeline; for transformers the image processor.
        derain: ``type`` and options of a de-rain neck; its channels are the backbone's. By
            default those of :func:`default_derain`.
        early: Blocks for inside its backbone, see :func:`build_early`.
        image_filter: For in front of it, see :func:`build_filter`.
        seed: Of the weights of a fresh neck.

    Raises:
        TypeError: A detector of another library.
    """
    check_detector(model)
    derain = derain or default_derain(model)
    is_mmdet = isinstance(model, BaseDetector)
    kind: Any = FrozenMMDetDetector if is_mmdet else FrozenTransformersDetector
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        early, image_filter = early_of(model) or early, filter_of(model) or image_filter
        detector: FrozenDetector = kind(model, prepare, derain)
    if early is not None:
        detector.early = early.eval().requires_grad_(True)
    if image_filter is not None:
        detector.image_filter = image_filter.eval().requires_grad_(True)
    detector.put_in()
    return detector


def default_derain(model: nn.Module) -> dict[str, Any]:
    """Return ``type`` and options of the neck that a detector gets where none is asked for."""
    return {**DERAIN, **(NARROW if has_vit(model) else {})}


def check_detector(model: nn.Module) -> None:
    """Refuse what has no place for a de-rain neck.

    Raises:
        TypeError: A model of another library, or another model of transformers.
    """
    if isinstance(model, BaseDetector):
        return
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in (*DETECTORS, FeatureDerainRTDetrConfig.model_type):
        raise TypeError(
            f"{kind} cannot be adapted: it must be a detector of mmdet, or of transformers one of "
            f"{', '.join(DETECTORS)}"
        )
