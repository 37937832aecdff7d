from derain_plugin.models.backbones import RTDETRBackbone
from derain_plugin.models.data_preprocessors import (
    BatchRandomResize,
    PixelDerainDataPreprocessor,
)
from derain_plugin.models.dense_heads import RTDETRHead
from derain_plugin.models.detectors import RTDETR
from derain_plugin.models.necks import (
    DerainNeck,
    LightweightFeatureDerain,
    MultiScaleFeatureDerain,
    RTDETRHybridEncoder,
)
from derain_plugin.models.restorers import SPDNet, SupervisedRestorer

__all__ = [
    "RTDETR",
    "BatchRandomResize",
    "DerainNeck",
    "LightweightFeatureDerain",
    "MultiScaleFeatureDerain",
    "PixelDerainDataPreprocessor",
    "RTDETRBackbone",
    "RTDETRHead",
    "RTDETRHybridEncoder",
    "SPDNet",
    "SupervisedRestorer",
]
