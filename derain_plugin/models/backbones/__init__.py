from derain_plugin.models.backbones.early_feature_derain import EarlyFeatureDerain
from derain_plugin.models.backbones.rtdetr_backbone import RTDETRBackbone

__all__ = ["EarlyFeatureDerain", "RTDETRBackbone"]
