from derain_plugin.hf.create import create_feature_derain_rtdetr
from derain_plugin.hf.feature_derain_rtdetr import FeatureDerainRTDetr
from derain_plugin.hf.feature_derain_rtdetr_config import FeatureDerainRTDetrConfig
from derain_plugin.hf.hf_checkpoint import load_from_hf

__all__ = [
    "FeatureDerainRTDetr",
    "FeatureDerainRTDetrConfig",
    "create_feature_derain_rtdetr",
    "load_from_hf",
]
