from derain_plugin.models.necks.derain_neck import DerainNeck
from derain_plugin.models.necks.lightweight_feature_derain import LightweightFeatureDerain
from derain_plugin.models.necks.multi_scale_feature_derain import MultiScaleFeatureDerain
from derain_plugin.models.necks.plain_feature_refine import PlainFeatureRefine
from derain_plugin.models.necks.rtdetr_hybrid_encoder import RTDETRHybridEncoder

__all__ = [
    "DerainNeck",
    "LightweightFeatureDerain",
    "MultiScaleFeatureDerain",
    "PlainFeatureRefine",
    "RTDETRHybridEncoder",
]
