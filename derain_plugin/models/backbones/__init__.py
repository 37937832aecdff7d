from derain_plugin.models.backbones.derain_backbone import add_early_derain, remove_early_derain
from derain_plugin.models.backbones.early_feature_derain import EarlyFeatureDerain
from derain_plugin.models.backbones.rtdetr_backbone import RTDETRBackbone

__all__ = ["EarlyFeatureDerain", "RTDETRBackbone", "add_early_derain", "remove_early_derain"]
