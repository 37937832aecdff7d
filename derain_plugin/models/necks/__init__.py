from derain_plugin.models.necks.derain_neck import DerainNeck
from derain_plugin.models.necks.feature_derain import (
    LightweightFeatureDerain,
    MultiScaleFeatureDerain,
    PlainFeatureRefine,
)
from derain_plugin.models.necks.rtdetr_hybrid_encoder import RTDETRHybridEncoder

__all__ = [
    "DerainNeck",
    "LightweightFeatureDerain",
    "MultiScaleFeatureDerain",
    "PlainFeatureRefine",
    "RTDETRHybridEncoder",
]
