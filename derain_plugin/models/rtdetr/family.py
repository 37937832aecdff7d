"""The generations of RT-DETR that transformers has, and its classes for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import (
    Deimv2Config,
    Deimv2ForObjectDetection,
    DFineConfig,
    DFineForObjectDetection,
    DINOv3ViTConfig,
    HGNetV2Config,
    LwDetrConfig,
    LwDetrForObjectDetection,
    LwDetrViTConfig,
    RfDetrConfig,
    RfDetrDinov2Config,
    RfDetrForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)
from transformers.models.d_fine.modeling_d_fine import DFineConvEncoder, DFineHybridEncoder
from transformers.models.deimv2.modeling_deimv2 import (
    Deimv2ConvEncoder,
    Deimv2ConvNormLayer,
    Deimv2DINOv3ConvEncoder,
    Deimv2HybridEncoder,
    Deimv2LiteEncoder,
)
from transformers.models.lw_detr.modeling_lw_detr import (
    LwDetrMultiScaleProjector,
    LwDetrViTBackbone,
)
from transformers.models.rf_detr.modeling_rf_detr import RfDetrDinov2Backbone, RfDetrScaleProjector
from transformers.models.rt_detr.modeling_rt_detr import RTDetrConvEncoder, RTDetrHybridEncoder
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import (
    RTDetrV2ConvEncoder,
    RTDetrV2HybridEncoder,
)

from derain_plugin.models.rtdetr.decoder import (
    DEIMv2Decoder,
    DFINEDecoder,
    LWDETRDecoder,
    RFDETRDecoder,
    RTDETRDecoder,
    RTDETRv2Decoder,
)


def _convolution_and_norm(config: Any, channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, config.encoder_hidden_dim, kernel_size=1, bias=False),
        nn.BatchNorm2d(config.encoder_hidden_dim),
    )


def _has_dinov3(config: Any) -> bool:
    return config.backbone_config.model_type == DINOv3ViTConfig.model_type


def _deimv2_backbone(config: Any) -> nn.Module:
    return (Deimv2DINOv3ConvEncoder if _has_dinov3(config) else Deimv2ConvEncoder)(config)


def _deimv2_projection(config: Any, channels: int) -> nn.Module:
    # The lite encoder has its own, and DINOv3's features are as wide as the encoder.
    if config.encoder_type == "lite" or _has_dinov3(config):
        return nn.Identity()
    return Deimv2ConvNormLayer(config, channels, config.encoder_hidden_dim, 1, 1)


def _deimv2_encoder(config: Any) -> nn.Module:
    return (Deimv2LiteEncoder if config.encoder_type == "lite" else Deimv2HybridEncoder)(config)


def _no_projection(config: Any, channels: int) -> nn.Module:
    return nn.Identity()


def _rfdetr_backbone(config: Any) -> nn.Module:
    return RfDetrDinov2Backbone(config.backbone_config)


def _lwdetr_backbone(config: Any) -> nn.Module:
    return LwDetrViTBackbone(config.backbone_config)


@dataclass(frozen=True)
class RTDETRFamily:
    """transformers' classes of one generation, and our part of its detector.

    Attributes:
        config: Config of the detector.
        backbone_configs: Configs of the backbones it may have; by default it has the first.
        detector: The unsplit detector.
        backbone: Builds from a config what transformers wraps around the backbone.
        encoder: Builds the hybrid encoder, or the projector of those without one.
        decoder: What comes after it, losses included.
        projection: Builds from a config and channels what stands before the encoder.
        has_pyramid: Whether each map of the backbone is half as large as the one before; those
            of a ViT are of one size.
    """

    config: Any
    backbone_configs: tuple[Any, ...]
    detector: Any
    backbone: Any
    encoder: Any
    decoder: Any
    projection: Callable[[Any, int], nn.Module] = _convolution_and_norm
    has_pyramid: bool = True


# By transformers' model_type, which its configs and a checkpoint's config.json carry.
FAMILIES = {
    "rt_detr": RTDETRFamily(
        config=RTDetrConfig,
        backbone_configs=(RTDetrResNetConfig,),
        detector=RTDetrForObjectDetection,
        backbone=RTDetrConvEncoder,
        encoder=RTDetrHybridEncoder,
        decoder=RTDETRDecoder,
    ),
    "rt_detr_v2": RTDETRFamily(
        config=RTDetrV2Config,
        backbone_configs=(RTDetrResNetConfig,),
        detector=RTDetrV2ForObjectDetection,
        backbone=RTDetrV2ConvEncoder,
        encoder=RTDetrV2HybridEncoder,
        decoder=RTDETRv2Decoder,
    ),
    "d_fine": RTDETRFamily(
        config=DFineConfig,
        backbone_configs=(HGNetV2Config,),
        detector=DFineForObjectDetection,
        backbone=DFineConvEncoder,
        encoder=DFineHybridEncoder,
        decoder=DFINEDecoder,
    ),
    "deimv2": RTDETRFamily(
        config=Deimv2Config,
        backbone_configs=(HGNetV2Config, DINOv3ViTConfig),
        detector=Deimv2ForObjectDetection,
        backbone=_deimv2_backbone,
        encoder=_deimv2_encoder,
        decoder=DEIMv2Decoder,
        projection=_deimv2_projection,
    ),
    "rf_detr": RTDETRFamily(
        config=RfDetrConfig,
        backbone_configs=(RfDetrDinov2Config,),
        detector=RfDetrForObjectDetection,
        backbone=_rfdetr_backbone,
        encoder=RfDetrScaleProjector,
        decoder=RFDETRDecoder,
        projection=_no_projection,
        has_pyramid=False,
    ),
    "lw_detr": RTDETRFamily(
        config=LwDetrConfig,
        backbone_configs=(LwDetrViTConfig,),
        detector=LwDetrForObjectDetection,
        backbone=_lwdetr_backbone,
        encoder=LwDetrMultiScaleProjector,
        decoder=LWDETRDecoder,
        projection=_no_projection,
        has_pyramid=False,
    ),
}


def family_of(config: Any) -> RTDETRFamily:
    """Find the classes for a config that :func:`rtdetr_config` built."""
    return FAMILIES[config.model_type]


def encoder_channels(config: Any) -> tuple[int, ...]:
    """Return the channels of the maps that the hybrid encoder or projector takes."""
    if family_of(config).has_pyramid:
        return tuple(config.encoder_in_channels)
    backbone = config.backbone_config
    return (backbone.hidden_size,) * len(backbone.out_indices)


def decoder_channels(config: Any) -> tuple[int, ...]:
    """Return the channels of the maps that the decoder takes."""
    if family_of(config).has_pyramid:
        return tuple(config.decoder_in_channels)
    levels = getattr(config, "projector_scale_factors", (1.0,))  # which RF-DETR does not have
    return (config.d_model,) * len(levels)
