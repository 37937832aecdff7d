"""The generations of RT-DETR that transformers has, and its classes for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import (
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)
from transformers.models.d_fine.modeling_d_fine import DFineConvEncoder, DFineHybridEncoder
from transformers.models.rt_detr.modeling_rt_detr import RTDetrConvEncoder, RTDetrHybridEncoder
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import (
    RTDetrV2ConvEncoder,
    RTDetrV2HybridEncoder,
)

from derain_plugin.models.rtdetr.decoder import (
    DFINEDecoder,
    RTDETRDecoder,
    RTDETRv2Decoder,
)


@dataclass(frozen=True)
class RTDETRFamily:
    """transformers' classes of one generation, and our part of its detector.

    Attributes:
        config: Config of the detector.
        backbone_config: Config of the backbone.
        detector: The unsplit detector.
        backbone: What transformers wraps around the backbone.
        encoder: The hybrid encoder.
        decoder: What comes after it, losses included.
    """

    config: Any
    backbone_config: Any
    detector: Any
    backbone: Any
    encoder: Any
    decoder: Any


# By transformers' model_type, which its configs and a checkpoint's config.json carry.
FAMILIES = {
    "rt_detr": RTDETRFamily(
        config=RTDetrConfig,
        backbone_config=RTDetrResNetConfig,
        detector=RTDetrForObjectDetection,
        backbone=RTDetrConvEncoder,
        encoder=RTDetrHybridEncoder,
        decoder=RTDETRDecoder,
    ),
    "rt_detr_v2": RTDETRFamily(
        config=RTDetrV2Config,
        backbone_config=RTDetrResNetConfig,
        detector=RTDetrV2ForObjectDetection,
        backbone=RTDetrV2ConvEncoder,
        encoder=RTDetrV2HybridEncoder,
        decoder=RTDETRv2Decoder,
    ),
    "d_fine": RTDETRFamily(
        config=DFineConfig,
        backbone_config=HGNetV2Config,
        detector=DFineForObjectDetection,
        backbone=DFineConvEncoder,
        encoder=DFineHybridEncoder,
        decoder=DFINEDecoder,
    ),
}


def family_of(config: Any) -> RTDETRFamily:
    """Find the classes for a config that :func:`rtdetr_config` built."""
    return FAMILIES[config.model_type]
