from derain_plugin.models.backbones.derain_backbone import add_early_derain, remove_early_derain
from derain_plugin.models.backbones.early_feature_derain import EarlyFeatureDerain
from derain_plugin.models.backbones.image_filter import (
    ImageFilter,
    add_image_filter,
    remove_image_filter,
)
from derain_plugin.models.backbones.rtdetr_backbone import RTDETRBackbone

__all__ = [
    "EarlyFeatureDerain",
    "ImageFilter",
    "RTDETRBackbone",
    "add_early_derain",
    "add_image_filter",
    "remove_early_derain",
    "remove_image_filter",
]
