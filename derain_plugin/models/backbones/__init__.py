from derain_plugin.models.backbones.rtdetr_backbone import RTDETRBackbone

__all__ = ["RTDETRBackbone"]
