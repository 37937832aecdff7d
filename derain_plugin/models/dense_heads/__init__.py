from derain_plugin.models.dense_heads.rtdetr_head import RTDETRHead

__all__ = ["RTDETRHead"]
