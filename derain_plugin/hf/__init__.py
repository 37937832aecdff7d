from derain_plugin.hf.configuration_feature_derain_rtdetr import FeatureDerainRTDetrConfig
from derain_plugin.hf.hf_checkpoint import load_from_hf
from derain_plugin.hf.modeling_feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.hf.pretrained import create_feature_derain, create_feature_derain_rtdetr

__all__ = [
    "FeatureDerainRTDetr",
    "FeatureDerainRTDetrConfig",
    "create_feature_derain",
    "create_feature_derain_rtdetr",
    "load_from_hf",
]
