from derain_plugin.models.backbones import (
    EarlyFeatureDerain,
    ImageFilter,
    RTDETRBackbone,
    add_early_derain,
    add_image_filter,
)
from derain_plugin.models.data_preprocessors import (
    BatchRandomResize,
    PixelDerainDataPreprocessor,
    RainTwinDataPreprocessor,
)
from derain_plugin.models.dense_heads import RTDETRHead
from derain_plugin.models.detectors import RTDETR, TwinSupervisedRTDETR
from derain_plugin.models.detectors.noted_area import leave_padding_out, valid_area_of
from derain_plugin.models.layers.valid_area import valid_area
from derain_plugin.models.loading import keep_when_missing
from derain_plugin.models.necks import (
    DerainNeck,
    LightweightFeatureDerain,
    MultiScaleFeatureDerain,
    PlainFeatureRefine,
    RTDETRHybridEncoder,
)
from derain_plugin.models.restorers import SPDNet, SupervisedRestorer

__all__ = [
    "RTDETR",
    "BatchRandomResize",
    "DerainNeck",
    "EarlyFeatureDerain",
    "ImageFilter",
    "LightweightFeatureDerain",
    "MultiScaleFeatureDerain",
    "PixelDerainDataPreprocessor",
    "PlainFeatureRefine",
    "RTDETRBackbone",
    "RTDETRHead",
    "RTDETRHybridEncoder",
    "RainTwinDataPreprocessor",
    "SPDNet",
    "SupervisedRestorer",
    "TwinSupervisedRTDETR",
    "add_early_derain",
    "add_image_filter",
    "keep_when_missing",
    "leave_padding_out",
    "valid_area",
    "valid_area_of",
]
